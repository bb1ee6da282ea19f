import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import {
  CHUNK_HEADER_SIZE,
  decodeChunkHeader,
  decodeFileHeader,
  FILE_HEADER_SIZE,
  LONGEST_BODY,
  RecordingAltered,
  TAG_SIZE,
} from './recording-chunk.ts'
import { ChunkChain } from './recording-chain.ts'
import { ChunkOpener, ChunkSealer } from './recording-seal.ts'

const SESSION = 'ses_019aa3c4-0000-7000-8000-00000000000a'
const KEY = Buffer.alloc(32, 7)
const counters = (n: number) => ({ bytes: n * 10, packets: n, statements: 0, channels: 1 })

interface Made {
  header: Buffer
  chunks: Buffer[]
  bodies: Buffer[]
}

function make(bodies: readonly string[], over: { session?: string; key?: Buffer; salt?: number } = {}): Made {
  const session = over.session ?? SESSION
  const salt = Buffer.alloc(32, over.salt ?? 1)
  const sealer = new ChunkSealer({ session, keyId: 'key-1', key: over.key ?? KEY, salt, time: 1_700_000_000_000 })
  const plain = bodies.map((body) => Buffer.from(body))
  const chunks = plain.map((body, i) =>
    sealer.seal(body, counters(i + 1), 1_700_000_000_000 + i, { last: i === bodies.length - 1, gap: false }),
  )
  return { header: sealer.fileHeader, chunks, bodies: plain }
}

/** What a reader makes of a file: how many bodies it opens and whether it reached the end, or RecordingAltered. */
function read(file: Buffer, key = KEY): { bodies: Buffer[]; closed: boolean; torn: number; digest: string } | null {
  const start = decodeFileHeader(file)
  if (start === null) return null
  const chain = new ChunkChain(start.header, file.subarray(0, start.size))
  const opener = ChunkOpener.open(start.header, key)
  if (opener === null) throw new Error('wrong key')
  const bodies: Buffer[] = []
  let at = start.size
  while (file.length - at >= CHUNK_HEADER_SIZE) {
    const header = chain.header(file.subarray(at))
    const size = CHUNK_HEADER_SIZE + header.bodyLength + TAG_SIZE
    if (file.length - at < size) break
    const chunk = file.subarray(at, at + size)
    chain.accept(header, chunk)
    bodies.push(opener.body(header, chunk))
    at += size
  }
  return { bodies, closed: chain.last?.last ?? false, torn: file.length - at, digest: chain.digest.toString('hex') }
}

let made: Made
let whole: Buffer
beforeAll(() => {
  made = make(['first', 'second one', 'third', 'x'])
  whole = Buffer.concat([made.header, ...made.chunks])
})

describe('a recording file', () => {
  test('gives back what was sealed, in order, and says that it is whole', () => {
    expect(read(whole)).toMatchObject({ bodies: made.bodies, closed: true, torn: 0 })
  })

  test('has the layout that is written down', () => {
    expect(made.header.length).toBe(FILE_HEADER_SIZE + 5)
    expect(made.header.toString('latin1', 0, 10)).toBe('\x89SPREC\r\n\x01\x01')
    expect(made.header.toString('hex', 16, 32)).toBe('019aa3c400007000800000000000000a')
    const [chunk] = made.chunks
    expect(chunk?.length).toBe(120 + 5 + 16)
    expect(chunk?.toString('hex', 0, 16)).toBe('53524301000000050000000000000000')
    // Nobody may ever change how keys, nonces or digests are made: this file must open in every later version.
    expect(read(whole)?.digest).toBe('2eeb1febfbd92150c7b0afc89ef7c2a010e5bc361ea4a7da43d62fc6896380e2')
  })

  test('a flipped bit anywhere is found, or the file no longer ends as it should', () => {
    // A chunk that goes on and one that is the last: what there is.
    const { header, chunks } = make(['one', 'x'])
    const whole = Buffer.concat([header, ...chunks])
    for (let bit = 0; bit < whole.length * 8; bit++) {
      const altered = Buffer.from(whole)
      altered[bit >> 3] = (altered[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      let found: unknown
      try {
        const seen = read(altered)
        // A length that now reaches past the end looks like a cut: the end is missing.
        found = seen === null || !seen.closed ? 'cut' : undefined
      } catch (error) {
        found = error
      }
      expect(found, `bit ${bit}`).toBeDefined()
    }
  })

  test('a flipped bit is found without the key by whoever knows the last digest', () => {
    const known = read(whole)?.digest
    fc.assert(
      fc.property(fc.nat({ max: whole.length * 8 - 1 }), (bit) => {
        const altered = Buffer.from(whole)
        altered[bit >> 3] = (altered[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        expect(keylessDigest(altered)).not.toBe(known)
      }),
    )
  })

  test('cut at every byte it gives the chunks before the cut and no closed end', () => {
    for (let length = 0; length < whole.length; length++) {
      const seen = read(whole.subarray(0, length))
      if (seen === null) continue
      expect(seen.closed).toBe(false)
      expect(seen.bodies).toEqual(made.bodies.slice(0, seen.bodies.length))
    }
  })

  test.each([
    ['dropped', (c: Buffer[]) => [c[0], c[2], c[3]], 1],
    ['dropped at the start', (c: Buffer[]) => [c[1], c[2], c[3]], 0],
    ['swapped', (c: Buffer[]) => [c[0], c[2], c[1], c[3]], 1],
    ['repeated', (c: Buffer[]) => [c[0], c[0], c[1]], 1],
    ['appended after the last', (c: Buffer[]) => [...c, c[3]], 4],
  ])('a chunk %s is named', (_what, change, at) => {
    const chunks = change(made.chunks).filter((chunk) => chunk !== undefined)
    expect(() => read(Buffer.concat([made.header, ...chunks]))).toThrow(expect.objectContaining({ chunk: at }))
  })

  test.each([
    ['of another session', { session: 'ses_019aa3c4-0000-7000-8000-00000000000b' }],
    ['of another file of the same session and key', { salt: 2 }],
    ['sealed with another key', { key: Buffer.alloc(32, 8) }],
  ])('a chunk %s is named', (_what, over) => {
    const other = make(['first', 'foreign', 'third', 'x'], over)
    for (const at of [0, 1]) {
      const chunks = made.chunks.map((chunk, i) => (i === at ? (other.chunks[i] ?? chunk) : chunk))
      expect(() => read(Buffer.concat([made.header, ...chunks]))).toThrow(expect.objectContaining({ chunk: at }))
    }
  })

  test('a wrong key is told from an altered file', () => {
    const start = decodeFileHeader(whole)
    expect(start && ChunkOpener.open(start.header, Buffer.alloc(32, 9))).toBeNull()
  })

  test('one key in two files never gives the same cipher text', () => {
    const [a] = make(['same']).chunks
    const [b] = make(['same'], { salt: 2 }).chunks
    expect(a?.subarray(120, 124)).not.toEqual(b?.subarray(120, 124))
  })

  test('equal bodies in one file never give the same cipher text', () => {
    const bodies = Array.from({ length: 200 }, () => 'same')
    const texts = new Set(make(bodies).chunks.map((chunk) => chunk.toString('hex', 120, 124)))
    expect(texts.size).toBe(200)
  })

  test('counters that fall are named', () => {
    const sealer = new ChunkSealer({ session: SESSION, keyId: 'k', key: KEY, salt: Buffer.alloc(32), time: 0 })
    const open = { last: false, gap: false }
    const chunks = [sealer.seal(Buffer.of(1), counters(5), 0, open), sealer.seal(Buffer.of(1), counters(4), 0, open)]
    expect(() => read(Buffer.concat([sealer.fileHeader, ...chunks]))).toThrow(/counts less/)
  })

  test('nothing can be sealed after the last chunk, nor an empty or too long body', () => {
    const sealer = new ChunkSealer({ session: SESSION, keyId: 'k', key: KEY, salt: Buffer.alloc(32), time: 0 })
    expect(() => sealer.seal(Buffer.alloc(0), counters(0), 0, { last: false, gap: false })).toThrow(RangeError)
    expect(() => sealer.seal(Buffer.alloc(LONGEST_BODY + 1), counters(0), 0, { last: false, gap: false })).toThrow(
      RangeError,
    )
    sealer.seal(Buffer.of(1), counters(1), 0, { last: true, gap: false })
    expect(() => sealer.seal(Buffer.of(1), counters(1), 0, { last: false, gap: false })).toThrow(RangeError)
  })
})

describe('hostile headers', () => {
  const patch = (of: Buffer, offset: number, bytes: number[]): Buffer => {
    const copy = Buffer.from(of)
    copy.set(bytes, offset)
    return copy
  }
  test.each([
    ['another magic', 0, [0x88]],
    ['a text-mode transfer', 6, [0x0a]],
    ['a later version', 8, [2]],
    ['another suite', 9, [2]],
    ['a length that differs', 12, [0, 0, 1, 0]],
    ['no key id', 104, [0, 0]],
    ['a key id that is too long', 104, [0, 65]],
    ['a key id with a blank', 106, [0x20]],
    ['a time beyond 2^53', 96, [0xff]],
  ])('a file header with %s is refused', (_what, offset, bytes) => {
    expect(() => decodeFileHeader(patch(whole, offset, bytes))).toThrow(RecordingAltered)
  })

  test.each([
    ['another magic', 0, [0x54]],
    ['a later version', 3, [2]],
    ['unknown flags', 4, [4]],
    ['no body', 5, [0, 0, 0]],
    ['a body over 1 MiB', 5, [0x10, 0, 1]],
    ['an index beyond 2^53', 8, [0xff]],
    ['a counter beyond 2^53', 88, [0, 0x20]],
  ])('a chunk header with %s is refused', (_what, offset, bytes) => {
    const [chunk = Buffer.alloc(0)] = made.chunks
    expect(() => decodeChunkHeader(patch(chunk, offset, bytes), 0)).toThrow(RecordingAltered)
  })

  test('random bytes are no recording', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 8, maxLength: 400 }), (random) => {
        expect(() => decodeFileHeader(Buffer.from(random))).toThrow(RecordingAltered)
      }),
    )
  })
})

/** null: the file could not be followed to a closed end */
function keylessDigest(file: Buffer): string | null {
  try {
    const start = decodeFileHeader(file)
    if (start === null) return null
    const chain = new ChunkChain(start.header, file.subarray(0, start.size))
    for (let at = start.size; at < file.length;) {
      const header = chain.header(file.subarray(at))
      const end = at + CHUNK_HEADER_SIZE + header.bodyLength + TAG_SIZE
      if (end > file.length) return null
      chain.accept(header, file.subarray(at, end))
      at = end
    }
    return chain.digest.toString('hex')
  } catch (error) {
    if (error instanceof RecordingAltered || error instanceof RangeError) return null
    throw error
  }
}
