import type { Actor, EventType } from '../contract/audit.ts'
import type { PowerTable } from '../foundation/database/tables.ts'
import type { Tx } from '../foundation/database/tx.ts'

export type { Tx } from '../foundation/database/tx.ts'

export interface ResourceRef {
  readonly kind: string
  readonly id: string
  readonly name: string
}

/** A row that the deed wrote or removed. commitDeed reads it back, hashes it and binds it to the event. */
export interface RowRef {
  readonly table: PowerTable
  readonly id: string
}

export interface NewEvent {
  readonly type: EventType
  readonly actor: Actor
  readonly outcome: 'success' | 'refused' | 'failure'
  readonly login?: string | null
  readonly request?: string | null
  readonly grants?: readonly string[]
  readonly session?: string | null
  readonly resource?: ResourceRef | null
  /** Never secrets. At most 64 KiB as JSON. */
  readonly details?: Readonly<Record<string, unknown>>
  readonly rows?: readonly RowRef[]
}

export interface OutboxMessage {
  readonly topic: string
  readonly body: Readonly<Record<string, unknown>>
}

/** What a deed hands to commitDeed: its result and the events that tell of it. */
export interface Deed<T> {
  readonly result: T
  readonly events: readonly [NewEvent, ...NewEvent[]]
  readonly outbox?: readonly OutboxMessage[]
  /** For deeds that end what they touch: done also on rows that somebody altered beside us, which then stay unbound. */
  readonly evenIfAltered?: true
}

/** What one transaction stored: a deed, or several that waited together. */
export interface Committed {
  /** seq of the last event: the change position */
  readonly position: number
  readonly rows: readonly RowRef[]
  readonly events: readonly { readonly seq: number; readonly id: string; readonly type: EventType }[]
}

/**
 * Runs `work` in one write transaction, then stores its events, binds the rows they name, appends to the chain and the
 * change log and queues the outbox, all in that transaction. Nothing is kept when anything fails. No await but queries on
 * `tx` inside `work`, which may be run again when the transaction could not be stored. Deeds that wait at the same time may share a
 * transaction and its sync: each sees those before it, fails alone, and its promise settles after the commit. With `first`
 * the head that `work` finds is a committed one. Listeners run after the commit, before the promise resolves.
 * Errors: whatever `work` throws; Refused('store_unavailable') when the store cannot write; Refused('read_only') after a
 * rollback was found; Refused('row_altered') when a row that it names was edited beside us; Refused('clock_set_back') for deeds that write rows when the clock is more than 60 s before the last event.
 */
export interface DeedLog {
  commitDeed<T>(work: (tx: Tx, now: number) => Promise<Deed<T>>, options?: { readonly first?: boolean }): Promise<T>
  /**
   * For deeds that take power away and have already happened in memory: never refused for a full disk. Tries commitDeed;
   * when the store cannot write, the order (a name and JSON input that a registered replay understands) goes to the spill file, fsynced, and is retried until stored.
   */
  commitTakingAway<T>(order: SpilledOrder, work: (tx: Tx, now: number) => Promise<Deed<T>>): Promise<T | 'spilled'>
  /** Called at once for an order that the store could not take yet: who keeps rights in memory takes them away there. */
  onSpilled(listener: (order: SpilledOrder) => void): () => void
  /** Heard once for each commit, in their order. Returns what stops it. */
  onCommitted(listener: (committed: Committed) => void | Promise<void>): () => void
}

export interface SpilledOrder {
  readonly name: string
  readonly input: Readonly<Record<string, unknown>>
}
