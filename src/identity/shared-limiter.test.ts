import { afterEach, beforeEach, expect, test } from 'vitest'
import { identityStore, type IdentityStore } from '../../test/support/identity-store.ts'
import { silentLog } from '../foundation/log.ts'
import { SharedLimiter } from './shared-limiter.ts'

const MINUTE = 60_000

let store: IdentityStore
beforeEach(() => {
  store = identityStore()
})
afterEach(() => store.close())

const limiter = (): SharedLimiter => new SharedLimiter({ ...store, log: silentLog, installation: 'ins_1' })
const outcome = async (by: SharedLimiter, account: string | null, address: string): Promise<string> => {
  try {
    await by.begin(account, address)
    return 'taken'
  } catch (error) {
    return (error as { hint: string }).hint
  }
}
const rows = () => store.database.reads.selectFrom('attempts').selectAll().execute()

test('a restart forgets no failed try', async () => {
  for (let i = 0; i < 5; i++) expect(await outcome(limiter(), 'alice', `10.0.0.${i}`)).toBe('taken')
  expect(await outcome(limiter(), 'alice', '10.0.0.9')).toBe('try again in 15 min')
  store.clock.advance(15 * MINUTE)
  expect(await outcome(limiter(), 'alice', '10.0.0.9')).toBe('taken')
  expect(await rows()).toHaveLength(2)
})

test('daemons on one store count together, also tries that begin at the same moment', async () => {
  const both = [limiter(), limiter()]
  const tries = Array.from({ length: 20 }, (_, i) => outcome(both[i % 2] ?? limiter(), 'alice', `10.0.${i}.1`))
  expect((await Promise.all(tries)).filter((each) => each === 'taken')).toHaveLength(5)
})

test('a refused try is not counted anywhere', async () => {
  const one = limiter()
  for (let i = 0; i < 5; i++) await one.begin('alice', '10.0.0.1')
  const before = await rows()
  expect(await outcome(limiter(), 'alice', '10.0.0.2')).toBe('try again in 15 min')
  expect(await outcome(one, 'bob', '10.0.0.1')).toBe('try again in 15 min')
  expect(await rows()).toEqual(before)
})

test('the right secret frees the account for every daemon, and not the address', async () => {
  for (let i = 0; i < 4; i++) await limiter().begin('alice', '10.0.0.1')
  await (await limiter().begin('alice', '10.0.0.2')).succeed()
  expect(await outcome(limiter(), 'alice', '10.0.0.3')).toBe('taken')
  expect(await outcome(limiter(), 'carol', '10.0.0.1')).toBe('taken')
  expect(await outcome(limiter(), 'dave', '10.0.0.1')).toBe('try again in 15 min')
})

test('what was no guess is taken back in the store, too, and an operator forgives', async () => {
  const attempt = await limiter().begin('alice', '10.0.0.1')
  await attempt.takeBack()
  expect(await rows()).toEqual([])
  for (let i = 0; i < 5; i++) await limiter().begin('alice', `10.0.1.${i}`)
  await limiter().forgive('alice')
  expect(await outcome(limiter(), 'alice', '10.0.2.1')).toBe('taken')
})

test('a clock that was set back locks nobody out for longer than a window', async () => {
  for (let i = 0; i < 5; i++) await limiter().begin('alice', `10.0.0.${i}`)
  store.clock.jumpTo(store.clock.now() - 3 * 60 * MINUTE)
  expect(await outcome(limiter(), 'alice', '10.0.1.1')).toBe('try again in 15 min')
})

test('what was typed as a name is not stored', async () => {
  await limiter().begin('my.secret.password', '10.0.0.1')
  expect(JSON.stringify(await rows())).not.toMatch(/secret|10\.0\.0/)
})

test('a try that the store cannot count is not made, and counts nowhere', async () => {
  const { reads } = store.database
  const database = { reads, transact: () => Promise.reject(new Error('full')), storeNow: () => Promise.resolve(0) }
  const one = new SharedLimiter({ clock: store.clock, log: silentLog, installation: 'ins_1', database })
  for (let i = 0; i < 7; i++)
    await expect(one.begin('alice', '10.0.0.1')).rejects.toMatchObject({ code: 'store_unavailable' })
})
