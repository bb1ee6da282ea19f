import type { FastifyReply, FastifyRequest } from 'fastify'
import { decideOnPage, PAGE_ACTS, type DoneOnPage, type PageAct } from '../../access/on-page/decide-on-page.ts'
import { visitRequest, type Visit } from '../../access/on-page/visit-request.ts'
import { formatDuration } from '../../contract/duration.ts'
import { durationField, reasonField, sentence } from './fields.ts'
import { html, type Html } from './html.ts'
import { newFormMark, readForm } from './page-form.ts'
import { paramOf, type KnownServices } from './page-services.ts'
import type { PageAnswer } from './pages.ts'
import { requestFacts, requestTitle, standingWords } from './request-facts.ts'
import { signInFields, signInWrong, typedSignIn, type SignInWrong } from './sign-in-fields.ts'

interface Typed {
  readonly act: PageAct | null
  readonly reason: string
  readonly duration: string | null
}

const NOTHING_TYPED: Typed = { act: null, reason: '', duration: null }

/** The same for every id: whether there is such a request is told to who may know. */
export function requestPage(
  _services: KnownServices,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<PageAnswer> {
  return Promise.resolve(signInPage(shownId(request), newFormMark(request, reply), null))
}

function signInPage(id: string, mark: Html, wrong: SignInWrong | null): PageAnswer {
  const body = html`<p>
      Sign in to see how it stands, and to answer it if you may. Or run <code>sally request show ${id}</code>
    </p>
    <form method="post" autocomplete="off">${mark}${signInFields(wrong)} <button type="submit">Show it</button></form>`
  return { title: 'An access request', body, ...(wrong ? { status: wrong.status } : {}) }
}

/** Two forms are sent here: the one that signs in, and that of the page which it leads to. */
export async function sendRequestPage(
  services: KnownServices,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<PageAnswer> {
  const form = readForm(request)
  const id = shownId(request)
  const token = form.get('visit')
  if (token === undefined)
    return await signedIn(services, id, form, services.addressOf(request), () => newFormMark(request, reply))
  const act = PAGE_ACTS.find((each) => each === form.get('act')) ?? null
  const typed = { act, reason: form.get('reason') ?? '', duration: form.get('duration') ?? '' }
  const outcome = await decideOnPage(services, id, token.slice(0, 100), typed)
  if (outcome.kind === 'done') return donePage(outcome)
  return { ...visitPage(outcome.visit, newFormMark(request, reply), typed, outcome), status: 422 }
}

async function signedIn(
  services: KnownServices,
  id: string,
  form: ReadonlyMap<string, string>,
  address: string,
  mark: () => Html,
): Promise<PageAnswer> {
  try {
    const visit = await visitRequest(services, id, { ...typedSignIn(form), address })
    return visitPage(visit, mark(), NOTHING_TYPED, null)
  } catch (error) {
    return signInPage(id, mark(), signInWrong(error, form))
  }
}

function visitPage(
  visit: Visit,
  mark: Html,
  typed: Typed,
  trouble: Extract<DoneOnPage, { kind: 'again' }> | null,
): PageAnswer {
  const { request, gives, needed, user } = visit
  const above =
    trouble && trouble.field === null ? html`<p class="wrong" role="alert">${sentence(trouble.why)}</p>` : null
  return {
    title: requestTitle(request),
    body: html`${above}
      <p class="standing ${request.state}">${standingWords(request, needed)}</p>
      ${requestFacts(request, gives)} ${forms(visit, mark, typed, trouble)}
      <p class="hint">You are ${user}.</p>`,
  }
}

function forms(
  visit: Visit,
  mark: Html,
  typed: Typed,
  trouble: Extract<DoneOnPage, { kind: 'again' }> | null,
): Html | null {
  const { request, can, token, hasFactor } = visit
  if (!hasFactor && request.can.includes('review'))
    return html`<p class="wrong">A vote needs a second factor, and you have none yet: <code>sally mfa add</code></p>`
  if (token === null) return null
  const hidden = html`${mark}<input type="hidden" name="visit" value="${token}" />`
  const longest = formatDuration(request.grantedDuration)
  const wrongAt = (field: 'reason' | 'duration'): string | null => (trouble?.field === field ? trouble.why : null)
  const vote = html`<form method="post" autocomplete="off">
    ${hidden}
    <fieldset>
      <legend>Your vote</legend>
      ${choice('approve', 'Approve', typed.act)} ${choice('deny', 'Deny', typed.act)}
    </fieldset>
    ${reasonField(typed.reason, wrongAt('reason'))}
    ${durationField(typed.duration ?? longest, longest, wrongAt('duration'))}
    <button type="submit">Send your vote</button>
    <p class="hint">This page is good for five minutes and one vote, about exactly what it shows.</p>
  </form>`
  const own = (['cancel', 'return'] as const).filter((act) => can.includes(act))
  return html`${can.includes('review') ? vote : null}
  ${own.map(
    (act) =>
      html`<form method="post" autocomplete="off">
        ${hidden}<input type="hidden" name="act" value="${act}" />
        <button type="submit">${act === 'cancel' ? 'Cancel your request' : 'Return the access now'}</button>
      </form>`,
  )}`
}

/** Nothing is chosen beforehand, and Enter in a field sends nothing that was not chosen. */
const choice = (act: PageAct, label: string, chosen: PageAct | null): Html =>
  html`<label class="choice" for="${act}"
    ><input id="${act}" type="radio" name="act" value="${act}" required${chosen === act ? html` checked` : null} />
    ${label}</label
  >`

const DONE: Readonly<Record<PageAct, string>> = {
  approve: 'You approved it',
  deny: 'You denied it',
  cancel: 'Your request is cancelled',
  return: 'You returned the access',
}

function donePage({ act, visit: { request, needed } }: Extract<DoneOnPage, { kind: 'done' }>): PageAnswer {
  return { title: DONE[act], body: afterwards(request, needed) }
}

/** What came of it, as it is now. */
export function afterwards(request: Visit['request'], needed: readonly string[]): Html {
  return html`<p class="standing ${request.state}" role="status">${standingWords(request, needed)}</p>
    ${requestFacts(request)}
    <p class="hint">You may close this page.</p>`
}

const shownId = (request: FastifyRequest): string =>
  paramOf(request, 'id')
    .replace(/[^a-z0-9_-]/g, '')
    .slice(0, 60)
