import { hash } from 'node:crypto'
import { statSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ManualClock } from '../../test/support/manual-clock.ts'
import { tempFolder, type TempFolder } from '../../test/support/temp-folder.ts'
import type { RecordingRecord } from '../formats/recording-record.ts'
import { decodeParameters, encodeParameters } from '../formats/statement-parameters.ts'
import { LONGEST_KEPT } from '../formats/statement-record.ts'
import { readRecording } from '../recording/recording-reader.ts'
import type { RecordingMode } from '../recording/recording-writer.ts'
import { LongBytes, LongParameters, StatementRecorder } from './statement-recorder.ts'

const KEY = Buffer.alloc(32, 3)
const SESSION = 'ses_019aa3c4-0000-7000-8000-00000000000a'
const sql = (text: string): Buffer => Buffer.from(text)

let folder: TempFolder
let clock: ManualClock
let failures: Error[]
beforeEach(() => {
  folder = tempFolder('statements')
  clock = new ManualClock()
  failures = []
})
afterEach(() => folder[Symbol.dispose]())

const path = (): string => folder.file('session.rec')
const open = (mode: RecordingMode, recordsParameters = true): StatementRecorder =>
  StatementRecorder.open(
    {
      sessionId: SESSION,
      user: { id: 'usr_1', name: 'ada' },
      protocol: 'postgres',
      database: { id: 'dat_1', name: 'orders', host: '127.0.0.1', port: 5432 },
      dbUser: 'app',
      dbName: 'shop',
      recording: { path: path(), keyId: 'key-1', key: KEY, mode, recordInput: false },
      options: {
        readOnly: false,
        statementTimeoutMs: null,
        deniedStatements: [],
        recordParameters: recordsParameters,
        replication: false,
      },
    },
    clock,
    (error) => failures.push(error),
  )

async function stored(): Promise<RecordingRecord[]> {
  const records: RecordingRecord[] = []
  for await (const chunk of readRecording(path(), KEY)) records.push(...chunk.records)
  return records
}
const textsOf = (records: readonly RecordingRecord[]): string[] =>
  records.flatMap((record) =>
    record.kind === 'statement' && record.text ? [Buffer.from(record.text.bytes).toString()] : [],
  )

describe('a statement', () => {
  test('is told from its result, which says how long it took', async () => {
    const recorder = open('strict')
    const first = recorder.query(sql('select 1'))
    void recorder.commit()
    clock.advance(12)
    recorder.result(first, { outcome: 'ok', rows: 1, text: 'SELECT 1' })
    await recorder.close('closed')
    const [, database, statement, result] = await stored()
    expect(database).toMatchObject({ kind: 'database', database: 'orders', user: 'app', name: 'shop' })
    expect(statement).toMatchObject({ number: 1, command: 'query', text: { length: 8, sha256: null }, at: 0 })
    expect(result).toMatchObject({ kind: 'result', number: 1, outcome: 'ok', rows: 1, took: 12, text: 'SELECT 1' })
  })

  test('in a pipeline keeps its own duration, whatever order the results come in', async () => {
    const recorder = open('best_effort')
    const numbers = Array.from({ length: 100 }, (_, i) => {
      clock.advance(1)
      return recorder.query(sql(`select ${i}`))
    })
    clock.advance(1)
    for (const number of numbers.toReversed()) recorder.result(number, { outcome: 'ok', rows: 1 })
    await recorder.close('closed')
    const took = (await stored()).flatMap((record) => (record.kind === 'result' ? [record.took] : []))
    expect(took).toEqual(Array.from({ length: 100 }, (_, i) => i + 1))
  })

  test('far behind in an endless pipeline loses its duration, not its result', async () => {
    const recorder = open('best_effort')
    for (let i = 0; i < 5000; i++) recorder.query(sql('x'))
    recorder.result(1, { outcome: 'ok', rows: 0 })
    recorder.result(5000, { outcome: 'ok', rows: 0 })
    recorder.result(9999, { outcome: 'error', rows: null })
    await recorder.close('closed')
    const results = (await stored()).filter((record) => record.kind === 'result')
    expect(results.map(({ number, took }) => [number, took])).toEqual([
      [1, null],
      [5000, 0],
      [9999, null],
    ])
  })

  test('that is run a thousand times has its text in the file once', async () => {
    const recorder = open('best_effort')
    const text = `select '${'x'.repeat(10_000)}'`
    const prepared = recorder.prepare('s1', sql(text))
    for (let i = 0; i < 1000; i++) recorder.execute(prepared, '', encodeParameters([sql(String(i))]))
    await recorder.close('closed')
    expect(statSync(path()).size).toBeLessThan(60_000)
    expect((await stored()).at(-2)).toMatchObject({ command: 'execute', prepared: 1, number: 1001 })
  })

  test('has no parameters in the file where the role says so', async () => {
    const recorder = open('strict', false)
    recorder.execute(recorder.prepare('', sql('select $1')), '', encodeParameters([sql('secret')]))
    await recorder.close('closed')
    const statements = (await stored()).filter((record) => record.kind === 'statement')
    expect(statements.map(({ parameters }) => parameters)).toEqual([null, null])
  })
})

describe('what is too long', () => {
  const long = Buffer.alloc(LONGEST_KEPT + 10, 'ab')

  test('keeps its front, its length and the SHA-256 of all of it', async () => {
    const recorder = open('strict')
    recorder.query(long)
    await recorder.close('closed')
    const statement = (await stored()).find((record) => record.kind === 'statement')
    expect(statement?.text).toEqual({
      bytes: long.subarray(0, LONGEST_KEPT),
      length: long.length,
      sha256: hash('sha256', long),
    })
  })

  test.each([1, 7, 1000, LONGEST_KEPT - 1, LONGEST_KEPT, LONGEST_KEPT + 1])(
    'is the same when it comes in pieces of %i',
    (size) => {
      const pieces = new LongBytes()
      for (let at = 0; at < long.length; at += size) pieces.take(long.subarray(at, at + size))
      expect(pieces.finish()).toEqual({
        bytes: long.subarray(0, LONGEST_KEPT),
        length: long.length,
        sha256: hash('sha256', long),
      })
    },
  )

  test.each([0, 1, LONGEST_KEPT])('is not cut at %i bytes', (length) => {
    const pieces = new LongBytes()
    pieces.take(long.subarray(0, length))
    expect(pieces.finish()).toEqual({ bytes: long.subarray(0, length), length, sha256: null })
  })

  test('names and errors of any length are cut, and the session goes on', async () => {
    const recorder = open('strict')
    recorder.prepare('n'.repeat(1e6), sql('select 1'))
    recorder.result(1, { outcome: 'error', rows: null, code: '4'.repeat(1e6), text: '\u{1F600}'.repeat(1e6) })
    recorder.notice('x'.repeat(1e6))
    await recorder.close('closed')
    expect(statSync(path()).size).toBeLessThan(10_000)
    expect(failures).toEqual([])
  })
})

describe('parameters that are too long', () => {
  const uint16 = (value: number): Buffer => Buffer.of(value >> 8, value & 255)
  /** Bind's layout with a format for each value */
  const bound = (count: number, format: number): Buffer =>
    Buffer.concat([
      uint16(count),
      ...Array.from({ length: count }, () => uint16(format)),
      uint16(count),
      ...Array.from({ length: count }, (_, n) =>
        Buffer.concat([Buffer.of(0, 0, 0, 3), Buffer.from(String(n).padStart(3, '0').slice(-3))]),
      ),
      uint16(0),
    ])

  test.each([1, 2, 3, 1000, 131_073])('leave room for values behind 65,535 formats, in pieces of %i', (size) => {
    const whole = bound(65_535, 1)
    const long = new LongParameters()
    for (let at = 0; at < whole.length; at += size) long.take(whole.subarray(at, at + size))
    const kept = long.finish()
    expect([kept.bytes.length, kept.length, kept.sha256]).toEqual([LONGEST_KEPT, whole.length, hash('sha256', whole)])
    const { values, count } = decodeParameters(kept.bytes)
    expect(count).toBe(65_535)
    expect(values.length).toBeGreaterThan(8000)
    expect(values.slice(0, 1024).every(({ format }) => format === 'binary')).toBe(true)
    expect(Buffer.from(values[7]?.bytes ?? []).toString()).toBe('007')
  })

  test('are kept as they are when there is room, and however they end', () => {
    const whole = bound(1024, 0)
    for (const length of [0, 1, 2, 3, 2050, 2051, whole.length]) {
      const long = new LongParameters()
      long.take(whole.subarray(0, length))
      expect(long.finish()).toEqual({ bytes: whole.subarray(0, length), length, sha256: null })
    }
  })

  test('come as a whole with the same result', async () => {
    const recorder = open('strict')
    recorder.execute(null, 's', bound(65_535, 0))
    await recorder.close('closed')
    const statement = (await stored()).find((record) => record.kind === 'statement')
    expect(decodeParameters(statement?.parameters?.bytes ?? Buffer.alloc(0)).values.length).toBeGreaterThan(8000)
  })
})

describe('strict', () => {
  test('the texts of one read are in the file, as one chunk, when commit returns', async () => {
    const recorder = open('strict')
    const before = recorder.head().chunks
    for (const text of ['begin', 'update t set a = 1', 'commit']) recorder.query(sql(text))
    expect(recorder.commit()).toBeUndefined()
    expect(textsOf(await stored())).toEqual(['begin', 'update t set a = 1', 'commit'])
    expect(recorder.head().chunks).toBe(before + 1)
    await recorder.close('closed')
  })

  test('a read without statements writes nothing', async () => {
    const recorder = open('strict')
    const before = recorder.head()
    expect(recorder.commit()).toBeUndefined()
    expect(recorder.head()).toEqual(before)
    await recorder.close('closed')
  })

  test('a result waits for the next statement, and for no more than 100 ms', async () => {
    const recorder = open('strict')
    recorder.result(recorder.query(sql('select 1')), { outcome: 'ok', rows: 1 })
    expect((await stored()).map((record) => record.kind)).toEqual(['start', 'database'])
    clock.advance(100)
    expect((await stored()).map((record) => record.kind)).toEqual(['start', 'database', 'statement', 'result'])
    await recorder.close('closed')
  })

  test('a pipeline of 100,000 statements in one read holds no more than a chunk of them', async () => {
    const recorder = open('strict')
    for (let i = 0; i < 100_000; i++) recorder.query(sql('select 1'))
    void recorder.commit()
    expect(textsOf(await stored()).length).toBe(100_000)
    expect(recorder.head().chunks).toBeGreaterThan(20)
    await recorder.close('closed')
  })
})

describe('hostile texts', () => {
  test.each([
    ['NUL', Buffer.from('select \0')],
    ['no UTF-8', Buffer.from([0x73, 0xff, 0xfe, 0xc0])],
    ['escape sequences', Buffer.from('\x1b[2J\x1b]0;x\x07')],
    ['nothing', Buffer.alloc(0)],
  ])('with %s are kept byte for byte', async (_what, bytes) => {
    const recorder = open('strict')
    recorder.query(bytes)
    await recorder.close('closed')
    const statement = (await stored()).find((record) => record.kind === 'statement')
    expect(statement?.text?.bytes).toEqual(bytes)
  })
})
