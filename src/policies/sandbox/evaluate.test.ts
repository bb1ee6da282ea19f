import { beforeAll, describe, expect, test } from 'vitest'
import type { QuickJSWASMModule } from 'quickjs-emscripten-core'
import { newInterpreter } from './assets.ts'
import { inspectPolicy, resolveModule, runPolicy, type Outcome } from './evaluate.ts'

let quickjs: QuickJSWASMModule
beforeAll(async () => {
  quickjs = await newInterpreter()
})

/** A policy of one file; after a failure that may have spoiled the interpreter, the next one gets another. */
async function run(source: string, facts: unknown = { reason: 'x' }): Promise<Outcome> {
  const outcome = runPolicy(quickjs, { 'p.ts': source }, 'p.ts', JSON.stringify(facts))
  if (!outcome.ok && outcome.spoiled) quickjs = await newInterpreter()
  return outcome
}
const answers = (json: string) => ({ ok: true, answer: json })
const fails = (problem: string | RegExp) => ({
  ok: false,
  problem: typeof problem === 'string' ? expect.stringContaining(problem) : expect.stringMatching(problem),
})

test('a policy gets the facts and answers JSON', async () => {
  expect(await run('export default (facts) => ({ verdict: "deny", reason: facts.reason })')).toEqual(
    answers('{"verdict":"deny","reason":"x"}'),
  )
})

describe('there is nothing to reach', () => {
  test.each([
    'process',
    'require',
    'fetch',
    'console',
    'setTimeout',
    'Date',
    'performance',
    'WeakRef',
    'Buffer',
    'std',
    'os',
  ])('no %s', async (name) => {
    expect(await run(`export default () => typeof ${name}`)).toEqual(answers('"undefined"'))
  })

  test('no randomness, and no way to a clock by construction', async () => {
    expect(await run('export default () => typeof Math.random')).toEqual(answers('"undefined"'))
    expect(await run('export default () => typeof (() => {}).constructor("return globalThis")().Date')).toEqual(
      answers('"undefined"'),
    )
    expect(await run('export default () => Object.keys(globalThis)')).toEqual(answers('["facts"]'))
  })

  test.each(['node:fs', 'fs', 'https://example.org/x.js', '/etc/passwd', '../other.ts', './nothing.ts'])(
    'no import of %s',
    async (name) => {
      expect(await run(`import x from ${JSON.stringify(name)}\nexport default () => x`)).toMatchObject(
        fails('cannot import'),
      )
      expect(await run(`export default () => { import(${JSON.stringify(name)}); return 1 }`)).toEqual(answers('1'))
    },
  )
})

describe('what one policy does is over with it', () => {
  test('globals, prototypes and built-ins are new for the next one', async () => {
    await run('globalThis.left = 1; Object.prototype.polluted = 1; JSON.stringify = () => "1"; export default () => 1')
    expect(await run('export default () => [typeof left, typeof {}.polluted]')).toEqual(
      answers('["undefined","undefined"]'),
    )
  })

  test('after one that was stopped, ran out of memory or threw', async () => {
    for (const source of ['for (;;);', 'return new Uint8Array(1e9).length', 'throw 1'])
      expect((await run(`export default () => { ${source} }`)).ok).toBe(false)
    expect(await run('export default () => 2')).toEqual(answers('2'))
  })
})

describe('a policy that', () => {
  test.each([
    ['loops when it is loaded', 'for (;;); export default () => 1', 'longer than'],
    ['waits when it is loaded', 'await new Promise(() => {}); export default () => 1', 'must not wait'],
    ['throws when it is loaded', '\nthrow new Error("no")\nexport default () => 1', 'p.ts:2: Error: no'],
    ['exports no function', 'export default 1', 'not a function'],
    ['exports nothing by default', 'export const policy = () => 1', /./],
    ['is no JavaScript', 'export default (', 'p.ts:1: SyntaxError'],
  ])('%s has failed', async (_what, source, problem) => {
    expect(await run(source)).toMatchObject(fails(problem))
  })
})

test('inspecting names what it imports, and what it exports besides', () => {
  const modules = {
    'p.ts': 'import { a } from "./lib/a.ts"; export const verdicts = ["approve"], zone = "UTC"; export default () => a',
    'lib/a.ts': 'export { b as a } from "../q.ts"',
    'q.ts': 'export const b = 1; export default () => b',
    'unused.ts': 'throw 1',
  }
  expect(inspectPolicy(quickjs, modules, 'p.ts')).toEqual({
    ok: true,
    answer: '{"verdicts":["approve"],"zone":"UTC"}',
    uses: ['p.ts', 'lib/a.ts', 'q.ts'],
  })
  expect(inspectPolicy(quickjs, { 'p.ts': 'export default 1' }, 'p.ts')).toMatchObject({ ok: false })
})

test('modules are found inside the folder, and nowhere else', () => {
  expect(resolveModule('p.ts', './lib/a.ts')).toBe('lib/a.ts')
  expect(resolveModule('lib/a.ts', '../q.ts')).toBe('q.ts')
  expect(resolveModule('lib/a.ts', '../../etc/passwd')).toBeNull()
  expect(resolveModule('p.ts', '@sallyport/sdk/policy')).toBe('@sallyport/sdk/policy')
})
