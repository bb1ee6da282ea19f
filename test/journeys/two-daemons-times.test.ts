// First use, notices and extension on two daemons with one PostgreSQL store.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { approve, granted, openShell, type Shell } from '../support/granted.ts'
import { startPairScene, type PairScene } from '../support/pair-scene.ts'
import type { Account } from '../support/sallyport.ts'
import { until } from '../support/until.ts'

let pair: PairScene
let alice: Account
let bob: Account
let request = ''
let shell: Shell

beforeAll(async () => {
  pair = await startPairScene()
  ;({ alice, bob } = pair)
})
afterAll(() => pair?.stop())

const notices = async () => (await pair.a.events({ type: 'grant.notice', request })).length

test('1: connections through both at the same moment start the clock once, and all get in', async () => {
  request = await granted(alice, 'dba', [bob], '--start=first-use', '--duration=90s')
  const through = (port: number) => alice.ssh('-p', String(port), 'db-box', 'true')
  const ports = [pair.a.port, pair.b.port, pair.a.port, pair.b.port, pair.a.port, pair.b.port]
  const done = await Promise.all(ports.map(through))
  expect(done.map(({ code, stderr }) => [code, stderr])).toEqual(ports.map(() => [0, '']))
  const starts = await pair.a.events({ type: 'grant.start', request })
  expect(starts).toHaveLength(1)
  const { grant } = await pair.b.api.showRequest({ params: { id: request } })
  expect(grant).toMatchObject({ state: 'active', startsAt: starts[0]?.details?.['startsAt'] })
  expect((grant?.endsAt ?? 0) - (grant?.startsAt ?? 0)).toBe(90_000)
})

test('2: a minute before the end the terminal is told, and the requester once, whichever daemon tells', async () => {
  shell = await openShell(alice, 'db-box')
  await shell.terminal.shows(/your access \(dba\) ends in 1 minute/, { within: 120_000 })
  await until('the notice to be stored', async () => (await notices()) > 0)
})

test('3: an extension that is approved on B moves the end of the session on A', async () => {
  const asked = await alice.sally('request', 'extend', request, '--duration=1h', '--reason=more', '--nowait')
  expect(asked.code).toBe(0)
  const extension = /\breq_[0-9a-f-]{36}\b/.exec(asked.stdout)?.[0] ?? ''
  await approve(bob, extension)
  await shell.terminal.shows(/your access \(dba\) now ends in \d\d minutes/)
  await shell.terminal.type("echo STILL''HERE\r")
  await shell.terminal.shows(/STILLHERE/)
  // Both look every second, and have done so several times since the notice was due.
  expect(await notices()).toBe(1)
})
