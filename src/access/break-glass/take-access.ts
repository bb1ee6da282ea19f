import { sql } from 'kysely'
import { indexRequest } from '../search-index.ts'
import type { Deed, NewEvent, Tx } from '../../audit/deed.ts'
import { formatDuration } from '../../contract/duration.ts'
import { Refused } from '../../foundation/errors.ts'
import { administers } from '../../identity/role-rules.ts'
import { requestRow } from '../ask/ask.ts'
import { requireMember, type Caller } from '../caller.ts'
import { rolesReviewable } from '../decide/rights.ts'
import { loadDirectory, type Directory, type Member } from '../directory.ts'
import { grantOf, storeGrant } from '../grant/make-grant.ts'
import { LIMITS } from '../limits.ts'
import { glassBroken } from '../messages.ts'
import { buildCase, type RequestCase } from '../request-case.ts'
import { delegatesOf } from '../show/present-reviewers.ts'
import { storedRequest } from '../stored-request.ts'
import { planBreakGlass, type BreakGlassAsked } from './plan-break-glass.ts'

/**
 * A request, its grant and the messages to everybody who would have been asked, in one transaction: no connection opens
 * before they are stored. Errors: those of planBreakGlass, and Refused('break_glass_blocked' | 'not_allowed').
 */
export async function breakGlassDeed(
  tx: Tx,
  now: number,
  caller: Caller,
  asked: BreakGlassAsked,
): Promise<Deed<string>> {
  const directory = await loadDirectory(tx, now)
  const requester = requireMember(caller, directory, 'take access in an emergency')
  const plan = planBreakGlass(requester, asked, directory, now)
  await refuseAnother(tx, requester, now)
  const resolution = `taken without asking by ${requester.name}`
  const pending = requestRow(plan, requester, directory, caller, now)
  const row = { ...pending, state: 'approved' as const, decided_at: now, resolution }
  await tx.insertInto('access_requests').values(row).execute()
  await indexRequest(tx, row, requester.name)
  const names = new Map([[requester.id, requester.name]])
  const made = buildCase(storedRequest(row), [], null, directory, names, new Map())
  const grant = grantOf({ ...made, tally: { ...made.tally, grantedMs: plan.durationMs, startAt: null } }, now)
  const started = await storeGrant(tx, grant, caller.actor, caller.loginId)
  const people = whoIsTold(made, directory, now)
  return {
    result: row.id,
    events: [takenEvent(made, caller, people.length), started],
    outbox: glassBroken(
      made,
      people.map(({ name }) => name),
      grant.ends_at,
    ),
  }
}

/** Reviewers whatever their hours, those who stand in for them, and administrators; all but the user. */
function whoIsTold(made: RequestCase, { members }: Directory, now: number): Member[] {
  const others = [...members.values()].filter(
    ({ id, standing }) => id !== made.request.user_id && standing.kind === 'good',
  )
  const reviewers = others.filter((member) => rolesReviewable(member, made, 'ever').length > 0)
  const standIns = delegatesOf(reviewers, made, members, now).map(({ delegate }) => delegate)
  const told = new Map([...reviewers, ...standIns, ...others.filter(administers)].map((member) => [member.id, member]))
  return [...told.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** One at a time, and the next only after others have looked at the last. */
async function refuseAnother(tx: Tx, requester: Member, now: number): Promise<void> {
  const live = await tx
    .selectFrom('grants')
    .select(['request_id', 'ends_at'])
    .where('user_id', '=', requester.id)
    .where('kind', '=', 'break_glass')
    .where('state', '!=', sql.lit('ended'))
    .where('ends_at', '>', now)
    .executeTakeFirst()
  if (live)
    throw new Refused(
      'break_glass_blocked',
      `you have such access already, for another ${formatDuration(live.ends_at - now)}`,
      `give it back first: sally request return ${live.request_id}`,
      { request: live.request_id },
    )
  const open = await tx
    .selectFrom('access_requests')
    .select('id')
    .where('user_id', '=', requester.id)
    .where('kind', '=', sql.lit('break_glass'))
    .where('settled_at', 'is', null)
    .executeTakeFirst()
  if (!open) return
  const seen = await tx.selectFrom('acknowledgements').select('id').where('request_id', '=', open.id).execute()
  throw new Refused(
    'break_glass_blocked',
    `${seen.length} of ${LIMITS.acknowledgements} others have acknowledged the last time`,
    `ask reviewers or administrators to run: sally request acknowledge ${open.id}`,
    { request: open.id },
  )
}

function takenEvent({ request, facts, factsDigest }: RequestCase, caller: Caller, told: number): NewEvent {
  return {
    type: 'access_request.break_glass',
    actor: caller.actor,
    outcome: 'success',
    login: caller.loginId,
    request: request.id,
    details: {
      roles: request.roles,
      reason: request.reason,
      durationMs: request.duration_ms,
      requestDigest: request.request_digest,
      factsDigest,
      skipped: facts.roles.map(({ name, sets }) => ({ role: name, sets: sets.length })),
      told,
    },
    rows: [{ table: 'access_requests', id: request.id }],
  }
}
