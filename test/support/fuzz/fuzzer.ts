// A small fuzzer: mutates inputs, keeps those that reach code which none has reached before, and shrinks what breaks a promise.
// Everything follows from the seed.
import { createHash } from 'node:crypto'
import type { Coverage } from './coverage.ts'

export interface FuzzTarget {
  readonly name: string
  readonly seeds: readonly Buffer[]
  /** Throws when a promise is broken. */
  check(input: Buffer): void
}

export interface Broken {
  readonly input: Buffer
  readonly error: Error
}

export interface FuzzRun {
  readonly runs: number
  /** Inputs that reached something new */
  readonly found: readonly Buffer[]
  /** The first broken promise, as short as it could be made */
  readonly broken: Broken | null
}

export interface FuzzOptions {
  readonly seed: number
  readonly corpus: readonly Buffer[]
  /** null: inputs are not judged by what they reach */
  readonly coverage: Coverage | null
  /** Asked before each run */
  readonly goOn: (runs: number) => boolean
}

const LONGEST = 100_000
const MOST_STEPS = 6
const BATCH = 256
/** Long ones take as long as many short ones, so they are taken seldom. */
const LONG = 4000
const SELDOM = 200

export function fuzz(target: FuzzTarget, { seed, corpus, coverage, goOn }: FuzzOptions): FuzzRun {
  const random = randomFrom(seed)
  const pool = [...target.seeds, ...corpus]
  const found: Buffer[] = []
  let runs = 0
  for (const input of pool) {
    const error = broken(target, input)
    if (error) return { runs, found, broken: shrunk(target, input, error) }
    runs++
  }
  coverage?.isNew(true)
  while (goOn(runs)) {
    const batch = Array.from({ length: BATCH }, () => mutated(pool, random))
    for (const input of batch) {
      const error = broken(target, input)
      if (error) return { runs, found, broken: shrunk(target, input, error) }
      runs++
    }
    // Counting is dear, so it is done for many at once; which of them it was is looked for when there is something.
    if (coverage?.isNew(false) !== true) continue
    const reaching = newOnes(target, batch, coverage)
    pool.push(...reaching)
    found.push(...reaching)
  }
  return { runs, found, broken: null }
}

/** Those that reach something which none before them has. */
function newOnes(target: FuzzTarget, inputs: readonly Buffer[], coverage: Coverage): readonly Buffer[] {
  for (const input of inputs) broken(target, input)
  if (!coverage.isNew(inputs.length === 1)) return []
  if (inputs.length === 1) return inputs
  const half = Math.ceil(inputs.length / 2)
  return [...newOnes(target, inputs.slice(0, half), coverage), ...newOnes(target, inputs.slice(half), coverage)]
}

function broken({ check }: FuzzTarget, input: Buffer): Error | null {
  try {
    check(input)
    return null
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

/** Takes away what is not needed to break the same promise. */
function shrunk(target: FuzzTarget, input: Buffer, error: Error): Broken {
  let least = input
  let said = error
  for (let size = Math.ceil(least.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < least.length;) {
      const tried = Buffer.concat([least.subarray(0, at), least.subarray(at + size)])
      const same = broken(target, tried)
      if (same) [least, said] = [tried, same]
      else at += size
    }
  }
  return { input: least, error: said }
}

export type Random = (below: number) => number

/** mulberry32 */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

/** A way to cut these bytes that is always the same for the same bytes. */
export function piecesOf(bytes: Buffer): readonly Buffer[] {
  const random = randomFrom(createHash('sha256').update(bytes).digest().readUInt32BE(0))
  const most = [1, 2, 7, 60, 5000][random(5)] ?? 1
  const pieces: Buffer[] = []
  for (let at = 0; at < bytes.length;) {
    const size = 1 + random(most)
    pieces.push(Buffer.from(bytes.subarray(at, at + size)))
    at += size
  }
  return pieces
}

const NUMBERS = [0, 1, 2, 3, 4, 5, 7, 8, 9, 0x7f, 0x80, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff, 0x100, 0xffff, 0x10000]
const LARGE = [0xfffffe, 0xffffff, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff]

function mutated(pool: readonly Buffer[], random: Random): Buffer {
  const pick = (): Buffer => {
    for (;;) {
      const input = pool[random(pool.length)] ?? Buffer.alloc(0)
      if (input.length < LONG || random(SELDOM) === 0) return input
    }
  }
  let bytes = Buffer.from(pick())
  for (let step = random(MOST_STEPS); step >= 0; step--) bytes = mutatedOnce(bytes, pick, random)
  return bytes.subarray(0, LONGEST)
}

function mutatedOnce(bytes: Buffer, pick: () => Buffer, random: Random): Buffer<ArrayBuffer> {
  const at = random(bytes.length + 1)
  const size = Math.min(bytes.length - at, 1 + random(16))
  const [before, within, behind] = [bytes.subarray(0, at), bytes.subarray(at, at + size), bytes.subarray(at + size)]
  const splice = (middle: Uint8Array): Buffer<ArrayBuffer> => Buffer.concat([before, middle, behind])
  switch (random(10)) {
    case 0:
      return splice(within.map((byte, index) => (index === 0 ? byte ^ (1 << random(8)) : byte)))
    case 1:
      return splice(within.map((byte, index) => (index === 0 ? random(256) : byte)))
    case 2:
      return splice(Buffer.alloc(0))
    case 3:
      return splice(Buffer.concat([within, within]))
    case 4:
      return Buffer.concat([
        before,
        Buffer.from(Array.from({ length: 1 + random(8) }, () => random(256))),
        within,
        behind,
      ])
    case 5:
    case 6:
      return Buffer.concat([before, number(random), bytes.subarray(at + 4)])
    case 7: {
      const other = pick()
      return Buffer.concat([before, other.subarray(random(other.length + 1))])
    }
    case 8:
      return Buffer.concat([before, pick(), within, behind])
    default:
      return Buffer.from(before)
  }
}

/** One to four bytes, in either order. */
function number(random: Random): Buffer {
  const value = random(4) === 0 ? (LARGE[random(LARGE.length)] ?? 0) : (NUMBERS[random(NUMBERS.length)] ?? 0)
  const bytes = Buffer.alloc(4)
  if (random(2) === 0) bytes.writeUInt32BE(value)
  else bytes.writeUInt32LE(value)
  return bytes.subarray(0, 4)
}
