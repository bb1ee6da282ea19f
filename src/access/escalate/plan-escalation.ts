import { parseDuration } from '../../contract/duration.ts'
import type { Tx } from '../../audit/deed.ts'
import { canonicalJson } from '../../formats/canonical-json.ts'
import type { EscalationsTable } from '../../foundation/database/tables.ts'
import { fixedList, fixedStatement } from '../../foundation/database/fixed-statement.ts'
import { mayRequest, type Asking, type Person, type RoleContent } from '../../identity/role-rules.ts'
import type { Member } from '../directory.ts'
import { nobodyCanApprove } from '../route/who-can-review.ts'
import type { Reader } from '../directory.ts'

export interface PlannedStep {
  readonly afterMs: number
  /** As in the role */
  readonly notify: readonly string[]
}

/** The steps of every own role of the requester that lets them ask for one of these roles; the earliest first. */
export function escalationSteps(requester: Person, roles: readonly RoleContent[], asking: Asking): PlannedStep[] {
  const answers = roles.map((role) => mayRequest(requester, role, asking))
  const blocks = new Map(
    answers.flatMap((each) => (each.ok ? each.blocks.map(({ source, block }) => [source, block]) : [])),
  )
  const steps = [...blocks.values()].flatMap(({ escalation = [] }) =>
    escalation.flatMap(({ after, notify }): PlannedStep[] => {
      const parsed = parseDuration(after)
      return parsed.ok ? [{ afterMs: parsed.ms, notify }] : []
    }),
  )
  return steps.sort((a, b) => a.afterMs - b.afterMs)
}

/** Kept as they are when the request is made: a later edit of the role changes nothing for what waits already. */
export async function storeEscalation(
  tx: Tx,
  request: { readonly id: string; readonly created_at: number },
  steps: readonly PlannedStep[],
): Promise<void> {
  const rows = steps.map(({ afterMs, notify }, index): EscalationsTable => ({
    id: `${request.id}/${index + 1}`,
    request_id: request.id,
    step: index + 1,
    after_ms: afterMs,
    due_at: request.created_at + afterMs,
    notify_json: canonicalJson(notify),
    told_at: null,
    told_json: null,
  }))
  if (rows.length > 0) await tx.insertInto('escalations').values(rows).execute()
}

const dropUntold = fixedStatement('delete from escalations where request_id = ? and told_at is null')

/** Steps of a request that is decided are never taken. */
export async function dropEscalation(tx: Tx, requestId: string): Promise<void> {
  await dropUntold(tx, requestId)
}

const stepsOfOne = fixedStatement<EscalationsTable>('select * from escalations where request_id = ? order by step')

const stepsOfAll = fixedList<EscalationsTable>(
  (ids) => `select * from escalations where request_id in ${ids} order by step`,
)

export async function stepsOf(reader: Reader, ids: readonly string[]): Promise<readonly EscalationsTable[]> {
  const [id, ...more] = ids
  if (id !== undefined && more.length === 0) return stepsOfOne(reader, id)
  return stepsOfAll(reader, ids)
}

/**
 * Whom a new request is told to: the suggested reviewers who may review it, else all who may; the others when it escalates.
 * Without steps nobody else would ever hear of it, so there the suggested ones must be able to decide it alone.
 */
export function firstToTell(
  reviewers: readonly Member[],
  suggested: readonly string[],
  hasSteps: boolean,
  routed: Parameters<typeof nobodyCanApprove>[1],
  now: number,
): readonly Member[] {
  const first = reviewers.filter(({ name }) => suggested.includes(name))
  const enough = first.length > 0 && (hasSteps || !nobodyCanApprove(first, routed, now))
  return enough ? first : reviewers
}
