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

/** Messages that have a lane of their own, in the order in which they may go: whoever comes first takes the room. */
interface Turn {
  readonly of: LaneKind
  readonly which: (row: Row) => ReturnType<Row['and']>
}

/**
 * What may be there already comes first: until it is found, nobody keeps it up to date. Then people who have not been told yet, then
 * buttons that have to go, then lines, and last the messages that show one vote more.
 */
const TURNS: readonly Turn[] = [
  { of: 'look', which: (row) => row.and([row('m.external', 'is', null), isLost(row), mayBeSaid(row)]) },
  {
    of: 'new',
    which: (row) => row.and([row('m.kind', '=', 'request'), row('m.external', 'is', null), row.not(isLost(row))]),
  },
  { of: 'change', which: (row) => row.and([row('m.external', 'is not', null), row.not(isPending(row))]) },
  {
    of: 'new',
    which: (row) =>
      row.and([
        ...[row('m.kind', '=', 'notice'), row('m.external', 'is', null)],
        ...[row.not(isLost(row)), mayBeSaid(row)],
      ]),
  },
  { of: 'change', which: (row) => row.and([row('m.external', 'is not', null), isPending(row)]) },
]

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
  row.and([
    row.not(
      row.exists(
        row
          .selectFrom('messages as t')
          .select('t.id')
          .whereRef('t.id', '=', 'm.thread_of')
          .where('t.external', 'is', null)
          .where('t.state', 'in', ['due', 'settled']),
      ),
    ),
    row.not(
      row.exists(
        row
          .selectFrom('messages as e')
          .select('e.id')
          .whereRef('e.thread_of', '=', 'm.thread_of')
          .where('e.state', '=', 'due')
          .whereRef('e.id', '<', 'm.id'),
      ),
    ),
  ])

/** Takes due messages of one integration for which its vendor has room, so that nobody else takes them until the lease ends. */
export async function leaseMessages(tx: Tx, terms: LeaseTerms): Promise<Leased[]> {
  const left = new RoomLeft(terms.room)
  const rows: MessagesTable[] = []
  for (const turn of TURNS)
    for (;;) {
      const most = left.most(turn.of)
      if (most === 0) break
      const found = await due(tx, terms, turn, most, left.closed(turn.of))
      for (const row of found) if (left.take(turn.of, row)) rows.push(row)
      // One that stood behind another one of the same destination had no room: what is behind both may have.
      if (found.length < most) break
    }
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

function due(
  tx: Tx,
  { integrationId, now }: LeaseTerms,
  turn: Turn,
  most: number,
  closed: readonly string[],
): Promise<MessagesTable[]> {
  const named = (kind: string): string[] =>
    closed.flatMap((each) => (each.startsWith(kind) ? [each.slice(kind.length)] : []))
  const channels = named('channel:')
  const users = named('user:')
  return tx
    .selectFrom('messages as m')
    .selectAll('m')
    .where('m.state', '=', sql.lit('due'))
    .where('m.integration_id', '=', integrationId)
    .where('m.due_at', '<=', now)
    .where((row) => turn.which(row))
    .$if(channels.length > 0, (query) =>
      query.where((row) => row.or([row('m.channel', 'is', null), row('m.channel', 'not in', channels)])),
    )
    .$if(users.length > 0, (query) =>
      query.where((row) => row.or([row('m.user_id', 'is', null), row('m.user_id', 'not in', users)])),
    )
    .orderBy('m.due_at')
    .orderBy('m.id')
    .limit(most)
    .execute()
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
