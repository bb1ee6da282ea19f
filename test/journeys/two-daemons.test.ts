// Two daemons on one PostgreSQL store: alice lives on A, her reviewers on B. The steps build on each other.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openShell, type Shell } from '../support/granted.ts'
import { startPairScene, type PairScene } from '../support/pair-scene.ts'
import type { RunningProgram } from '../support/run.ts'
import { isAlive, type Account } from '../support/sallyport.ts'
import { until } from '../support/until.ts'

let pair: PairScene
let alice: Account
let bob: Account
let waiting: RunningProgram
let request = ''
let shell: Shell

beforeAll(async () => {
  pair = await startPairScene({ config: { offline_grace: '2s' } })
  ;({ alice, bob } = pair)
})
afterAll(() => pair?.stop())

test('1: alice asks on A and waits; bob is shown it on B and approves there; A tells her at once', async () => {
  waiting = alice.start('sally', 'request', 'create', '--roles=dba', '--reason=ticket #1234', '--duration=1h')
  await waiting.prints(/^Seeking request approval\.\.\.$/m)
  request = /\breq_[0-9a-f-]{36}\b/.exec(waiting.stdout())?.[0] ?? ''
  expect((await bob.sally('request', 'ls', '--reviewable')).stdout).toContain(request)
  const approved = await bob.sally('request', 'review', request, '--approve', '--reason=go ahead')
  expect(approved.code).toBe(0)
  expect((await waiting.finished).code).toBe(0)
})

test('2: stock ssh through A works', async () => {
  shell = await openShell(alice, 'db-box')
  expect(isAlive(shell.pid)).toBe(true)
  const [session] = await pair.b.sessions()
  expect(session).toMatchObject({ user: 'alice', endedAt: null })
})

test('3: bob revokes on B, and the shell on A is closed with his name', async () => {
  const revoked = await bob.sallyctl('request', 'revoke', request, '--reason=enough')
  expect(revoked.code).toBe(0)
  expect(await shell.terminal.exitStatus()).not.toBe(0)
  expect(await shell.terminal.history()).toMatch(/was revoked by bob: enough/)
  await until('the shell to go', () => !isAlive(shell.pid))
  expect((await alice.ssh('db-box', 'true')).code).not.toBe(0)
})

test('4: both tell one history, in which the decision was made once', async () => {
  const types = async (events: Promise<readonly { readonly type: string; readonly seq: number }[]>) =>
    (await events)
      .filter(({ type }) => /^(access_request|grant|session)\./.test(type))
      .map(({ seq, type }) => [seq, type])
  const [onA, onB] = [await types(pair.a.events({ request })), await types(pair.b.events({ request }))]
  expect(onA).toEqual(onB)
  expect(onA.map(([, type]) => type)).toEqual([
    ...['access_request.create', 'access_request.review', 'access_request.approve', 'grant.start'],
    ...['session.start', 'grant.revoke', 'session.end'],
  ])
})

test('5: an operator on B ends a session that lives on A', async () => {
  const again = (await alice.sally('request', 'create', '--roles=dba', '--reason=again', '--nowait', '--format=json'))
    .stdout
  const id = /"(req_[0-9a-f-]{36})"/.exec(again)?.[1] ?? ''
  expect((await bob.sally('request', 'review', id, '--approve', '--reason=once more')).code).toBe(0)
  shell = await openShell(alice, 'db-box')
  const live = (await pair.b.sessions()).find(({ endedAt }) => endedAt === null)
  const ended = await pair.b.admin('sessions', 'terminate', live?.id ?? '', '--message=tidying up')
  expect(ended.code).toBe(0)
  await shell.terminal.exitStatus()
  expect(await shell.terminal.history()).toMatch(/ended by local-admin: tidying up/)
})

test('6: a lock set through B is told by A to one who waits there; its end by B to one who looked at A', async () => {
  const { a, b } = pair
  const asked = await alice.sally('request', 'create', '--roles=dba', '--reason=look', '--nowait', '--format=json')
  const params = { id: /"(req_[0-9a-f-]{36})"/.exec(asked.stdout)?.[1] ?? '' }
  // Much less than a watch waits when it is told of nothing.
  const next = (daemon: typeof a, { version, look = '' }: { version: number; look?: string | undefined }) =>
    daemon.api.watchRequest({ params, query: { version, look }, signal: AbortSignal.timeout(15_000) })
  const free = await a.api.showRequest({ params })
  const waiting = next(a, free)
  expect((await b.admin('lock', 'add', '--role=dba', '--message=moving house')).code).toBe(0)
  const locked = await waiting
  expect(locked).toMatchObject({ version: free.version, resolution: expect.stringContaining('locked') })
  const [lock] = (await a.api.listLocks({})).items
  expect((await a.admin('lock', 'rm', lock?.id ?? '')).code).toBe(0)
  expect(await next(b, locked)).toMatchObject({ version: free.version, resolution: null, look: free.look })
  await alice.sally('request', 'cancel', params.id)
})

test('7: the status of either names both, and which one answers', async () => {
  for (const daemon of [pair.a, pair.b]) {
    const { stdout } = await daemon.admin('status', '--format=json')
    const { instances } = JSON.parse(stdout) as { instances: { name: string; isThis: boolean; lives: boolean }[] }
    expect(instances.map(({ lives }) => lives)).toEqual([true, true])
    expect(instances.filter(({ isThis }) => isThis)).toHaveLength(1)
  }
})

test('8: B is killed without notice; A closes what it left, and never its own', async () => {
  const { a, b } = pair
  const onA = await openShell(alice, 'db-box')
  const bea = await b.user('bea', ['dba']).then(() => b.signIn('bea'))
  await openShell(bea, 'db-box')
  const open = async () => (await a.sessions()).filter(({ endedAt }) => endedAt === null).map(({ user }) => user)
  expect((await open()).toSorted()).toEqual(['alice', 'bea'])
  await b.kill('SIGKILL')
  await until('the session of the dead daemon to be closed', async () => (await open()).join() === 'alice', {
    within: 60_000,
  })
  const left = (await a.sessions()).find(({ user }) => user === 'bea')
  expect(left?.endReason).toBe('its daemon is gone')
  expect(isAlive(onA.pid)).toBe(true)
  await b.restart()
  expect((await open()).join()).toBe('alice')
})
