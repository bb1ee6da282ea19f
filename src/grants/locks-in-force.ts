import type { LocksTable } from '../foundation/database/tables.ts'

export type Lock = Omit<LocksTable, 'event_id'>

/** Locks that nobody has removed, found by what they are on. Whether one has run out, the clock says. */
export class LocksInForce {
  readonly #byId = new Map<string, Lock>()
  readonly #byTarget = new Map<LocksTable['target_kind'], Map<string, Lock[]>>()
  /** Null: to be worked out anew */
  #instants: readonly number[] | null = null

  /** What the lock was before, if it was there: it may have been on something else. */
  set(lock: Lock): Lock | undefined {
    const before = this.delete(lock.id)
    this.#instants = null
    this.#byId.set(lock.id, lock)
    const ofKind = this.#byTarget.get(lock.target_kind) ?? new Map<string, Lock[]>()
    this.#byTarget.set(lock.target_kind, ofKind.set(lock.target_id, [...(ofKind.get(lock.target_id) ?? []), lock]))
    return before
  }

  delete(id: string): Lock | undefined {
    const lock = this.#byId.get(id)
    if (!lock) return undefined
    this.#instants = null
    this.#byId.delete(id)
    const ofKind = this.#byTarget.get(lock.target_kind)
    const left = ofKind?.get(lock.target_id)?.filter((each) => each.id !== id) ?? []
    if (left.length > 0) ofKind?.set(lock.target_id, left)
    else ofKind?.delete(lock.target_id)
    return lock
  }

  /** The one that holds a thing now, if any. */
  on(kind: LocksTable['target_kind'], id: string, now: number): Lock | undefined {
    // One on a request ends it for good, however soon it was taken away.
    return this.#byTarget
      .get(kind)
      ?.get(id)
      ?.find((lock) => kind === 'request' || (lock.expires_at ?? Infinity) > now)
  }

  all(): Iterable<Lock> {
    return this.#byId.values()
  }

  /** When they run out. */
  instants(): readonly number[] {
    this.#instants ??= [...this.#byId.values()].flatMap(({ expires_at: at }) => at ?? [])
    return this.#instants
  }
}
