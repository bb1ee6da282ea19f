// A refused psql that asks within its connection. What the control side answers is played; the clients and the server are real.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import type { AskAnswer, AskInput, RequestNews } from '../../../src/connection/control-plane.ts'
import { PostgresLab } from '../../support/postgres-lab.ts'
import { needProgram } from '../../support/need-program.ts'
import { start } from '../../support/run.ts'
import { until } from '../../support/until.ts'

const REFUSAL = {
  ok: false,
  code: 'access_denied',
  lines: ['sallyport: alice has no access to app on orders'],
  door: 'dor_1',
} as const
const PROMPT: AskAnswer = { kind: 'prompt', lines: ['give the reason'], prompt: 'Reason: ' }

let lab: PostgresLab
let asked: (string | null)[]
let given: number
let tell: ((news: RequestNews) => void) | null

beforeAll(async () => {
  lab = await PostgresLab.start()
})
afterAll(() => lab?.[Symbol.asyncDispose]())
beforeEach(() => {
  asked = []
  given = 0
  tell = null
  lab.control.refusal = REFUSAL
  answers(PROMPT, {
    kind: 'waiting',
    lines: ['sallyport: asked for dba for 1h (req_1)', 'Seeking request approval...'],
  })
  lab.control.watchRequest = (...args: unknown[]) => {
    tell = args[1] as (news: RequestNews) => void
    return { stop: () => void given++ }
  }
})
afterEach(() => {
  lab.control.refusal = null
})

function answers(...list: readonly AskAnswer[]): void {
  lab.control.ask = (...[input]: readonly unknown[]) => {
    asked.push((input as AskInput).reason)
    return Promise.resolve(list[asked.length - 1] ?? PROMPT)
  }
}

async function psql(sql: string, env: Readonly<Record<string, string>> = {}) {
  return start(needProgram('psql'), ['-X', '-A', '-t', '-c', sql], { env: { ...(await lab.environment()), ...env } })
}

test('psql is told what it waits for, waits, and goes on in the same connection when it is approved', async () => {
  await using program = await psql('select 6 * 7')
  await program.prints(/Seeking request approval/)
  expect(await lab.backends()).toEqual([])
  tell?.({ kind: 'progress', lines: ['bob approved; 1 more is needed'] })
  await program.prints(/bob approved/)
  lab.control.refusal = null
  tell?.({ kind: 'go', lines: ['approved by carol'] })
  const { code, stdout, stderr } = await program.finished
  expect([code, stdout]).toEqual([0, '42\n'])
  expect(stderr).toBe(
    [
      'NOTICE:  sallyport: alice has no access to app on orders',
      'sallyport: asked for dba for 1h (req_1)',
      'Seeking request approval...',
      'NOTICE:  bob approved; 1 more is needed',
      'NOTICE:  approved by carol',
      '',
    ].join('\n'),
  )
  expect(lab.control.asked.at(-1)).toMatchObject({ door: 'dor_1', database: 'orders', dbUser: 'app' })
  expect([asked, given]).toEqual([[null, '-'], 1])
})

test('the reason comes with the connection, and the server never sees it', async () => {
  const env = { PGOPTIONS: String.raw`-c sallyport.reason=fix\ order\ 7 -c statement_timeout=7s` }
  await using program = await psql(
    "select current_setting('statement_timeout'), current_setting('sallyport.reason', true)",
    env,
  )
  await program.prints(/Seeking/)
  lab.control.refusal = null
  tell?.({ kind: 'go', lines: [] })
  expect((await program.finished).stdout).toBe('7s|\n')
  expect(asked).toEqual([null, 'fix order 7'])
})

test('a denial ends the waiting with what was said', async () => {
  await using program = await psql('select 1')
  await program.prints(/Seeking/)
  tell?.({ kind: 'over', lines: ['bob denied: not on a Friday'] })
  const { code, stderr } = await program.finished
  expect(code).toBe(2)
  expect(stderr).toContain('FATAL:  bob denied: not on a Friday')
})

test('where a reason is required and none came, nothing is asked and psql says how to give it', async () => {
  answers(PROMPT, { kind: 'prompt', lines: ['sallyport: a reason is required'], prompt: 'Reason: ' })
  const { code, stderr } = await (await psql('select 1')).finished
  expect(code).toBe(2)
  expect(stderr).toMatch(/FATAL: {2}sallyport: alice has no access[^]*a reason is required[^]*PGOPTIONS=/)
})

test('a client that leaves gives the door up', async () => {
  await using program = await psql('select 1')
  await program.prints(/Seeking/)
  program.child.kill('SIGKILL')
  await until('the door to be given up', () => given === 1)
})

test('a proxy that stops tells whoever waits', async () => {
  await using other = await PostgresLab.start()
  other.control.refusal = REFUSAL
  other.control.ask = () => Promise.resolve({ kind: 'waiting', lines: ['waiting'] })
  const program = start(needProgram('psql'), ['-X', '-c', 'select 1'], { env: await other.environment() })
  await program.prints(/waiting/)
  await other.relay.tellAndClose('The proxy stops.')
  expect((await program.finished).stderr).toContain('FATAL:  The proxy stops.')
})
