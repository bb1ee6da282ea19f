import type { Database } from '../foundation/database/open-database.ts'
import { Refused } from '../foundation/errors.ts'
import { fixedStatement } from '../foundation/database/fixed-statement.ts'
import { POWER_TABLES, type AuditEventsTable, type PowerTable } from '../foundation/database/tables.ts'
import { newId, someRandomBytes } from '../foundation/ids.ts'
import { type BoundRow, detailsHash, GENESIS, leafHash, nextHead } from '../formats/audit-chain.ts'
import { canonicalJson } from '../formats/canonical-json.ts'
import { bindRows, rowKey } from './bind-rows.ts'
import type { Committed, NewEvent, OutboxMessage, RowRef, Tx } from './deed.ts'

/** Of an event's details, as JSON, in UTF-16 units. */
export const LONGEST_DETAILS = 65_536

export interface ChainHead {
  readonly seq: number
  readonly hash: string
  readonly time: number
}

// Every deed runs these, so they are written out.
const insertEvent = fixedStatement(
  `insert into audit_events (seq, id, time, type, actor_json, user_id, login_id, request_id, grant_ids_json, session_id,
     resource_json, resource_key, outcome, rows_json, salt, details_json, details_hash, leaf, hash)
   values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
)
const valuesOf = (row: AuditEventsTable): unknown[] => [
  ...[row.seq, row.id, row.time, row.type, row.actor_json, row.user_id, row.login_id, row.request_id],
  ...[row.grant_ids_json, row.session_id, row.resource_json, row.resource_key, row.outcome, row.rows_json, row.salt],
  ...[row.details_json, row.details_hash, row.leaf, row.hash],
]
const chainHead = fixedStatement<ChainHead>('select seq, hash, time from chain_head where id = 1')
const moveHead = fixedStatement(
  `insert into chain_head (id, seq, hash, time) values (1, ?, ?, ?)
   on conflict (id) do update set seq = excluded.seq, hash = excluded.hash, time = excluded.time`,
)
const logChange = fixedStatement('insert into change_log (seq, position, table_name, row_id) values (?, ?, ?, ?)')
const lastQueued = fixedStatement<{ position: number }>('select position from outbox order by position desc limit 1')
const queueMessage = fixedStatement(
  'insert into outbox (id, position, topic, body_json, created_at, delivered_at) values (?, ?, ?, ?, ?, null)',
)
const nameIn = Object.fromEntries(
  POWER_TABLES.map((table) => [table, fixedStatement(`update ${table} set event_id = ? where id = ?`)]),
) as Record<PowerTable, ReturnType<typeof fixedStatement>>

/** The chain's head; `tx` holds the write lock, so it stays the head until the commit. */
export async function readHead(tx: Tx): Promise<ChainHead> {
  const [head] = await chainHead(tx)
  if (head) return head
  const event = await tx.selectFrom('audit_events').select('seq').limit(1).executeTakeFirst()
  if (event) throw new Refused('store_unavailable', 'the audit chain has lost its head', 'run: sallyctl audit verify')
  return { seq: 0, hash: GENESIS, time: 0 }
}

/**
 * Stores the deed's events behind `head` at the instant `time`, binds the rows they name and writes the change log. With
 * kind `takes` rows that were altered beside us stay unbound, and an event more says so.
 * Errors: Bug when a power row was written that no event names, or a named row never was there; RowAltered.
 */
export async function storeEvents(
  database: Database,
  tx: Tx,
  head: ChainHead,
  time: number,
  deed: { readonly events: readonly NewEvent[]; readonly kind: 'gives' | 'takes' | 'accepts' },
): Promise<{ head: ChainHead; committed: Committed }> {
  const { rows: bound, altered } = await bindRows(database, tx, deed.events, deed.kind)
  const events = altered.length > 0 ? [...deed.events, alteredEvent(altered)] : deed.events
  let { seq, hash } = head
  const stored: AuditEventsTable[] = []
  for (const event of events) {
    seq += 1
    const rows = (event.rows ?? []).map((ref) => bound.get(rowKey(ref)) as BoundRow)
    const row = eventRow(event, seq, time, rows, hash)
    hash = row.hash
    stored.push(row)
    await insertEvent(tx, ...valuesOf(row))
    for (const [position, ref] of (event.rows ?? []).entries()) await nameEvent(tx, ref, row.id, seq, position)
  }
  const next = { seq, hash, time }
  await moveHead(tx, seq, hash, time)
  const refs = [...bound.values()].map(({ table, id }) => ({ table: table as PowerTable, id }))
  return {
    head: next,
    committed: {
      position: seq,
      rows: refs,
      events: stored.map((row, index) => ({ seq: row.seq, id: row.id, type: (events[index] as NewEvent).type })),
    },
  }
}

export async function queueOutbox(tx: Tx, messages: readonly OutboxMessage[], now: number): Promise<void> {
  if (messages.length === 0) return
  const [last] = await lastQueued(tx)
  for (const [index, { topic, body }] of messages.entries())
    await queueMessage(tx, newId('delivery', now), (last?.position ?? 0) + index + 1, topic, canonicalJson(body), now)
}

/** What the daemon stores when it has met rows that somebody changed beside it. */
export function alteredEvent(found: readonly { readonly where: string; readonly message: string }[]): NewEvent {
  const [first] = found
  return {
    type: 'audit.verify_failed',
    actor: { kind: 'system', id: null, name: 'sallyport' },
    outcome: 'failure',
    details: { problems: found.length, first: { kind: 'row_altered', ...first } },
  }
}

async function nameEvent(tx: Tx, ref: RowRef, eventId: string, seq: number, position: number): Promise<void> {
  await nameIn[ref.table](tx, eventId, ref.id)
  await logChange(tx, seq, position, ref.table, ref.id)
}

function eventRow(
  event: NewEvent,
  seq: number,
  time: number,
  rows: readonly BoundRow[],
  before: string,
): AuditEventsTable {
  const details = canonicalJson(event.details ?? {})
  if (details.length > LONGEST_DETAILS) {
    throw new Refused('over_limit', `details of ${event.type} are longer than ${String(LONGEST_DETAILS)} characters`)
  }
  const { actor, resource } = event
  const salt = someRandomBytes(16).toString('hex')
  const envelope = {
    seq,
    id: newId('event', time),
    time,
    type: event.type,
    actor_json: canonicalJson(actor),
    user_id: actor.id,
    login_id: event.login ?? null,
    request_id: event.request ?? null,
    grant_ids_json: canonicalJson(event.grants ?? []),
    session_id: event.session ?? null,
    resource_json: resource ? canonicalJson(resource) : null,
    resource_key: resource ? `${resource.kind}/${resource.name}` : null,
    outcome: event.outcome,
    rows_json: canonicalJson(rows),
    details_hash: detailsHash(salt, details),
  }
  const leaf = leafHash(envelope)
  return { ...envelope, salt, details_json: details, leaf, hash: nextHead(before, leaf) }
}
