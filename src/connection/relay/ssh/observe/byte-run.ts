import type { NewHash, RunningHash } from './running-hash.ts'

// Held pieces are counted with this much on top, so that many tiny ones cost what they take.
const PIECE_COST = 128

/** What all runs of one channel may hold together of pieces that came before their turn. */
export interface HoldBudget {
  left: number
}

/** Twice what the stock sftp client has under way (64 requests of 32 KiB). */
export const HOLD_LIMIT = 4 * 1024 * 1024

/**
 * The bytes of one file in one direction. Hashes them as long as they come in one run from offset 0; pieces that come early
 * wait, copied. `digest` is null for any other order, and for pieces that come twice.
 */
export class ByteRun {
  readonly #newHash: NewHash
  readonly #budget: HoldBudget
  #hash: RunningHash | null = null
  #next = 0
  #moved = 0
  #broken = false
  #early: Map<number, Buffer> | null = null

  constructor(newHash: NewHash, budget: HoldBudget) {
    this.#newHash = newHash
    this.#budget = budget
  }

  /** Bytes moved, in any order */
  get moved(): number {
    return this.#moved
  }

  /** A part of a piece that stands at `offset`. Parts of one piece come with growing offsets. */
  take(offset: number, bytes: Uint8Array): void {
    this.#moved += bytes.length
    if (this.#broken || bytes.length === 0) return
    if (offset < this.#next) return this.break()
    if (offset > this.#next) return this.#hold(offset, bytes)
    this.#append(bytes)
    if (this.#early !== null) this.#drain(this.#early)
  }

  /** What is stored is not what was seen: there is no digest. */
  break(): void {
    this.#broken = true
    this.#hash?.drop()
    this.#hash = null
    for (const bytes of this.#early?.values() ?? []) this.#budget.left += bytes.length + PIECE_COST
    this.#early = null
  }

  /** Once. */
  digest(): string | null {
    if (this.#early !== null && this.#early.size > 0) this.break()
    if (this.#broken) return null
    const hash = this.#hash ?? this.#newHash()
    this.#hash = null
    this.#broken = true
    return hash.digest()
  }

  #append(bytes: Uint8Array): void {
    this.#hash ??= this.#newHash()
    this.#hash.update(bytes)
    this.#next += bytes.length
  }

  #hold(offset: number, bytes: Uint8Array): void {
    this.#early ??= new Map()
    const cost = bytes.length + PIECE_COST
    if (this.#budget.left < cost || this.#early.has(offset)) return this.break()
    this.#budget.left -= cost
    this.#early.set(offset, Buffer.from(bytes))
  }

  #drain(early: Map<number, Buffer>): void {
    for (let bytes = early.get(this.#next); bytes !== undefined; bytes = early.get(this.#next)) {
      early.delete(this.#next)
      this.#budget.left += bytes.length + PIECE_COST
      this.#append(bytes)
    }
    // A piece that begins before the run's end can never fit any more: it makes `digest` null.
  }
}
