import { sql, type ExpressionBuilder } from 'kysely'
import type { Tx } from '../../audit/deed.ts'
import type { IntegrationRoom, LaneKind } from '../../contract/notify-plane.ts'
import type { MessagesTable, Tables } from '../../foundation/database/tables.ts'
import { someRandomBytes } from '../../foundation/ids.ts'

export interface Leased extends MessagesTable {
  /** Before this attempt */
  readonly unknownBefore: number | null
}

export interface LeaseTerms {
  readonly integrationId: string
  readonly room: IntegrationRoom
  readonly now: number
  readonly leaseMs: number
}

type Row = ExpressionBuilder<Tables & { m: MessagesTable }, 'm'>

/**
 * In which order they go. What may be there already comes first: until it is found, nobody keeps it up to date. Then people who have
 * not been told yet, then buttons that have to go, then lines, and last the messages that show one vote more.
 */
const turnOf = (row: Row) =>
  row
    .case()
    .when(row.and([row('m.external', 'is', null), isLost(row)]))
    .then(sql.lit(0))
    .when(row.and([row('m.external', 'is', null), row('m.kind', '=', sql.lit('request'))]))
    .then(sql.lit(1))
    .when('m.external', 'is', null)
    .then(sql.lit(3))
    .when(isPending(row))
    .then(sql.lit(4))
    .else(sql.lit(2))
    .end()

/** Looked at for one claim: those of one destination that takes one alone may stand before others */
const LOOKED_AT = 64

const isLost = (row: Row) => row.or([row('m.unknown_since', 'is not', null), row('m.leased_by', 'is not', null)])

const isPending = (row: Row) =>
  row.exists(
    row
      .selectFrom('access_requests as r')
      .select('r.id')
      .whereRef('r.id', '=', 'm.request_id')
      .where('r.state', '=', sql.lit('pending')),
  )

/** A line of a thread waits for the thread, and for the line before it. */
const mayBeSaid = (row: Row) =>
  row.or([row('m.thread_of', 'is', null), row.and([row.not(threadIsMissing(row)), row.not(earlierLineWaits(row))])])

const threadIsMissing = (row: Row) =>
  row.exists(
    row
      .selectFrom('messages as t')
      .select('t.id')
      .whereRef('t.id', '=', 'm.thread_of')
      .where('t.external', 'is', null)
      .where('t.state', 'in', ['due', 'settled']),
  )

const earlierLineWaits = (row: Row) =>
  row.exists(
    row
      .selectFrom('messages as e')
      .select('e.id')
      .whereRef('e.thread_of', '=', 'm.thread_of')
      .where('e.state', '=', 'due')
      .whereRef('e.id', '<', 'm.id'),
  )

/** Takes due messages of one integration for which its vendor has room, so that nobody else takes them until the lease ends. */
export async function leaseMessages(tx: Tx, terms: LeaseTerms): Promise<Leased[]> {
  const left = new RoomLeft(terms.room)
  const rows = (await due(tx, terms, left)).filter((row) => left.take(kindOf(row), row))
  const leased = rows.map((row) => asLeased(row, terms))
  for (const { id, leased_by, lease_until, due_at, attempts, unknown_since } of leased) {
    const taken = { leased_by, lease_until, due_at, attempts, unknown_since }
    await tx.updateTable('messages').set(taken).where('id', '=', id).execute()
  }
  return leased
}

function asLeased(row: MessagesTable, { now, leaseMs }: LeaseTerms): Leased {
  const until = now + leaseMs
  const unknownBefore = unknownSince(row)
  // From here on the vendor may have it, whatever becomes of us.
  const unknown_since = row.external === null ? (unknownBefore ?? now) : null
  const lease = { leased_by: someRandomBytes(16).toString('hex'), lease_until: until, due_at: until }
  return { ...row, ...lease, attempts: row.attempts + 1, unknown_since, unknownBefore }
}

/** A lease that ran out under an older version, which did not write since when. */
const unknownSince = (row: MessagesTable): number | null =>
  row.external !== null ? null : (row.unknown_since ?? (row.leased_by === null ? null : row.created_at))

const isLostRow = (row: MessagesTable): boolean =>
  row.external === null && (row.unknown_since !== null || row.leased_by !== null)

const kindOf = (row: MessagesTable): LaneKind => (isLostRow(row) ? 'look' : row.external === null ? 'new' : 'change')

/** Those for which there is no room now are left out here: so many of them may wait that they would hide all others. */
function due(tx: Tx, { integrationId, now }: LeaseTerms, left: RoomLeft): Promise<MessagesTable[]> {
  return tx
    .selectFrom('messages as m')
    .selectAll('m')
    .where('m.state', '=', sql.lit('due'))
    .where('m.integration_id', '=', integrationId)
    .where('m.due_at', '<=', now)
    .where((row) =>
      row.or([
        row.and([row('m.external', 'is not', null), hasRoom(row, left, 'change')]),
        row.and([row('m.external', 'is', null), row.not(isLost(row)), hasRoom(row, left, 'new')]),
        row.and([row('m.external', 'is', null), isLost(row), hasRoom(row, left, 'look')]),
      ]),
    )
    .where((row) => mayBeSaid(row))
    .orderBy((row) => turnOf(row))
    .orderBy('m.due_at')
    .orderBy('m.id')
    .limit(LOOKED_AT)
    .execute()
}

function hasRoom(row: Row, left: RoomLeft, of: LaneKind) {
  if (left.most(of) === 0) return row.lit(false)
  const closed = left.closed(of)
  const named = (kind: string): string[] =>
    closed.flatMap((each) => (each.startsWith(kind) ? [each.slice(kind.length)] : []))
  const channels = named('channel:')
  const users = named('user:')
  return row.and([
    ...(channels.length === 0 ? [] : [row.or([row('m.channel', 'is', null), row('m.channel', 'not in', channels)])]),
    ...(users.length === 0 ? [] : [row.or([row('m.user_id', 'is', null), row('m.user_id', 'not in', users)])]),
  ])
}

/** What is left of the room while messages are taken. One that is looked for may be sent as well: it needs room for both. */
class RoomLeft {
  #most: number
  readonly #lanes: ReadonlyMap<LaneKind, { most: number; readonly oneEach: boolean; readonly closed: Set<string> }>

  constructor({ most, lanes }: IntegrationRoom) {
    this.#most = most
    this.#lanes = new Map(lanes.map((lane) => [lane.of, { ...lane, closed: new Set(lane.closed) }]))
  }

  most(of: LaneKind): number {
    return Math.min(this.#most, ...this.#needed(of).map(({ most }) => most))
  }

  closed(of: LaneKind): string[] {
    return [...new Set(this.#needed(of).flatMap(({ closed }) => [...closed]))]
  }

  take(of: LaneKind, { channel, user_id: userId }: MessagesTable): boolean {
    const destination = channel === null ? `user:${userId ?? ''}` : `channel:${channel}`
    const lanes = this.#needed(of)
    if (this.most(of) === 0 || lanes.some(({ closed }) => closed.has(destination))) return false
    this.#most -= 1
    for (const lane of lanes) {
      lane.most -= 1
      if (lane.oneEach) lane.closed.add(destination)
    }
    return true
  }

  #needed(of: LaneKind) {
    const kinds: readonly LaneKind[] = of === 'look' ? ['look', 'new'] : [of]
    return kinds.flatMap((kind) => this.#lanes.get(kind) ?? [])
  }
}
