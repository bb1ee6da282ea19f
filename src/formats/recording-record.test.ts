import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { RecordBytes } from './recording-bytes.ts'
import { decodeRecords, encodeRecord, FILE_OPERATIONS, type RecordingEntry, STREAMS } from './recording-record.ts'
import { type KeptBytes, LONGEST_KEPT, STATEMENT_COMMANDS, STATEMENT_OUTCOMES } from './statement-record.ts'

const text = fc.string({ unit: 'grapheme', maxLength: 40 })
const count = fc.nat()
const large = fc.maxSafeNat()
const bytes = fc.uint8Array({ maxLength: 300 }).map((b) => Buffer.from(b))
const sha256 = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((b) => Buffer.from(b).toString('hex'))
const kept = fc.oneof(
  bytes.map((b) => ({ bytes: b, length: b.length, sha256: null })),
  fc.tuple(bytes, fc.integer({ min: 1, max: 2 ** 40 }), sha256).map(([b, more, hash]) => ({
    bytes: b,
    length: b.length + more,
    sha256: hash,
  })),
)
const of = <K extends string>(kind: K) => fc.constant(kind)

const entry: fc.Arbitrary<RecordingEntry> = fc.oneof(
  fc.record({ kind: of('start'), session: text, user: text, node: text, login: text, time: large }),
  fc.record({ kind: of('channel'), channel: count, type: text }),
  fc.record({ kind: of('pty'), channel: count, term: text, columns: count, rows: count }),
  fc.record({ kind: of('shell'), channel: count }),
  fc.record({ kind: of('exec'), channel: count, command: text }),
  fc.record({ kind: of('subsystem'), channel: count, name: text }),
  fc.record({ kind: of('resize'), channel: count, columns: count, rows: count }),
  fc.record({
    kind: of('output'),
    channel: count,
    stream: fc.constantFrom('stdout' as const, 'stderr' as const),
    bytes,
  }),
  fc.record({ kind: of('input'), channel: count, bytes }),
  fc.record({ kind: of('stream'), channel: count, stream: fc.constantFrom(...STREAMS), length: large, sha256 }),
  fc.record(
    {
      kind: of('file'),
      channel: count,
      via: fc.constantFrom('sftp' as const, 'scp' as const),
      operation: fc.constantFrom(...FILE_OPERATIONS),
      path: text,
      ok: fc.boolean(),
      to: text,
      size: large,
      sha256: fc.option(sha256),
      error: text,
    },
    { requiredKeys: ['kind', 'channel', 'via', 'operation', 'path', 'ok'] },
  ),
  fc.record({
    kind: of('forward'),
    channel: count,
    direction: fc.constantFrom('local' as const, 'remote' as const),
    target: text,
  }),
  fc.record({ kind: of('exit'), channel: count, status: fc.option(count), signal: fc.option(text) }),
  fc.record({ kind: of('notice'), channel: count, text }),
  fc.record({ kind: of('gap'), bytes: large, reason: text }),
  fc.record({ kind: of('end'), reason: text }),
  fc.record({ kind: of('unparsed'), channel: count, reason: text }),
  fc.record({
    kind: of('database'),
    protocol: text,
    database: text,
    user: text,
    name: text,
    recordsParameters: fc.boolean(),
  }),
  fc.record({
    kind: of('statement'),
    number: count,
    command: fc.constantFrom(...STATEMENT_COMMANDS),
    prepared: fc.option(count),
    name: text,
    text: fc.option(kept),
    parameters: fc.option(kept),
  }),
  fc.record({
    kind: of('result'),
    number: count,
    outcome: fc.constantFrom(...STATEMENT_OUTCOMES),
    rows: fc.option(large),
    took: fc.option(count),
    code: text,
    text,
  }),
)

const statement = (text: KeptBytes): RecordingEntry => ({
  kind: 'statement',
  number: 1,
  command: 'query',
  prepared: null,
  name: '',
  text,
  parameters: null,
})

function encoded(entries: readonly RecordingEntry[]): Buffer {
  const into = new RecordBytes(16)
  for (const [i, one] of entries.entries()) encodeRecord(into, one, i + 0.125)
  return Buffer.from(into.view())
}

describe('records of a recording', () => {
  test('every kind comes back as it was written', () => {
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 8 }), (entries) => {
        expect([...decodeRecords(encoded(entries))]).toEqual(entries.map((one, i) => ({ ...one, at: i + 0.125 })))
      }),
    )
  })

  test('a body that is cut is refused or holds fewer records, whole ones', () => {
    fc.assert(
      fc.property(
        fc.array(entry, { minLength: 1, maxLength: 3 }),
        fc.double({ min: 0, max: 0.999 }),
        (entries, where) => {
          const body = encoded(entries)
          const seen: unknown[] = []
          try {
            for (const record of decodeRecords(body.subarray(0, Math.floor(body.length * where)))) seen.push(record)
          } catch (error) {
            expect(error).toBeInstanceOf(RangeError)
          }
          expect(seen).toEqual(entries.slice(0, seen.length).map((one, i) => ({ ...one, at: i + 0.125 })))
          expect(seen.length).toBeLessThan(entries.length)
        },
      ),
    )
  })

  test('random bytes are refused or read, never anything else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (random) => {
        try {
          for (const record of decodeRecords(Buffer.from(random))) expect(record.at).toBeGreaterThanOrEqual(0)
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError)
        }
      }),
    )
  })

  test('a kind of a later version is named and stepped over', () => {
    const later = Buffer.from([99, 0, 0, 3, 1, 2, 3])
    const records = [...decodeRecords(Buffer.concat([later, encoded([{ kind: 'shell', channel: 4 }])]))]
    expect(records.map((record) => record.kind)).toEqual(['unparsed', 'shell'])
  })

  test.each([
    ['a text over its limit', { kind: 'notice', channel: 0, text: 'x'.repeat(128 * 1024 + 1) }],
    ['a hash that is none', { kind: 'stream', channel: 0, stream: 'stdout', length: 1, sha256: 'abc' }],
    ['a count below zero', { kind: 'shell', channel: -1 }],
    ['a count that is no integer', { kind: 'shell', channel: 0.5 }],
    [
      'a statement text over its limit',
      statement({ bytes: Buffer.alloc(LONGEST_KEPT + 1), length: LONGEST_KEPT + 1, sha256: null }),
    ],
    ['a cut statement without its hash', statement({ bytes: Buffer.alloc(1), length: 2, sha256: null })],
    [
      'a hash of a statement that was not cut',
      statement({ bytes: Buffer.alloc(1), length: 1, sha256: '00'.repeat(32) }),
    ],
  ] satisfies [string, RecordingEntry][])('%s is refused and leaves nothing behind', (_what, wrong) => {
    const into = new RecordBytes()
    encodeRecord(into, { kind: 'shell', channel: 1 }, 0)
    const before = into.length
    expect(() => encodeRecord(into, wrong, 0)).toThrow(RangeError)
    expect(into.length).toBe(before)
  })
})
