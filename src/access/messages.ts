import type { OutboxMessage } from '../audit/deed.ts'
import type { ChatAccountsTable } from '../foundation/database/tables.ts'
import { LIMITS } from './limits.ts'
import type { StoredGrant } from '../grants/stored-grant.ts'
import { resourceKey } from '../resources/resource.ts'
import type { StoredRequest } from './stored-request.ts'

// What people are told. Bodies hold names and plain texts; how they are shown and delivered is the deliverer's business.

interface Told {
  readonly request: StoredRequest
  readonly requesterName: string
}

const aboutRequest = ({ request, requesterName }: Told): Record<string, unknown> => ({
  request: request.id,
  user: requesterName,
  roles: request.roles.map((role) => role.name),
  resources: request.resources.map(resourceKey),
  login: request.narrowing?.login ?? null,
  dbUser: request.narrowing?.dbUser ?? null,
})

export function requestCreated(told: Told, reviewers: readonly string[], warnings: readonly string[]): OutboxMessage {
  const { reason, duration_ms, pending_until, suggested } = told.request
  const asked = { reason, duration: duration_ms, pendingUntil: pending_until, suggested, warnings }
  return {
    topic: 'request.created',
    body: { ...aboutRequest(told), ...asked, to: reviewers.slice(0, LIMITS.reviewersShown) },
  }
}

export function requestReviewed(told: Told, reviewer: string, decision: string, reason: string): OutboxMessage {
  return {
    topic: 'request.reviewed',
    body: { ...aboutRequest(told), reviewer, decision, reason, to: [told.requesterName] },
  }
}

export function requestDecided(told: Told, state: string, resolution: string, endsAt: number | null): OutboxMessage {
  return {
    topic: 'request.decided',
    body: { ...aboutRequest(told), state, resolution, endsAt, to: [told.requesterName] },
  }
}

/** For nobody in particular: whoever was shown the request is shown it anew. */
export function requestAnnotated(told: Told, by: string, text: string, replaces: boolean): OutboxMessage {
  return { topic: 'request.annotated', body: { ...aboutRequest(told), by, text, replaces, to: [] } }
}

export function grantEnded(
  told: Told,
  grant: StoredGrant,
  end: { reason: string; by: string | null; comment: string | null },
): OutboxMessage {
  return { topic: 'grant.ended', body: { ...aboutRequest(told), grant: grant.id, ...end, to: [told.requesterName] } }
}

export function delegationMade(
  id: string,
  told: { absent: string; delegate: string; until: number; reason: string },
): OutboxMessage {
  return { topic: 'delegation.created', body: { delegation: id, ...told, to: [told.delegate] } }
}

export function delegationRemoved(
  id: string,
  told: { absent: string; delegate: string; by: string; why: string | null },
): OutboxMessage {
  return { topic: 'delegation.removed', body: { delegation: id, ...told, to: [told.absent, told.delegate] } }
}

type LinkedAccount = Pick<ChatAccountsTable, 'id' | 'vendor' | 'integration_id' | 'external_id' | 'external_name'>

const aboutAccount = (account: LinkedAccount) => ({
  account: account.id,
  vendor: account.vendor,
  integration: account.integration_id,
  external: account.external_id,
  externalName: account.external_name,
})

/** To the user, and (by `account`) to the account itself. */
export function accountLinked(account: LinkedAccount, user: string, device: string): OutboxMessage {
  return { topic: 'chat_account.linked', body: { ...aboutAccount(account), user, device, to: [user] } }
}

export function accountUnlinked(account: LinkedAccount, user: string, by: string, why: string): OutboxMessage {
  return { topic: 'chat_account.unlinked', body: { ...aboutAccount(account), user, by, why, to: [user] } }
}

/** Before the end; `left` in ms. */
export function grantEnding(told: Told, grant: StoredGrant, now: number): OutboxMessage {
  const extend =
    grant.kind === 'break_glass' ? null : `sally request extend ${grant.request_id} --duration=30m --reason="..."`
  const end = { endsAt: grant.ends_at, left: grant.ends_at - now, extend }
  return { topic: 'grant.ending', body: { ...aboutRequest(told), grant: grant.id, ...end, to: [told.requesterName] } }
}

/** To every reviewer and administrator, in messages of fifty names: none is left out. Stored with the grant. */
export function glassBroken(told: Told, people: readonly string[], endsAt: number): OutboxMessage[] {
  const { reason, duration_ms: duration } = told.request
  const body = { ...aboutRequest(told), reason, duration, endsAt, needed: LIMITS.acknowledgements }
  const parts = people.length === 0 ? [people] : inParts(people)
  return parts.map((to) => ({ topic: 'request.break_glass', body: { ...body, to } }))
}

export function accessAcknowledged(told: Told, by: string, comment: string, missing: number): OutboxMessage {
  return {
    topic: 'request.acknowledged',
    body: { ...aboutRequest(told), by, comment, missing, to: [told.requesterName] },
  }
}

/** Nobody answered: further people are told, in messages of fifty names. `mayReview`: those of them who can decide. */
export function requestEscalated(
  told: Told,
  step: { readonly step: number; readonly after_ms: number },
  people: readonly string[],
  mayReview: readonly string[],
): OutboxMessage[] {
  const { reason, duration_ms: duration, pending_until: pendingUntil, created_at: createdAt } = told.request
  const about = {
    ...aboutRequest(told),
    reason,
    duration,
    createdAt,
    pendingUntil,
    step: step.step,
    after: step.after_ms,
  }
  return inParts(people).map((to) => {
    const reviewers = mayReview.filter((name) => to.includes(name))
    return { topic: 'request.escalated', body: { ...about, to, reviewers } }
  })
}

function inParts(people: readonly string[]): (readonly string[])[] {
  const size = LIMITS.reviewersShown
  return Array.from({ length: Math.ceil(people.length / size) }, (_, part) =>
    people.slice(part * size, (part + 1) * size),
  )
}
