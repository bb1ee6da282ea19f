import type { Database } from '../foundation/database/open-database.ts'
import { Refused } from '../foundation/errors.ts'
import { fixedStatement } from '../foundation/database/fixed-statement.ts'
import type { AuditEventsTable, PowerTable } from '../foundation/database/tables.ts'
import { newId, someRandomBytes } from '../foundation/ids.ts'
import { type BoundRow, detailsHash, GENESIS, leafHash, nextHead } from '../formats/audit-chain.ts'
import { canonicalJson } from '../formats/canonical-json.ts'
import { bindRows, rowKey, type IdentifiedEvent } from './bind-rows.ts'
import type { Committed, NewEvent, OutboxMessage, Tx } from './deed.ts'

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
const queueMessage = fixedStatement(
  `insert into outbox (id, position, topic, body_json, created_at, delivered_at)
   values (?, (select coalesce(max(position), 0) + 1 from outbox), ?, ?, ?, null)`,
)

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
  const identified = (event: NewEvent): IdentifiedEvent => ({ id: newId('event', time), event })
  const own = deed.events.map(identified)
  const { rows: bound, altered } = await bindRows(database, tx, own, deed.kind)
  const events = altered.length > 0 ? [...own, identified(alteredEvent(altered))] : own
  let { seq, hash } = head
  const stored: AuditEventsTable[] = []
  for (const { id, event } of events) {
    seq += 1
    const rows = (event.rows ?? []).map((ref) => bound.get(rowKey(ref)) as BoundRow)
    const row = eventRow(event, { id, seq, time }, rows, hash)
    hash = row.hash
    stored.push(row)
    await insertEvent(tx, ...valuesOf(row))
    for (const [position, ref] of (event.rows ?? []).entries()) await logChange(tx, seq, position, ref.table, ref.id)
  }
  const next = { seq, hash, time }
  await moveHead(tx, seq, hash, time)
  const refs = [...bound.values()].map(({ table, id }) => ({ table: table as PowerTable, id }))
  return {
    head: next,
    committed: {
      position: seq,
      rows: refs,
      events: stored.map((row, index) => ({
        seq: row.seq,
        id: row.id,
        type: (events[index] as IdentifiedEvent).event.type,
      })),
    },
  }
}

export async function queueOutbox(tx: Tx, messages: readonly OutboxMessage[], now: number): Promise<void> {
  for (const { topic, body } of messages)
    await queueMessage(tx, newId('delivery', now), topic, canonicalJson(body), now)
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

function eventRow(
  event: NewEvent,
  { id, seq, time }: { readonly id: string; readonly seq: number; readonly time: number },
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
    id,
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
