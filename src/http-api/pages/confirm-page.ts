import type { FastifyReply, FastifyRequest } from 'fastify'
import { confirmReview, lookAtConfirmation, type ToBeConfirmed } from '../../access/from-chat/confirm-review.ts'
import { neededFor } from '../../access/on-page/visit-request.ts'
import { formatDuration } from '../../contract/duration.ts'
import { Refused } from '../../foundation/errors.ts'
import { codeField, durationField, reasonField } from './fields.ts'
import { html, type Html } from './html.ts'
import { newFormMark, readForm } from './page-form.ts'
import { paramOf, type KnownServices } from './page-services.ts'
import type { PageAnswer } from './pages.ts'
import { requestFacts } from './request-facts.ts'
import { afterwards } from './request-page.ts'

interface Typed {
  readonly reason: string
  readonly duration: string
}

export async function confirmPage(
  services: KnownServices,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<PageAnswer> {
  const found = await lookAtConfirmation(services, paramOf(request, 'token'))
  const { row, shown } = found
  const duration = formatDuration(row.duration_ms ?? shown.terms.durationMs)
  return shownPage(found, newFormMark(request, reply), { reason: row.reason ?? '', duration }, null)
}

export async function sendConfirmation(
  services: KnownServices,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<PageAnswer> {
  const form = readForm(request)
  const token = paramOf(request, 'token')
  const found = await lookAtConfirmation(services, token)
  const typed = { reason: form.get('reason') ?? '', duration: form.get('duration') ?? '' }
  const code = (form.get('code') ?? '').replace(/\s/g, '')
  try {
    // A robot that presses every button has no code: it must not use up the tries of the person whose page it is.
    if (!/^[0-9]{6,10}$/.test(code)) throw new Refused('bad_credentials', 'type the code from your authenticator')
    const after = await confirmReview(services, token, { ...typed, code }, services.addressOf(request))
    const title = found.row.decision === 'approve' ? 'You approved it' : 'You denied it'
    return { title, body: afterwards(after, await neededFor(services, after.id)) }
  } catch (error) {
    // What can be typed anew is; the page stays good.
    if (!(error instanceof Error) || (error instanceof Refused && !CORRECTABLE.has(error.code))) throw error
    if (!(error instanceof Refused) && error.name !== 'FieldRefused') throw error
    const wrong = { message: error.message, field: fieldOf(error) }
    return { ...shownPage(found, newFormMark(request, reply), typed, wrong), status: 422 }
  }
}

const CORRECTABLE = new Set(['bad_credentials', 'code_already_used', 'widens_request', 'over_limit'])

interface Wrong {
  readonly message: string
  readonly field: 'code' | 'duration' | 'reason'
}

function fieldOf(error: Error): Wrong['field'] {
  if (!(error instanceof Refused)) return 'duration'
  return error.code === 'widens_request' ? 'duration' : error.code === 'over_limit' ? 'reason' : 'code'
}

function shownPage(
  { row, user, request, gives, trouble, shown }: ToBeConfirmed,
  mark: Html,
  typed: Typed,
  wrong: Wrong | null,
): PageAnswer {
  const isApproval = row.decision === 'approve'
  const title = isApproval ? 'Approve this request?' : 'Deny this request?'
  const facts = html`<p>You are ${user.name}. Your vote counts as yours.</p>
    ${requestFacts(request, gives)}`
  if (trouble !== null)
    return {
      title,
      body: html`<p class="wrong" role="alert">It cannot be decided here any more: ${trouble}.</p>
        ${facts}`,
      status: 409,
    }
  const at = (field: Wrong['field']): string | null => (wrong?.field === field ? wrong.message : null)
  const longest = formatDuration(shown.terms.durationMs)
  const body = html`${facts}
    <form method="post" autocomplete="off">
      ${mark} ${reasonField(typed.reason, at('reason'))}
      ${isApproval ? durationField(typed.duration, longest, at('duration')) : null}
      ${codeField('Code from your authenticator', true, at('code'))}
      <button type="submit">${isApproval ? 'Approve' : 'Deny'}</button>
    </form>`
  return { title, body }
}
