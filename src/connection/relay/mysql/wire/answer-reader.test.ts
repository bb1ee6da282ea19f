import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AnswerReader, type Answer } from './answer-reader.ts'
import type { AnswerShape } from './commands.ts'
import { u16, u32 } from './mysql-bytes.ts'
import { framed, LONGEST } from './packets.ts'
import { ERROR } from './protocol-error.ts'
import { writeError } from './replies.ts'

const bytes = (...values: number[]): Buffer => Buffer.from(values)
const okay = (status = 2, affected = 0, header = 0): Buffer =>
  Buffer.concat([bytes(header, affected, 0), u16(status), u16(0)])
const eof = (status = 2): Buffer => Buffer.concat([bytes(0xfe), u16(0), u16(status)])
const column = Buffer.from('\x03def and the rest of a column', 'latin1')
const row = (text: string): Buffer => Buffer.concat([bytes(text.length), Buffer.from(text)])
const fault = writeError({ code: 1146, state: '42S02' }, 'no such table')

const packets = (...payloads: readonly Buffer[]): Buffer =>
  Buffer.concat(payloads.map((payload, index) => framed(index + 1, payload)))

interface Read {
  readonly answers: Answer[]
  readonly reader: AnswerReader
  readonly taken: number
}

function read(
  shapes: readonly AnswerShape[],
  stream: Buffer,
  deprecatesEof: boolean,
  cuts: readonly number[] = [],
): Read {
  const answers: Answer[] = []
  const reader = new AnswerReader({ deprecatesEof, onAnswer: (answer) => answers.push(answer) })
  for (const shape of shapes) reader.expect(shape, 0)
  let taken = 0
  const at = [0, ...[...cuts].sort((a, b) => a - b), stream.length]
  for (const [index, start] of at.entries())
    taken += reader.read(stream.subarray(start, at[index + 1] ?? stream.length))
  return { answers, reader, taken }
}

const result = (rows: readonly string[], status = 2, deprecatesEof = false): Buffer[] =>
  deprecatesEof
    ? [bytes(2), column, column, ...rows.map(row), okay(status, 0, 0xfe)]
    : [bytes(2), column, column, eof(), ...rows.map(row), eof(status)]
const prepared = (columns: number, parameters: number, deprecatesEof = false): Buffer[] => {
  const definitions = (count: number): Buffer[] =>
    count === 0 ? [] : [...Array.from({ length: count }, () => column), ...(deprecatesEof ? [] : [eof()])]
  return [
    Buffer.concat([bytes(0), u32(7), u16(columns), u16(parameters), bytes(0), u16(0)]),
    ...definitions(parameters),
    ...definitions(columns),
  ]
}

/** Streams of one answer each, and what is to be said of them. */
const ANSWERS: readonly [string, AnswerShape, boolean, Buffer[], Partial<Answer>][] = [
  ['OK with rows affected', 'results', false, [okay(2, 9)], { outcome: 'ok', affectedRows: 9, rows: 0 }],
  [
    'an error',
    'results',
    false,
    [fault],
    { outcome: 'error', error: { code: 1146, state: '42S02', text: 'no such table' } },
  ],
  ['rows, ended by EOF', 'results', false, result(['a', 'bb']), { outcome: 'ok', rows: 2 }],
  ['rows, ended by OK', 'results', true, result(['a', 'bb'], 2, true), { outcome: 'ok', rows: 2 }],
  ['no rows', 'results', true, result([], 2, true), { outcome: 'ok', rows: 0 }],
  [
    'several results, the last one OK',
    'results',
    false,
    [...result(['a'], 10), ...result(['b', 'c'], 10), okay()],
    { rows: 3 },
  ],
  [
    'several results without EOF',
    'results',
    true,
    [...result(['a'], 10, true), ...result(['b'], 2, true)],
    { rows: 2 },
  ],
  ['an error in the second of several', 'results', false, [...result(['a'], 10), fault], { outcome: 'error', rows: 1 }],
  ['an error among rows', 'results', false, [...result(['a']).slice(0, -1), fault], { outcome: 'error', rows: 1 }],
  ['columns whose rows wait in a cursor', 'results', false, [bytes(1), column, eof(0x42)], { outcome: 'ok', rows: 0 }],
  ['fetched rows', 'rows', false, [row('a'), row('b'), eof()], { rows: 2 }],
  ['fetched rows, ended by OK', 'rows', true, [row('a'), okay(0x82, 0, 0xfe)], { rows: 1 }],
  ['a prepared statement', 'prepared', false, prepared(2, 1), { prepared: { statement: 7, parameters: 1 } }],
  ['one without EOF', 'prepared', true, prepared(2, 1, true), { prepared: { statement: 7, parameters: 1 } }],
  ['one of nothing', 'prepared', false, prepared(0, 0), { prepared: { statement: 7, parameters: 0 } }],
  ['one that is refused', 'prepared', false, [fault], { outcome: 'error', prepared: null }],
  ['fields', 'fields', false, [column, column, eof()], { outcome: 'ok' }],
  ['statistics, whatever their text', 'text', false, [Buffer.from('\xffptime: 5', 'latin1')], { outcome: 'ok' }],
  ['EOF to a simple command', 'ok', false, [eof()], { outcome: 'ok' }],
  ['EOF to a simple command where OK was agreed', 'ok', true, [eof()], { outcome: 'ok' }],
  ['a row that starts like EOF', 'rows', false, [Buffer.concat([bytes(0xfe), Buffer.alloc(20)]), eof()], { rows: 1 }],
]

describe('an answer ends where it ends', () => {
  test.each(ANSWERS)('%s', (_name, shape, deprecatesEof, payloads, expected) => {
    const stream = packets(...payloads)
    const { answers, reader, taken } = read([shape], stream, deprecatesEof)
    expect(reader.fault).toBeNull()
    expect(answers).toEqual([expect.objectContaining(expected)])
    expect({ taken, outstanding: reader.outstanding, isAtBoundary: reader.isAtBoundary }).toEqual({
      ...{ taken: stream.length, outstanding: 0, isAtBoundary: true },
    })
  })

  test('wherever the bytes are cut', () => {
    const some = fc.constantFrom(...ANSWERS)
    fc.assert(
      fc.property(some, fc.array(fc.nat(200), { maxLength: 6 }), ([, shape, deprecatesEof, payloads], cuts) => {
        const stream = packets(...payloads)
        const whole = read([shape], stream, deprecatesEof)
        const cut = read(
          [shape],
          stream,
          deprecatesEof,
          cuts.map((at) => at % (stream.length + 1)),
        )
        expect(cut.answers).toEqual(whole.answers)
        expect(cut.taken).toBe(stream.length)
        expect(cut.reader.sequence).toBe(payloads.length)
      }),
      { numRuns: 150 },
    )
  })

  test('answers to commands that were sent ahead come in their order', () => {
    const stream = Buffer.concat([packets(...result(['a'])), packets(okay(2, 4)), packets(fault)])
    const { answers } = read(['results', 'results', 'ok'], stream, false)
    expect(answers.map(({ rows, affectedRows, outcome }) => [rows, affectedRows, outcome])).toEqual([
      [1, 0, 'ok'],
      [0, 4, 'ok'],
      [0, 0, 'error'],
    ])
  })

  test('a row longer than a packet goes on in the next, whatever that one starts with', () => {
    const long = Buffer.concat([bytes(0xfd, 0xff, 0xff, 0xff), Buffer.alloc(LONGEST - 4)])
    const first = Buffer.from([0xff, 0xff, 0xff, 5])
    const rest = framed(6, bytes(0xff, 0xff, 0xff))
    const { answers, reader } = read(['rows'], Buffer.concat([first, long, rest, framed(7, eof())]), false, [
      9,
      LONGEST + 5,
    ])
    expect(answers).toEqual([expect.objectContaining({ rows: 1, outcome: 'ok' })])
    expect(reader.isAtBoundary).toBe(true)
  })
})

describe('what is no answer passes nothing on from there', () => {
  const HOSTILE: readonly [string, AnswerShape[], Buffer, RegExp][] = [
    ['a file of the client is asked for', ['results'], packets(Buffer.from('\xfb/etc/passwd', 'latin1')), /LOCAL/],
    ['an answer to nothing', [], packets(okay()), /to nothing/],
    ['a second answer', ['ok'], packets(okay(), okay()), /to nothing/],
    ['an empty packet', ['results'], framed(1), /empty packet/],
    ['columns without end', ['results'], packets(bytes(1), column, row('no EOF here')), /have no end/],
    ['too many columns', ['results'], packets(bytes(0xfe, 0, 0, 0, 0, 1, 0, 0, 0)), /too many columns/],
    ['a number without length', ['results'], packets(bytes(0xfc)), /cut short/],
    ['rows to a simple command', ['ok'], packets(bytes(1)), /another answer/],
    ['OK that is cut short', ['ok'], packets(bytes(0, 0)), /cut short/],
    ['a prepared statement that is cut short', ['prepared'], packets(bytes(0, 1, 0, 0)), /cut short/],
  ]
  test.each(HOSTILE)('%s', (_name, shapes, stream, why) => {
    const { reader, taken } = read(shapes, stream, false)
    expect(reader.fault?.message).toMatch(why)
    expect(taken).toBeLessThan(stream.length)
    expect(reader.read(packets(okay()))).toBe(0)
  })

  test('the packet that is refused may be replaced by one of ours', () => {
    const { reader, taken } = read(['results'], packets(...result(['a'], 10), Buffer.from('\xfbx', 'latin1')), false)
    expect(reader.isAtBoundary).toBe(true)
    expect(reader.sequence).toBe(result(['a']).length)
    expect(taken).toBe(packets(...result(['a'], 10)).length)
  })

  test('whatever a server sends, nothing is thrown and no byte is counted twice', () => {
    const anything = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.array(fc.uint8Array({ maxLength: 40 })).map((all) => packets(...all.map((one) => Buffer.from(one)))),
    )
    fc.assert(
      fc.property(
        anything,
        fc.constantFrom<AnswerShape>('ok', 'results', 'prepared', 'rows', 'fields', 'text'),
        fc.boolean(),
        (sent, shape, deprecatesEof) => {
          const stream = Buffer.from(sent)
          const { taken, reader } = read(
            [shape],
            stream,
            deprecatesEof,
            [3, 7, 11].filter((at) => at < stream.length),
          )
          expect(taken).toBeLessThanOrEqual(stream.length)
          if (reader.fault === null) expect(taken).toBe(stream.length)
        },
      ),
      { numRuns: 300 },
    )
  })
})

test('of a packet that has passed in part, the rest passes and nothing behind it', () => {
  const stream = packets(...result(['hello', 'world']))
  const reader = new AnswerReader({ deprecatesEof: false, onAnswer: () => {} })
  reader.expect('results', 0)
  const firstRow = packets(...result(['hello']).slice(0, -1)).length
  reader.read(stream.subarray(0, firstRow - 3))
  expect(reader.isAtBoundary).toBe(false)
  expect(reader.readToBoundary(stream.subarray(firstRow - 3))).toBe(3)
  expect(reader.isAtBoundary).toBe(true)
  expect(ERROR.connectionKilled.code).toBe(1927)
})
