// What goes to the hash thread: a ring of shared memory with one writer (the relay) and one reader (the thread).
//
//   control  int32 each:  HEAD, bytes written so far | TAIL, bytes read so far | DONE, digests made so far   (modulo 2^32)
//   ring     records, each at a multiple of 8:  int32 hash | int32 length of the bytes that follow, or DIGEST, or DROP
//   result   the digest made last
const HEAD = 0
const TAIL = 1
const DONE = 2
const CONTROL_BYTES = 12

const DIGEST = -1
const DROP = -2
const HEADER = 8

const RING_BYTES = 1024 * 1024
/** So much must wait before the thread is woken; it also reads what has come meanwhile. */
const WAKE_BYTES = 128 * 1024
/** Far longer than a loaded machine takes; the relay stands still meanwhile. */
const PATIENCE_MS = 10_000

export interface RingMemory {
  readonly control: SharedArrayBuffer
  readonly ring: SharedArrayBuffer
  readonly result: SharedArrayBuffer
}

export class HashThreadSilent extends Error {
  override readonly name = 'HashThreadSilent'
}

/** The relay's end. Errors: HashThreadSilent. */
export class HashRing {
  readonly memory: RingMemory
  readonly #patienceMs: number
  readonly #control: Int32Array
  readonly #bytes: Uint8Array
  readonly #words: Int32Array
  readonly #result: Uint8Array
  #head = 0
  #announced = 0

  /** `start`: how many bytes both ends have gone past already */
  constructor(size = RING_BYTES, { patienceMs = PATIENCE_MS, start = 0 } = {}) {
    this.memory = {
      control: new SharedArrayBuffer(CONTROL_BYTES),
      ring: new SharedArrayBuffer(size),
      result: new SharedArrayBuffer(32),
    }
    this.#patienceMs = patienceMs
    this.#control = new Int32Array(this.memory.control)
    this.#bytes = new Uint8Array(this.memory.ring)
    this.#words = new Int32Array(this.memory.ring)
    this.#result = new Uint8Array(this.memory.result)
    this.#head = this.#announced = start | 0
    this.#control[HEAD] = this.#control[TAIL] = this.#head
  }

  /** Copies `bytes`; waits where the thread is a ring's length behind. */
  update(hash: number, bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length;) {
      const free = this.#roomFor(2 * HEADER)
      const at = this.#position()
      const length = Math.min(bytes.length - from, free - HEADER, this.#bytes.length - at - HEADER)
      this.#bytes.set(bytes.subarray(from, from + length), at + HEADER)
      this.#publish(hash, length)
      from += length
    }
    if (((this.#head - this.#announced) | 0) >= WAKE_BYTES) this.#wake()
  }

  /** Lowercase hex; waits until the thread has read everything. */
  digest(hash: number): string {
    const done = Atomics.load(this.#control, DONE)
    this.#roomFor(HEADER)
    this.#publish(hash, DIGEST)
    this.#wake()
    this.#waitWhile(DONE, done)
    return Buffer.from(this.#result).toString('hex')
  }

  drop(hash: number): void {
    this.#roomFor(HEADER)
    this.#publish(hash, DROP)
  }

  #position(): number {
    return (this.#head >>> 0) % this.#bytes.length
  }

  #publish(hash: number, what: number): void {
    const word = this.#position() / 4
    this.#words[word] = hash
    this.#words[word + 1] = what
    this.#head = (this.#head + HEADER + ((Math.max(what, 0) + 7) & ~7)) | 0
    Atomics.store(this.#control, HEAD, this.#head)
  }

  /** Bytes that are free, `wanted` at least. Where there are not, waits for half of the ring: not for each record. */
  #roomFor(wanted: number): number {
    const size = this.#bytes.length
    let tail = Atomics.load(this.#control, TAIL)
    let free = size - ((this.#head - tail) | 0)
    if (free >= wanted) return free
    this.#wake()
    while (free < size / 2) {
      this.#waitWhile(TAIL, tail)
      tail = Atomics.load(this.#control, TAIL)
      free = size - ((this.#head - tail) | 0)
    }
    return free
  }

  #wake(): void {
    this.#announced = this.#head
    Atomics.notify(this.#control, HEAD)
  }

  #waitWhile(word: number, value: number): void {
    if (Atomics.wait(this.#control, word, value, this.#patienceMs) === 'timed-out') throw new HashThreadSilent()
  }
}

/**
 * The thread's end; it never returns. Its text is what the thread is started with, so it may use nothing from outside it:
 * a program of its own would have to be found beside the bundle and beside the source.
 */
export function serveHashes(): void {
  const { workerData } = process.getBuiltinModule('node:worker_threads')
  const { createHash } = process.getBuiltinModule('node:crypto')
  const memory = workerData as RingMemory
  const control = new Int32Array(memory.control)
  const bytes = new Uint8Array(memory.ring)
  const words = new Int32Array(memory.ring)
  const result = new Uint8Array(memory.result)
  const hashes = new Map<number, ReturnType<typeof createHash>>()
  const of = (id: number): ReturnType<typeof createHash> => {
    let hash = hashes.get(id)
    if (!hash) hashes.set(id, (hash = createHash('sha256')))
    return hash
  }
  let tail = control[1] ?? 0
  for (;;) {
    const head = Atomics.load(control, 0)
    if (head === tail) {
      Atomics.wait(control, 0, tail)
      continue
    }
    const at = (tail >>> 0) % bytes.length
    const id = words[at / 4] ?? 0
    const what = words[at / 4 + 1] ?? 0
    if (what > 0) of(id).update(bytes.subarray(at + 8, at + 8 + what))
    else if (what < 0) {
      if (what === -1) {
        result.set(of(id).digest())
        Atomics.add(control, 2, 1)
        Atomics.notify(control, 2)
      }
      hashes.delete(id)
    }
    tail = (tail + 8 + ((Math.max(what, 0) + 7) & ~7)) | 0
    Atomics.store(control, 1, tail)
    if (((head - tail) | 0) <= bytes.length / 2) Atomics.notify(control, 1)
  }
}
