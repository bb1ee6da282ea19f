import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  AlreadyResolved,
  CursorGone,
  NotAllowed,
  NotFound,
  RequestChanged,
  Sallyport,
  TokenRefused,
  Untrusted,
  type Change,
} from '../../sdk/index.ts'
import { startDaemon, type TestDaemon, type TestPerson } from '../../sdk/testing.ts'
import { builtPrograms } from '../support/built-programs.ts'

const HOUR = 3_600_000
let daemon: TestDaemon
let alice: TestPerson
let bob: TestPerson
let bot: Sallyport

beforeAll(async () => {
  daemon = await startDaemon({ program: (await builtPrograms()).sallyport })
  await daemon.role('dba', { allow: { logins: ['root'] } })
  await daemon.role('web', { allow: { logins: ['deploy'] } })
  const thresholds = [{ name: 'two', approve: 2, deny: 1 }]
  await daemon.role('engineer', { allow: { request: { roles: ['dba', 'web'], max_duration: '4h', thresholds } } })
  await daemon.role('reviewer', { allow: { review_requests: { roles: ['dba'] } } })
  alice = await daemon.person('alice', ['engineer'])
  bob = await daemon.person('bob', ['reviewer'])
  const scopes = ['requests:read', 'requests:review', 'requests:annotate'] as const
  bot = await daemon.serviceAccount('bot', { scopes, roles: ['reviewer'], owner: 'bob' })
}, 120_000)
afterAll(async () => daemon.stop())

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

/** Takes changes until one is wanted; those that were seen. */
async function changesUntil(changes: AsyncIterable<Change>, isLast: (change: Change) => boolean): Promise<Change[]> {
  const seen: Change[] = []
  for await (const change of changes) {
    seen.push(change)
    if (isLast(change)) return seen
  }
  throw new Error('the changes ended')
}

test('a service account sees what it may review and nothing else, votes as itself, and writes notes', async () => {
  const asked = await alice.ask({ roles: ['dba'], reason: 'ticket 7' })
  const other = await alice.ask({ roles: ['web'] })
  await expect(bot.show(other.id)).rejects.toThrow(NotFound)
  expect((await all(bot.list({ state: 'pending' }))).map(({ id }) => id)).toEqual([asked.id])

  const noted = await bot.annotate(asked.id, { text: 'ticket 7 is open', key: 'ticket' })
  expect(noted.notes).toMatchObject([{ by: 'bot', key: 'ticket', text: 'ticket 7 is open' }])
  expect([noted.requestDigest, noted.factsDigest]).toEqual([asked.requestDigest, asked.factsDigest])
  await bot.annotate(asked.id, { text: 'ticket 7 is closed', key: 'ticket' })
  expect((await bob.show(asked.id)).notes.map(({ text }) => text)).toEqual(['ticket 7 is closed'])

  expect((await bot.preview(asked.id)).needed.join()).toContain('2')
  const voted = await bot.approve(await bot.show(asked.id), { reason: 'by the rules', duration: HOUR })
  expect(voted).toMatchObject({ state: 'pending', grantedDuration: HOUR })
  expect(voted.reviews).toMatchObject([{ reviewer: 'bot', decision: 'approve', counts: true }])
})

test('an owner and their service account are one human with one vote', async () => {
  const { id } = await alice.ask({ roles: ['dba'], reason: 'one human' })
  await bot.approve(await bot.show(id))
  const both = await bob.approve(id)
  expect(both.state).toBe('pending')
  expect(both.reviews.map(({ reviewer, counts, why }) => [reviewer, counts, why])).toEqual([
    ['bot', false, 'owner_voted'],
    ['bob', true, null],
  ])
  await alice.cancel(id)
})

test('nobody’s service account reviews a request of its owner', async () => {
  const scopes = ['requests:read', 'requests:review'] as const
  const own = await daemon.serviceAccount('alices-bot', { scopes, roles: ['reviewer'], owner: 'alice' })
  const asked = await alice.ask({ roles: ['dba'], reason: 'by myself' })
  await expect(own.show(asked.id)).rejects.toThrow(NotFound)
  await expect(own.approve(asked)).rejects.toMatchObject({ code: 'own_request', name: 'NotAllowed' })
  await alice.cancel(asked.id)
})

test('votes are for what was shown: another content, another state and a missing scope are told apart', async () => {
  const asked = await bot.show((await alice.ask({ roles: ['dba'], reason: 'shown' })).id)
  await expect(bot.approve({ ...asked, factsDigest: '0'.repeat(64) })).rejects.toThrow(RequestChanged)
  await expect(bot.approve({ ...asked, grantedDuration: 1 })).rejects.toThrow(RequestChanged)
  const reader = await daemon.serviceAccount('reader', { scopes: ['requests:read'], roles: ['reviewer'] })
  await expect(reader.deny(asked)).rejects.toThrow(NotAllowed)
  await expect(reader.deny(asked)).rejects.toMatchObject({ hint: expect.stringContaining('--scope=requests:review') })
  await bot.deny(asked, { reason: 'no' })
  await expect(reader.annotate(asked.id, { text: 'x' })).rejects.toThrow(NotAllowed)
  await expect(bot.approve(asked)).rejects.toThrow(AlreadyResolved)
  // What was denied may be asked for again after ten minutes.
  await daemon.advance(11 * 60_000)
})

test('watching begins with what is pending, tells of every change in order, and resumes behind the last cursor', async () => {
  const first = await alice.ask({ roles: ['dba'], reason: 'watched' })
  const seen = await changesUntil(bot.watchRequests(), ({ request }) => request.id === first.id)
  const { cursor } = seen.at(-1) ?? {}
  expect(seen.every(({ type }) => type === 'found')).toBe(true)

  const controller = new AbortController()
  const watching = changesUntil(
    bot.watchRequests({ ...(cursor ? { cursor } : {}), signal: controller.signal }),
    ({ type }) => type === 'access_request.cancel',
  )
  await alice.ask({ roles: ['web'], reason: 'nothing that the bot may know of' })
  await bot.annotate(first.id, { text: 'seen' })
  await bob.approve(first.id)
  await alice.cancel(first.id)
  const changes = await watching
  const types = ['access_request.annotate', 'access_request.review', 'access_request.cancel']
  expect(changes.map(({ type }) => type)).toEqual(types)
  expect(changes.every(({ request }) => request.id === first.id)).toBe(true)

  const again = await changesUntil(
    bot.watchRequests({ cursor: cursor ?? '' }),
    ({ type }) => type === 'access_request.cancel',
  )
  expect(again.map(({ id }) => id)).toEqual(changes.map(({ id }) => id))
  controller.abort()
})

test('a watch ends when its signal is aborted, and at once when the token is taken away', async () => {
  const controller = new AbortController()
  const waiting = all(bot.watchRequests({ signal: controller.signal }))
  controller.abort()
  await expect(waiting).resolves.toBeInstanceOf(Array)

  const doomed = await daemon.serviceAccount('doomed', { scopes: ['requests:read'], ttl: HOUR })
  const ended = all(doomed.watchRequests()).catch((error: unknown) => error)
  await daemon.advance(2 * HOUR)
  await alice.ask({ roles: ['dba'], reason: 'wakes whoever waits' })
  expect(await ended).toBeInstanceOf(TokenRefused)
})

test('the clock moves: what was asked for expires, and a cursor of last month is told that it is too old', async () => {
  const { cursor } = (await changesUntil(bot.watchRequests(), (change) => change.cursor !== '')).at(-1) ?? {}
  const dana = await daemon.person('dana', ['engineer'])
  const { id } = await dana.ask({ roles: ['dba'], reason: 'too late' })
  await daemon.advance(25 * HOUR)
  const token = await daemon.serviceToken('bot', { scopes: ['requests:read'], owner: 'bob', ttl: 60 * 24 * HOUR })
  expect((await daemon.connect(token).show(id)).state).toBe('expired')
  await daemon.advance(31 * 24 * HOUR)
  const old = all(daemon.connect(token).watchRequests({ cursor: cursor ?? '' }))
  await expect(old).rejects.toThrow(CursorGone)
})

test('another authority than the pinned one gets no token, and what is no pin or token is refused before any call', async () => {
  const { address } = daemon
  const token = `sally_service_${'x'.repeat(43)}`
  using stranger = new Sallyport({ address, caPin: `sha256:${'0'.repeat(64)}`, token })
  await expect(stranger.show('req_x')).rejects.toThrow(Untrusted)
  expect(() => new Sallyport({ address, caPin: 'none', token })).toThrow('sha256:')
  expect(() => new Sallyport({ address, caPin: daemon.caPin, token: 'sally_login_x' })).toThrow('service token')
  using unknown = new Sallyport({ address, caPin: daemon.caPin, token })
  await expect(unknown.show('req_x')).rejects.toThrow(TokenRefused)
})

test('a daemon that is stopped leaves no process and no folder', async () => {
  const before = readdirSync(tmpdir()).filter((name) => name.startsWith('sallyport-test-'))
  const other = await startDaemon({ program: (await builtPrograms()).sallyport })
  const folder = readdirSync(tmpdir()).find((name) => name.startsWith('sallyport-test-') && !before.includes(name))
  const path = `${tmpdir()}/${folder ?? ''}`
  const pids = readdirSync(`${path}/clock`).flatMap((name) => /^seen-(\d+)$/.exec(name)?.[1] ?? [])
  expect(pids.length).toBeGreaterThan(0)
  await other.stop()
  expect(existsSync(path)).toBe(false)
  const left = pids.filter(
    (pid) => existsSync(`/proc/${pid}`) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(path),
  )
  await expect.poll(() => left.filter((pid) => existsSync(`/proc/${pid}`))).toEqual([])
})
