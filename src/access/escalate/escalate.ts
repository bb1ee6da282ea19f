import type { Deed, NewEvent, Tx } from '../../audit/deed.ts'
import { isMeant, notifyTarget } from '../../identity/notify-target.ts'
import { SYSTEM } from '../caller.ts'
import { rolesReviewable } from '../decide/rights.ts'
import type { Member, Reader } from '../directory.ts'
import { touchRequest } from '../end/expire-request.ts'
import { LIMITS } from '../limits.ts'
import { requestEscalated } from '../messages.ts'
import { NothingToDo } from '../nothing-to-do.ts'
import { loadCase, type RequestCase } from '../request-case.ts'
import { requestForConditions } from '../stored-request.ts'

/** Ids of steps that are due: their request is pending, and for that long no person has answered. */
export async function dueEscalations(reader: Reader, now: number): Promise<string[]> {
  const rows = await reader
    .selectFrom('escalations')
    .innerJoin('access_requests', 'access_requests.id', 'escalations.request_id')
    .select(['escalations.id', 'escalations.after_ms'])
    .select((select) =>
      select
        .selectFrom('reviews')
        .select((of) => of.fn.max('reviews.created_at').as('at'))
        .whereRef('reviews.request_id', '=', 'escalations.request_id')
        .where('reviews.reviewer_kind', '=', 'user')
        .as('answered_at'),
    )
    .where('escalations.told_at', 'is', null)
    .where('escalations.due_at', '<=', now)
    .where('access_requests.state', '=', 'pending')
    .where('access_requests.pending_until', '>', now)
    .orderBy('escalations.due_at')
    .execute()
  return rows.filter((row) => now >= (row.answered_at ?? 0) + row.after_ms).map(({ id }) => id)
}

/** Takes one step, once, whoever comes first. Throws NothingToDo when it was taken, or is not due. */
export async function escalateDeed(tx: Tx, now: number, id: string): Promise<Deed<'told'>> {
  const due = await dueEscalations(tx, now)
  const row = due.includes(id)
    ? await tx.selectFrom('escalations').selectAll().where('id', '=', id).executeTakeFirst()
    : undefined
  const loaded = row ? await loadCase(tx, row.request_id, now) : null
  if (!row || !loaded) throw new NothingToDo<'told'>('told')
  const problems = new Set<string>()
  const told = whoIsMeant(JSON.parse(row.notify_json) as string[], loaded, problems)
  const done = { told_at: now, told_json: JSON.stringify(told.map(({ member }) => member.id)) }
  const result = await tx
    .updateTable('escalations')
    .set(done)
    .where('id', '=', id)
    .where('told_at', 'is', null)
    .executeTakeFirst()
  if (result.numUpdatedRows !== 1n) throw new NothingToDo<'told'>('told')
  await touchRequest(tx, loaded.request)
  const { request } = loaded
  const event: NewEvent = {
    type: 'access_request.escalate',
    actor: SYSTEM,
    outcome: 'success',
    request: request.id,
    details: {
      step: row.step,
      afterMs: row.after_ms,
      told: told.slice(0, 200).map(({ member, mayReview }) => ({ user: member.id, mayReview })),
    },
    rows: [{ table: 'access_requests', id: request.id }],
  }
  const names = told.map(({ member }) => member.name)
  const reviewers = told.flatMap(({ member, mayReview }) => (mayReview ? [member.name] : []))
  const failed = [...problems].slice(0, 10).map((problem) => conditionFailed(request.id, problem))
  return { result: 'told', events: [event, ...failed], outbox: requestEscalated(loaded, row, names, reviewers) }
}

/** Being told gives no right: who of them may review is said beside their names. */
function whoIsMeant(
  notify: readonly string[],
  loaded: RequestCase,
  problems: Set<string>,
): { readonly member: Member; readonly mayReview: boolean }[] {
  const { request, requesterName, directory } = loaded
  const seen = requestForConditions(request, requesterName)
  const targets = notify.map(notifyTarget)
  return [...directory.members.values()]
    .filter(({ id, standing }) => id !== request.user_id && standing.kind === 'good')
    .map((member) => ({ member, mayReview: rolesReviewable(member, loaded, 'ever').length > 0 }))
    .filter(({ member, mayReview }) => targets.some((target) => isMeant(target, member, mayReview, seen, problems)))
    .sort((a, b) => (a.member.name < b.member.name ? -1 : 1))
    .slice(0, LIMITS.peopleTold)
}

function conditionFailed(request: string, problem: string): NewEvent {
  const details = { problem: problem.slice(0, 500) }
  return { type: 'condition.fail', actor: SYSTEM, outcome: 'failure', request, details }
}
