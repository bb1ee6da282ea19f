import type { FastifyReply, FastifyRequest } from 'fastify'
import { confirmReview, lookAtConfirmation, type ToBeConfirmed } from '../../access/from-chat/confirm-review.ts'
import { formatDuration } from '../../contract/duration.ts'
import { Refused } from '../../foundation/errors.ts'
import { html, type Html } from './html.ts'
import { newFormMark, readForm } from './page-form.ts'
import { paramOf, type KnownServices } from './page-services.ts'
import type { PageAnswer } from './pages.ts'
import { requestFacts } from './request-facts.ts'

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
    return {
      title,
      body: html`${requestFacts(after)}
        <p>You may close this page.</p>`,
    }
  } catch (error) {
    // What can be typed anew is; the page stays good.
    if (!(error instanceof Error) || (error instanceof Refused && !CORRECTABLE.has(error.code))) throw error
    if (!(error instanceof Refused) && error.name !== 'FieldRefused') throw error
    return { ...shownPage(found, newFormMark(request, reply), typed, error.message), status: 422 }
  }
}

const CORRECTABLE = new Set(['bad_credentials', 'code_already_used', 'widens_request', 'over_limit'])

function shownPage(
  { row, user, request, gives, trouble }: ToBeConfirmed,
  mark: Html,
  typed: Typed,
  wrong: string | null,
): PageAnswer {
  const isApproval = row.decision === 'approve'
  const title = isApproval ? 'Approve this request?' : 'Deny this request?'
  const facts = html`<p>You are ${user.name}. Your vote counts as yours.</p>
    ${requestFacts(request, gives)}`
  if (trouble !== null)
    return {
      title,
      body: html`${facts}
        <p class="wrong">It cannot be decided here any more: ${trouble}.</p>`,
      status: 409,
    }
  const length = html`<label for="duration">Duration (shorter if you like)</label>
    <input id="duration" name="duration" maxlength="20" value="${typed.duration}" />`
  const body = html`${facts}${wrong === null ? null : html`<p class="wrong">${wrong}.</p>`}
    <form method="post" autocomplete="off">
      ${mark}
      <label for="reason">Reason of your vote</label>
      <textarea id="reason" name="reason" rows="3" maxlength="4096">${typed.reason}</textarea>
      ${isApproval ? length : null}
      <label for="code">Code from your authenticator</label>
      <input id="code" name="code" inputmode="numeric" autocomplete="one-time-code" maxlength="10" required />
      <button type="submit">${isApproval ? 'Approve' : 'Deny'}</button>
    </form>`
  return { title, body }
}
