import { afterEach, beforeEach, expect, test } from 'vitest'
import { identityStore, type IdentityStore } from '../../test/support/identity-store.ts'
import { silentLog } from '../foundation/log.ts'
import { RefusedCalls } from './refused-calls.ts'

let store: IdentityStore
let calls: RefusedCalls
beforeEach(() => {
  store = identityStore()
  calls = new RefusedCalls(store.deeds, store.clock, silentLog)
})
afterEach(() => store.close())

const caller = (loginId: string) => {
  const user = { id: 'usr_eve', name: 'eve' }
  return { kind: 'user' as const, loginId, user, secondFactorAt: null, hasSecondFactor: false }
}
const told = async (): Promise<unknown[]> => {
  await store.deeds.commitDeed(async () => ({ result: null, events: [{ type: 'daemon.stop', ...SYSTEM }] }))
  const rows = await store.database.reads.selectFrom('audit_events').selectAll().orderBy('seq').execute()
  return rows.filter(({ type }) => type === 'api.refused').map((row) => [row.user_id, row.login_id, row.details_json])
}
const SYSTEM = { actor: { kind: 'system', id: null, name: 'sallyport' }, outcome: 'success' } as const

test('who tries what only operators may leaves an event, one a minute for each login session and route', async () => {
  for (let times = 0; times < 50; times++) calls.report(caller('lgn_1'), 'addLock')
  calls.report(caller('lgn_1'), 'removeUser')
  calls.report(caller('lgn_2'), 'addLock')
  expect(await told()).toEqual([
    ['usr_eve', 'lgn_1', '{"route":"addLock"}'],
    ['usr_eve', 'lgn_1', '{"route":"removeUser"}'],
    ['usr_eve', 'lgn_2', '{"route":"addLock"}'],
  ])
  store.clock.advance(60_000)
  calls.report(caller('lgn_1'), 'addLock')
  expect(await told()).toHaveLength(4)
})
