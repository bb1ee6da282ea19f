// Rules, policies, escalation and extensions on two daemons with one PostgreSQL store: everything is decided and told once,
// whichever of them does it, and also when one dies. The steps build on each other.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ask } from '../support/granted.ts'
import { startPairScene, type PairScene } from '../support/pair-scene.ts'
import type { Sallyport } from '../support/sallyport.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { until } from '../support/until.ts'

const folder = tempFolder('pair-policies')
let pair: PairScene

beforeAll(async () => {
  mkdirSync(folder.path, { recursive: true, mode: 0o755 })
  writeFileSync(
    join(folder.path, 'careful.ts'),
    `import { abstain, deny, limit, type Policy } from '@sallyport/sdk/policy'
     const careful: Policy = ({ request }) =>
       request.reason.includes('freeze') ? deny('frozen') : request.reason.includes('short') ? limit('20m') : abstain()
     export default careful`,
    { mode: 0o644 },
  )
  const escalation = [
    { after: '1s', notify: ['bob'] },
    { after: '2s', notify: ['*'] },
  ]
  pair = await startPairScene({ config: { policies: folder.path } }, { escalation })
  const spec = {
    roles: ['dba'],
    decision: 'approve',
    reason: 'by the rule',
    condition: 'request.reason.contains("routine")',
  }
  await pair.b.document({ kind: 'review_rule', version: 'v1', metadata: { name: 'routine' }, spec })
})
afterAll(async () => {
  await pair?.stop()
  folder[Symbol.dispose]()
})

const typesOf = async (on: Sallyport, request: string): Promise<string[]> =>
  (await on.events({ request })).map(({ type }) => type).filter((type) => /^(access_request|grant)\./.test(type))
const toldOf = async (request: string, topic: string): Promise<number> =>
  (await pair.a.api.listDeliveries({})).items.filter(
    (each) => each.topic === topic && JSON.stringify(each).includes(request),
  ).length

test('1: a rule that was written on B approves what is asked on A, once, and the policy of both limits it', async () => {
  const id = await ask(pair.alice, 'dba', '--reason=routine and short', '--duration=1h')
  for (const on of [pair.a, pair.b])
    expect(await typesOf(on, id)).toEqual([
      ...['access_request.create', 'access_request.review', 'access_request.approve', 'grant.start'],
    ])
  const { grant, reviews, automatic } = await pair.b.api.showRequest({ params: { id } })
  expect((grant?.endsAt ?? 0) - (grant?.startsAt ?? 0)).toBe(20 * 60_000)
  expect(reviews.map(({ reviewer }) => reviewer)).toEqual(['rule:routine'])
  expect(automatic.map(({ by }) => by)).toEqual(['rule:routine', 'policy:careful'])
  expect((await pair.alice.ssh('db-box', 'true')).code).toBe(0)
})

test('2: a policy denies at both, and the decision is told once', async () => {
  const id = await ask(pair.alice, 'dba', '--reason=in the freeze')
  expect(await pair.b.api.showRequest({ params: { id } })).toMatchObject({
    state: 'denied',
    resolution: 'denied by policy:careful: frozen',
  })
  expect(await toldOf(id, 'request.decided')).toBe(1)
})

test('3: nobody answers: each step of the escalation is taken once, whichever daemon comes first', async () => {
  const id = await ask(pair.alice, 'dba', '--reason=nobody is there')
  const steps = async (): Promise<number> =>
    (await typesOf(pair.a, id)).filter((type) => type === 'access_request.escalate').length
  await until('both steps to be taken', async () => (await steps()) === 2, { within: 60_000 })
  const marker = await ask(pair.alice, 'dba', '--reason=a marker')
  // Both have looked again since: the steps of a later request were taken, too.
  await until(
    'a later request to be escalated',
    async () => (await typesOf(pair.b, marker)).filter((type) => type === 'access_request.escalate').length === 2,
    { within: 60_000 },
  )
  expect(await steps()).toBe(2)
  expect(await toldOf(id, 'request.escalated')).toBe(2)
})

test('4: A dies; B decides what was asked there, and escalates it alone; A comes back to the same history', async () => {
  const { a, b, bob } = pair
  const id = await ask(pair.alice, 'dba', '--reason=before the end of A')
  await a.kill('SIGKILL')
  await until(
    'B to take both steps',
    async () => (await typesOf(b, id)).filter((type) => type === 'access_request.escalate').length === 2,
    { within: 60_000 },
  )
  expect((await bob.sally('request', 'review', id, '--approve', '--reason=fine')).code).toBe(0)
  await a.restart()
  expect(await typesOf(a, id)).toEqual(await typesOf(b, id))
  expect((await typesOf(a, id)).filter((type) => type === 'access_request.approve')).toHaveLength(1)
  const { items } = await a.api.listPolicies({})
  expect(items.map(({ file }) => file)).toEqual(['careful.ts'])
  // It had them in force already, and so changed nothing when it started.
  expect((await a.events({ type: 'policy.*' })).map(({ type }) => type)).toEqual(['policy.load'])
})

test('5: B dies while it votes; the vote is there or not, and the next one decides once', async () => {
  const { a, b, bob } = pair
  const carol = await a.user('carol', ['reviewer']).then(() => a.signIn('carol'))
  const id = await ask(pair.alice, 'dba', '--reason=in the middle')
  const voting = bob.start('sally', 'request', 'review', id, '--approve', '--reason=perhaps')
  await b.kill('SIGKILL')
  await voting.finished
  const again = await carol.sally('request', 'review', id, '--approve', '--reason=surely')
  const { state, reviews } = await a.api.showRequest({ params: { id } })
  expect(state).toBe('approved')
  // Where bob's vote was stored it had decided already.
  expect(again.code === 0).toBe(reviews.some(({ reviewer }) => reviewer === 'carol'))
  expect((await typesOf(a, id)).filter((type) => /approve|grant\.start/.test(type))).toEqual([
    ...['access_request.approve', 'grant.start'],
  ])
  await b.restart()
})
