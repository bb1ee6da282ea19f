import { Worker } from 'node:worker_threads'
import { HashRing, serveHashes } from './hash-ring.ts'

/**
 * A second thread that hashes what is relayed: SHA-256 costs as much as everything else that is done with a byte, and the
 * relay goes on meanwhile. It is started by the first long stream and stays.
 */
export class HashThread {
  readonly #ring: HashRing
  readonly #worker: Worker
  #state: 'starting' | 'ready' | 'gone' = 'starting'
  #next = 0

  constructor(ring = new HashRing()) {
    this.#ring = ring
    this.#worker = new Worker(`(${serveHashes.toString()})()`, {
      eval: true,
      name: 'hashes',
      workerData: ring.memory,
      env: {},
      execArgv: [],
      resourceLimits: { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 16 },
    })
    this.#worker.unref()
    this.#worker.once('online', () => this.#become('ready'))
    this.#worker.once('error', () => this.#become('gone'))
    this.#worker.once('exit', () => this.#become('gone'))
  }

  get state(): 'starting' | 'ready' | 'gone' {
    return this.#state
  }

  /** The number of a new hash. */
  open(): number {
    this.#next = (this.#next + 1) & 0x7fffffff
    return this.#next
  }

  /** Errors: when the thread does not answer, or is gone: the digest cannot be made any more. */
  update(hash: number, bytes: Uint8Array): void {
    this.#use((ring) => ring.update(hash, bytes))
  }

  /** Once. Lowercase hex. Errors: as `update`. */
  digest(hash: number): string {
    return this.#use((ring) => ring.digest(hash))
  }

  /** Instead of `digest`. Errors: as `update`. */
  drop(hash: number): void {
    this.#use((ring) => ring.drop(hash))
  }

  stop(): Promise<number> {
    return this.#worker.terminate()
  }

  #use<Result>(work: (ring: HashRing) => Result): Result {
    if (this.#state === 'gone') throw new Error('the hash thread is gone')
    try {
      return work(this.#ring)
    } catch (error) {
      this.#become('gone')
      throw error
    }
  }

  #become(state: 'ready' | 'gone'): void {
    if (this.#state !== 'gone') this.#state = state
  }
}
