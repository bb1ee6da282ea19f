import { expect, test } from 'vitest'
import type { PlayedRecord } from '../../../contract/recording.ts'
import { DEFAULT_PLAY } from './play-options.ts'
import { replay } from './replay.ts'

type Statement = Extract<PlayedRecord, { kind: 'statement' }>

const whole = (text: string) => ({ text, escaped: false, length: text.length, sha256: null })
const statement = (more: Partial<Statement>): Statement => ({
  kind: 'statement',
  at: 0,
  number: 1,
  command: 'query',
  prepared: null,
  name: '',
  text: null,
  parameters: null,
  ...more,
})
const result = (more: Partial<Extract<PlayedRecord, { kind: 'result' }>>): PlayedRecord => ({
  kind: 'result',
  at: 0,
  number: 1,
  outcome: 'ok',
  rows: null,
  took: null,
  code: '',
  text: '',
  ...more,
})

async function* each(records: readonly PlayedRecord[]): AsyncGenerator<PlayedRecord> {
  yield* records
}

async function transcript(records: readonly PlayedRecord[]): Promise<string> {
  let text = ''
  for await (const { bytes } of replay(each(records), DEFAULT_PLAY, null)) text += Buffer.from(bytes).toString()
  return text
}

test('a database session reads as a timed transcript', async () => {
  const values = ['7', null, { hex: '00ff' }, 'x'.repeat(300)]
  const shown = await transcript([
    { kind: 'start', at: 0, session: 'ses_1', user: 'alice', node: 'orders', login: 'app', time: 0 },
    {
      kind: 'database',
      at: 1,
      protocol: 'postgres',
      database: 'orders',
      user: 'app',
      name: 'shop',
      recordsParameters: true,
    },
    statement({ at: 1204, text: whole('select *\nfrom customers') }),
    result({ at: 1206, rows: 12, took: 2.31, text: 'SELECT 12' }),
    statement({ at: 61_000, number: 2, command: 'prepare', name: 's1', text: whole('update customers set a = $1') }),
    statement({
      at: 61_000,
      number: 3,
      command: 'execute',
      prepared: 2,
      parameters: { values, count: 6, length: 400, sha256: null },
    }),
    statement({ at: 61_001, number: 4, command: 'execute', name: 's0' }),
    result({ at: 3_661_000, number: 3, outcome: 'error', took: 3_600_000, code: '40001', text: 'could not serialize' }),
    result({ at: 3_661_000, number: 4, outcome: 'skipped' }),
    statement({ at: 3_661_001, number: 5, command: 'command', text: whole('change database to shop') }),
    result({ at: 3_661_002, number: 5, outcome: 'denied', text: 'the role orders-ro is read-only' }),
    { kind: 'end', at: 3_661_002, reason: 'client left' },
  ])
  expect(shown).toMatchInlineSnapshot(`
    "-- session ses_1: alice on app@orders, 1970-01-01 00:00:00 UTC --
    -- postgres: user app, database shop of orders --
    0:00:01.204  #1 select *
                     from customers
    0:00:01.206      -> SELECT 12, 12 rows, 2.3 ms
    0:01:01.000  #2 prepare s1: update customers set a = $1
    0:01:01.000  #3 run of #2 (update customers set a = $1)
                     $1 = '7', $2 = NULL, $3 = 0x00ff, $4 = 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'... and 2 more
    0:01:01.001  #4 run s0, prepared earlier
    1:01:01.000  #3 -> FAILED: 40001: could not serialize, 3600.0 s
    1:01:01.000      -> not run: one before it failed
    1:01:01.001  #5 command: change database to shop
    1:01:01.002      -> DENIED by sallyport, not passed on: the role orders-ro is read-only
    -- end: client left --
    "
  `)
})

test('no text of a statement moves the terminal, forges a line or looks like another one', async () => {
  const hostile = '\x1b[2J\x1b]0;x\x07\0\r0:00:00.000  #9 drop table t\u202e\x9b31m'
  const shown = await transcript([
    statement({
      text: { ...whole(hostile), escaped: true, sha256: 'ab', length: 100_000_000 },
      name: hostile,
      command: 'prepare',
    }),
    statement({ parameters: { values: [hostile], count: 1, length: 1, sha256: null } }),
    result({ text: hostile, code: hostile }),
    {
      kind: 'database',
      at: 1,
      protocol: hostile,
      database: hostile,
      user: hostile,
      name: hostile,
      recordsParameters: false,
    },
  ])
  // oxlint-disable-next-line no-control-regex -- what must not be there
  expect(shown.replaceAll('\n', '')).not.toMatch(/[\x00-\x1f\x7f-\x9f\u202e]/)
  expect(shown).toContain('(cut: 100000000 bytes in all, SHA-256 ab)')
  const stamped = shown.split('\n').filter((line) => line.startsWith('0:'))
  expect(stamped.length).toBe(3)
})
