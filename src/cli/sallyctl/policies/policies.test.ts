import { writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { commandLine, NOW, signedInFolder } from '../../../../test/support/command-line.ts'
import { fakeApi, type FakeHandlers } from '../../../../test/support/fake-api.ts'
import { tempFolder, type TempFolder } from '../../../../test/support/temp-folder.ts'
import type { AutomationFacts, Judgement } from '../../../contract/policy.ts'
import { Refused } from '../../../foundation/errors.ts'
import type { OpenWorkbench } from '../../shared/command-context.ts'
import { sallyctl } from '../program.ts'
import { readCases } from './policy-cases.ts'

let folder: TempFolder
beforeEach(() => {
  folder = tempFolder('policies')
})
afterEach(() => folder[Symbol.dispose]())

/** Policies that are functions here; `opened` is where they were said to come from. */
function workbench(policies: Record<string, (facts: AutomationFacts) => Judgement>) {
  const opened: Parameters<OpenWorkbench>[0][] = []
  const openWorkbench: OpenWorkbench = async (from) => {
    opened.push(from)
    return {
      files: Object.keys(policies),
      judge: async (file, facts) => policies[file]?.(facts) ?? { ok: false, problem: 'none' },
      close: () => {},
    }
  }
  return { openWorkbench, opened }
}
async function run(args: readonly string[], handlers: FakeHandlers, openWorkbench?: OpenWorkbench) {
  const extra = openWorkbench ? { openWorkbench } : {}
  return commandLine(args, {
    program: sallyctl,
    api: fakeApi(handlers),
    folder: await signedInFolder(folder.path),
    extra,
  })
}
const says = (...verdicts: Extract<Judgement, { ok: true }>['verdicts']): Judgement => ({ ok: true, verdicts })
const inForce = (file: string) => ({
  file,
  modules: { [file]: 'source' },
  contentHash: 'abcdef0123456789',
  approveOnly: false,
  zone: 'UTC',
  loadedAt: NOW,
})

describe('the cases of a policy', () => {
  test('what is left out has a default', () => {
    expect(readCases('- { name: a, facts: {}, expect: abstain }', 'p.cases.yaml')).toMatchObject([
      {
        name: 'a',
        expect: 'abstain',
        facts: {
          now: Date.UTC(2026, 0, 5, 10),
          request: { user: 'alice', roles: [], duration: 3_600_000, created: Date.UTC(2026, 0, 5, 10) },
          requester: { name: 'alice', roles: [], traits: {} },
        },
      },
    ])
  })

  test.each([
    ['- { name: a, facts: { request: { role: [x] } }, expect: deny }', 'case 1, facts.request'],
    ['- { name: a, facts: {}, expect: perhaps }', 'case 1, expect'],
    ['- { name: a, facts: { now: tomorrow }, expect: deny }', 'case 1, facts.now'],
    ['[]', 'p.cases.yaml: '],
    ['- { name: a, name: b }', 'p.cases.yaml is no YAML'],
    ['- &a { name: a, facts: {}, expect: deny }\n- *a', 'aliases'],
  ])('%s is refused with its place', (text, place) => {
    expect(() => readCases(text, 'p.cases.yaml')).toThrow(place)
  })
})

describe('policy check', () => {
  const bench = workbench({
    'a.ts': ({ request }) =>
      request.reason === '' ? says({ verdict: 'deny', reason: 'why?' }) : says({ verdict: 'abstain' }),
    'b.ts': () => ({ ok: false, problem: 'it loops' }),
    'c.ts': () => says({ verdict: 'abstain' }),
  })

  test('runs every case, names those that came out otherwise, and exits 1 for them', async () => {
    writeFileSync(
      folder.file('a.cases.yaml'),
      `- { name: without a reason, facts: {}, expect: { verdict: deny, reason: why? } }
- { name: with one, facts: { request: { reason: x } }, expect: deny }`,
    )
    writeFileSync(folder.file('b.cases.yaml'), '- { name: it fails, facts: {}, expect: fail }')
    const { exit, stdout } = await run(['policy', 'check', folder.path], {}, bench.openWorkbench)
    expect(stdout).toMatchInlineSnapshot(`
      "ok     a.ts: without a reason
      FAILED a.ts: with one; it said [{"verdict":"abstain"}]
      ok     b.ts: it fails
      without cases: c.ts
      3 policies, 3 cases, 1 FAILED
      "
    `)
    expect(exit).toBe(1)
  })

  test('cases without their policy are refused, and a program without a sandbox says so', async () => {
    writeFileSync(folder.file('d.cases.yaml'), '- { name: a, facts: {}, expect: deny }')
    const lost = await run(['policy', 'check', folder.path], {}, bench.openWorkbench)
    expect(lost.exit).toBe(2)
    expect(lost.stderr).toContain('there is no d.ts beside it')
    expect((await run(['policy', 'check', folder.path], {})).stderr).toContain('cannot run policies')
  })
})

describe('policy test', () => {
  const facts: AutomationFacts = {
    now: NOW - 1000,
    request: {
      kind: 'role',
      user: 'alice',
      roles: ['dba'],
      resources: [],
      reason: 'x',
      duration: 3_600_000,
      annotations: {},
      created: NOW - 1000,
      start: 'approval',
    },
    requester: { name: 'alice', roles: [], traits: {} },
  }
  const past = (request: string, ...judged: { by: string; judgement: Judgement }[]) => ({
    request,
    user: 'alice',
    roles: ['dba'],
    state: 'approved',
    createdAt: NOW - 1000,
    facts,
    judged,
  })

  test('asks a folder about every past request, on all pages, and prints what it would say otherwise', async () => {
    const queries: unknown[] = []
    const bench = workbench({ 'a.ts': () => says({ verdict: 'deny', reason: 'new words' }) })
    const { exit, stdout } = await run(
      ['policy', 'test', '--since=90d', '--policy=somewhere'],
      {
        pastJudgements: ({ query }) => {
          queries.push(query)
          return query.cursor === undefined
            ? { items: [past('req_1'), past('req_2', { by: 'rule:x', judgement: says() })], next: 'req_2' }
            : {
                items: [past('req_3', { by: 'policy:a', judgement: says({ verdict: 'deny', reason: 'old words' }) })],
                next: null,
              }
        },
      },
      bench.openWorkbench,
    )
    expect(bench.opened).toEqual([{ folder: 'somewhere' }])
    expect(queries).toMatchObject([{ since: NOW - 90 * 86_400_000 }, { cursor: 'req_2' }])
    expect(stdout.replaceAll(/^.* (req_)/gm, '$1')).toMatchInlineSnapshot(`
      "req_1 alice dba (approved): policy:a said nothing, would say deny
      req_2 alice dba (approved): policy:a said nothing, would say deny
      3 requests, 1 policies: 2 would differ
      "
    `)
    expect(exit).toBe(8)
  })

  test('without a folder those in force are asked; one that is gone would say nothing', async () => {
    const bench = workbench({ 'a.ts': () => says({ verdict: 'abstain' }) })
    const gone = { by: 'policy:b', judgement: says({ verdict: 'limit', duration: '1h' }) }
    const handlers: FakeHandlers = {
      listPolicies: () => ({ items: [inForce('a.ts')] }),
      pastJudgements: () => ({ items: [past('req_1', gone)], next: null }),
    }
    const { exit, stdout } = await run(['policy', 'test', '--since=7d', '--format=json'], handlers, bench.openWorkbench)
    expect(bench.opened).toEqual([{ policies: { 'a.ts': { 'a.ts': 'source' } } }])
    expect(JSON.parse(stdout)).toMatchObject({
      asked: 1,
      differences: [{ request: 'req_1', policy: 'policy:b', said: 'limit 1h', wouldSay: 'nothing' }],
    })
    expect(exit).toBe(8)
  })

  test('when nothing differs it exits 0', async () => {
    const bench = workbench({})
    const handlers: FakeHandlers = { pastJudgements: () => ({ items: [past('req_1')], next: null }) }
    expect((await run(['policy', 'test', '--since=1d', '--policy=x'], handlers, bench.openWorkbench)).exit).toBe(0)
  })
})

test('policy ls and reload say what is in force and what changed', async () => {
  const list = await run(['policy', 'ls'], { listPolicies: () => ({ items: [inForce('a.ts')] }) })
  expect(list.stdout).toMatch(/^a\.ts +abcdef012345 +blocks +UTC/m)
  const reload = await run(['policy', 'reload'], {
    reloadPolicies: () => ({ loaded: ['a.ts'], changed: [], removed: ['b.ts'] }),
  })
  expect(reload.stdout).toBe('loaded a.ts\nremoved b.ts\n')
  const broken = await run(['policy', 'reload'], {
    reloadPolicies: () => {
      throw new Refused('malformed', 'policies: a.ts:3: SyntaxError', 'what was in force stays in force')
    },
  })
  expect(broken.exit).toBe(2)
  expect(broken.stderr).toContain('a.ts:3: SyntaxError')
})
