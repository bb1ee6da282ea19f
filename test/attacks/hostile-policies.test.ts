// Policies that loop, eat and lie, in the process that they run in. What they promise: each fails within its time, the sandbox
// answers the next one, and nobody else notices.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/foundation/clock.ts'
import { silentLog } from '../../src/foundation/log.ts'
import { PolicySandbox } from '../../src/policies/policy-sandbox.ts'
import { isAlive } from '../support/sallyport.ts'
import { until } from '../support/until.ts'

const entry = fileURLToPath(new URL('../../src/policies/sandbox/policy-sandbox.ts', import.meta.url))
let sandbox: PolicySandbox
beforeAll(() => {
  sandbox = new PolicySandbox({ entry, clock: systemClock, log: silentLog })
})
afterAll(() => sandbox.stop())

let count = 0
const run = (body: string, facts = '{}') =>
  sandbox.run(`hash ${count++}`, 'p.ts', { 'p.ts': `export default (facts) => { ${body} }` }, facts)
/** Stopped by itself, or from outside where the interpreter could not be. */
const STOPPED = /longer than 50 ms|killed after 250 ms/
const OR_STOPPED = (problem: RegExp) => new RegExp(`${problem.source}|${STOPPED.source}`)

const HOSTILE: readonly [what: string, body: string, problem: RegExp][] = [
  ['loops', 'for (;;);', STOPPED],
  ['loops in a catch', 'for (;;) try { for (;;); } catch {}', STOPPED],
  ['loops in a finally', 'try { return 1 } finally { for (;;); }', STOPPED],
  ['loops in a getter of its answer', 'return { get verdict() { for (;;); } }', STOPPED],
  ['loops in toJSON', 'return { toJSON() { for (;;); } }', STOPPED],
  ['loops in a getter of what it throws', 'throw { get message() { for (;;); } }', /longer than 50 ms|threw/],
  ['loops in a proxy', 'return new Proxy({}, { ownKeys() { for (;;); } })', STOPPED],
  ['loops in a generator', 'function* g() { for (;;) yield 1 } return [...g()]', /longer than 50 ms|memory/],
  ['backtracks', 'return /^(a+)+$/.test("a".repeat(40) + "b")', /longer than 50 ms|interrupted/],
  ['recurses', 'const f = () => f() + 1; return f()', /stack|RangeError|InternalError/],
  ['recurses in toJSON', 'const o = { toJSON() { return { o } } }; return o', /./],
  ['nests its answer', 'let o = {}; for (let i = 0; i < 1e5; i++) o = { o }; return o', /./],
  ['contains itself', 'const o = {}; o.o = o; return o', /TypeError/],
  ['takes memory', 'const a = []; for (;;) a.push("x".repeat(1e6) + a.length)', /memory|longer than 50 ms/],
  ['takes memory at once', 'return new Uint8Array(1e9).length', /memory|RangeError/],
  ['doubles a text', 'let s = "x"; for (;;) s += s', /memory|too long|longer than 50 ms/],
  ['answers too much', 'return { reason: "x".repeat(40000) }', /too long/],
  ['answers far too much', 'return "x".repeat(2e7)', /too long|memory|longer than 50 ms/],
  ['answers with a promise', 'return Promise.resolve(1)', /not with a promise/],
  ['answers with something like a promise', 'return { then() {} }', /not with a promise/],
  ['answers nothing', 'return undefined', /answered nothing/],
  ['answers a function', 'return () => 1', /answered nothing/],
  ['answers a bigint', 'return 1n', /TypeError/],
  ['throws a text', 'throw "no"', /no/],
  ['throws nothing', 'throw undefined', /it threw/],
  ['throws a symbol', 'throw Symbol("x")', /it threw/],
  ['throws what looks like our own words', 'throw { name: "InternalError", message: "out of memory" }', /memory/],
  ['throws a long text', 'throw new Error("x".repeat(1e5))', /^Error|Error$/],
  ['throws control characters', 'throw new Error("a\\u001b[31m\\r\\nb")', /Error: a \[31m b/],
  ['throws half a character', 'throw new Error("\\ud800")', /Error: \ufffd/],
]

describe('a policy that', () => {
  test.each(HOSTILE)('%s has failed, and the next one is answered', async (_what, body, problem) => {
    const outcome = await run(body)
    expect(outcome.ok ? outcome.answer.slice(0, 100) : outcome.problem).toMatch(OR_STOPPED(problem))
    expect(outcome.ok).toBe(false)
    if (!outcome.ok) {
      expect(outcome.problem.length).toBeLessThan(700)
      expect(outcome.problem).not.toMatch(/\p{Cc}/u)
      expect(outcome.problem.isWellFormed()).toBe(true)
    }
    await until('the sandbox to answer', async () => (await run('return 3')).ok, { within: 20_000 })
  })
})

test('the process has an empty environment, one pipe and no more memory than it needs', async () => {
  await run('return 1')
  const { pid = 0 } = sandbox
  expect(readFileSync(`/proc/${pid}/environ`, 'utf8')).toBe('')
  const rss = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  process.stdout.write(`  the sandbox holds ${Math.round(Number(rss) / 1024)} MiB after all of the above\n`)
  expect(Number(rss)).toBeLessThan(400 * 1024)
})

test('killed from outside, it fails the order that it had and serves the next from a new process', async () => {
  await run('return 1')
  const { pid = 0 } = sandbox
  const killed = run('for (;;);')
  process.kill(pid, 'SIGKILL')
  expect(await killed).toMatchObject({ ok: false })
  await until('another process to answer', async () => (await run('return 1')).ok, { within: 20_000 })
  expect(sandbox.pid).not.toBe(pid)
})

test('orders that come while one loops wait for it, and all are answered', async () => {
  await run('return 1')
  const all = await Promise.all([run('for (;;);'), ...Array.from({ length: 20 }, (_, index) => run(`return ${index}`))])
  expect(all[0]).toMatchObject({ ok: false })
  expect(all.slice(1).filter(({ ok }) => ok).length).toBeGreaterThan(15)
})

test('more orders than may wait have failed at once', async () => {
  const all = await Promise.all(Array.from({ length: 250 }, () => run('return 1')))
  expect(all.filter((each) => !each.ok && each.problem === 'too many policies are waiting').length).toBe(50)
})

test('it ends with whoever started it', async () => {
  const other = new PolicySandbox({ entry, clock: systemClock, log: silentLog })
  await other.run('h', 'p.ts', { 'p.ts': 'export default () => 1' }, '{}')
  const { pid = 0 } = other
  other.stop()
  await until('it to end', () => !isAlive(pid))
  expect(await other.run('h', 'p.ts', {}, '{}')).toMatchObject({ ok: false, problem: 'the sandbox is stopped' })
})

test('an evaluation costs milliseconds: a figure to look at', async () => {
  const modules = { 'p.ts': 'export default (facts) => ({ verdict: "deny", reason: facts.reason })' }
  for (let warm = 0; warm < 50; warm++) await sandbox.run('figure', 'p.ts', modules, '{"reason":"x"}')
  const started = performance.now()
  for (let each = 0; each < 200; each++) await sandbox.run('figure', 'p.ts', modules, '{"reason":"x"}')
  process.stdout.write(`  ${((performance.now() - started) / 200).toFixed(2)} ms an evaluation\n`)
})
