import { createHash, type Hash, hash as hashOf } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { HashThread } from './hash-thread.ts'

/** SHA-256 over what comes, in pieces. Nothing is kept of a piece that is not ours when `update` returns. */
export interface RunningHash {
  update(bytes: Uint8Array): void
  /** Lowercase hex; once */
  digest(): string
  /** Instead of `digest`, where nobody wants it any more */
  drop(): void
}

export type NewHash = () => RunningHash

/** What is longer goes to the thread: below, waking it costs more than it saves. */
export const SHORT = 128 * 1024
/** So much of a stream is held while the thread starts; what is faster is hashed here. */
const MOST_HELD = 8 * 1024 * 1024
/** All short streams of the process hold this much at most; the one that began first is hashed here then. */
const MOST_GATHERED = 16 * 1024 * 1024

let thread: HashThread | null = null
const gathering = new Set<StreamHash>()
let gathered = 0

function evictUntilFits(): void {
  for (const hash of gathering) {
    if (gathered <= MOST_GATHERED) return
    hash.hashHere()
  }
}

/** Gathers what is short; a long stream is hashed by the thread. */
class StreamHash implements RunningHash {
  #held = Buffer.alloc(0)
  #length = 0
  #here: Hash | null = null
  #there: { readonly thread: HashThread; readonly id: number } | null = null

  update(bytes: Uint8Array): void {
    if (this.#there) this.#there.thread.update(this.#there.id, bytes)
    else if (this.#here) this.#here.update(bytes)
    else this.#gather(bytes)
  }

  digest(): string {
    if (this.#there) return this.#there.thread.digest(this.#there.id)
    if (this.#here) return this.#here.digest('hex')
    const digest = hashOf('sha256', this.#held.subarray(0, this.#length))
    this.#letGo()
    return digest
  }

  drop(): void {
    this.#letGo()
    this.#there?.thread.drop(this.#there.id)
  }

  hashHere(): void {
    this.#here = createHash('sha256').update(this.#held.subarray(0, this.#length))
    this.#letGo()
  }

  #gather(bytes: Uint8Array): void {
    this.#hold(bytes)
    if (this.#length <= SHORT) return evictUntilFits()
    thread = thread === null || thread.state === 'gone' ? new HashThread() : thread
    if (thread.state === 'ready') this.#handOver(thread)
    else if (this.#length > MOST_HELD) this.hashHere()
    else evictUntilFits()
  }

  #hold(bytes: Uint8Array): void {
    const length = this.#length + bytes.length
    if (length > this.#held.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(length, 2 * this.#held.length))
      this.#held.copy(grown, 0, 0, this.#length)
      gathered += grown.length - this.#held.length
      this.#held = grown
      gathering.add(this)
    }
    this.#held.set(bytes, this.#length)
    this.#length = length
  }

  #handOver(to: HashThread): void {
    this.#there = { thread: to, id: to.open() }
    to.update(this.#there.id, this.#held.subarray(0, this.#length))
    this.#letGo()
  }

  #letGo(): void {
    gathered -= this.#held.length
    gathering.delete(this)
    this.#held = Buffer.alloc(0)
    this.#length = 0
  }
}

export const newSha256: NewHash = () => new StreamHash()

class HashHere implements RunningHash {
  readonly #hash = createHash('sha256')

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes)
  }

  digest(): string {
    return this.#hash.digest('hex')
  }

  drop(): void {}
}

/**
 * For the files of sftp and scp. Their clients and servers keep a core busy by themselves: where there are but two, the thread
 * would take its turn from them and cost more than it moves (docs/speed.md).
 */
export const newFileSha256: NewHash = availableParallelism() > 2 ? newSha256 : () => new HashHere()
