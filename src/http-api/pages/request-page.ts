import type { FastifyReply, FastifyRequest } from 'fastify'
import type { NewEvent } from '../../audit/deed.ts'
import { withProvenPerson } from '../../identity/prove-person.ts'
import { html } from './html.ts'
import { newFormMark, readForm } from './page-form.ts'
import { paramOf, type KnownServices } from './page-services.ts'
import type { PageAnswer } from './pages.ts'
import { requestFacts } from './request-facts.ts'
import { signInFields, typedSignIn } from './sign-in-fields.ts'

/** The same for every id: whether there is such a request is told to who may know. */
export function requestPage(
  _services: KnownServices,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<PageAnswer> {
  const id = shownId(request)
  const body = html`<p>Sign in to see how it stands, or run <code>sally request show ${id}</code>.</p>
    <form method="post" autocomplete="off">
      ${newFormMark(request, reply)}${signInFields()} <button type="submit">Show it</button>
    </form>`
  return Promise.resolve({ title: 'An access request', body })
}

/** Shows the request to whoever may see it, as it is now. It is decided elsewhere. */
export async function openRequest(services: KnownServices, request: FastifyRequest): Promise<PageAnswer> {
  const id = shownId(request)
  const input = { ...typedSignIn(readForm(request)), address: services.addressOf(request) }
  const shown = await withProvenPerson(services, input, async ({ id: userId, name, hasFactor, confirmation }) => {
    const actor = { kind: 'user', id: userId, name } as const
    const seen = await services.requests.show({ actor, userId, loginId: null, local: false }, id)
    const event: NewEvent = {
      type: hasFactor ? 'mfa.step_up' : 'user.login',
      actor,
      outcome: 'success',
      request: seen.id,
      details: { page: 'request', address: input.address },
    }
    await services.deeds.commitDeed(async (tx, now) => {
      await confirmation.spend(tx, now)
      return { result: null, events: [event] }
    })
    return seen
  })
  const review = html`<p>To decide: <code>sally request review ${shown.id} --approve</code> or <code>--deny</code></p>`
  return {
    title: `${shown.user} asks for access`,
    body: html`${requestFacts(shown)}${shown.can.includes('review') ? review : null}`,
  }
}

const shownId = (request: FastifyRequest): string =>
  paramOf(request, 'id')
    .replace(/[^a-z0-9_-]/g, '')
    .slice(0, 60)
