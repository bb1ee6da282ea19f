import { afterEach, beforeEach, expect, test } from 'vitest'
import { silentLog } from '../foundation/log.ts'
import { identityStore } from '../../test/support/identity-store.ts'
import type { IdentityStore } from '../../test/support/identity-store.ts'
import type { CallContext } from './handler.ts'
import { statusHandlers } from './status.ts'

let store: IdentityStore
beforeEach(() => {
  store = identityStore()
})
afterEach(() => store.close())

const context: CallContext = {
  actor: { kind: 'local-admin', id: null, name: 'local-admin' },
  login: null,
  local: true,
  address: 'local',
  signal: new AbortController().signal,
  log: silentLog,
  requireOperator: async () => {},
  requireFresh: async () => null,
  confirmation: null,
}
const status = (keyEncryption: string, missing: string[] = [], instanceId: string | null = null) =>
  statusHandlers({
    database: store.database,
    clock: store.clock,
    installation: 'test',
    version: '1',
    keyEncryption,
    publicAddress: () => 'a:1',
    pin: () => 'sha256:00',
    notReady: async () => missing,
    liveSessions: () => 3,
    instanceId,
    storeNow: () => store.clock.now(),
  }).status?.(context, { params: {}, query: undefined, body: undefined })

test('a key in a file on this host is warned of, and its path is not told', async () => {
  const answer = await status('file:/var/lib/key')
  expect(answer).toMatchObject({ ready: true, keyEncryption: 'file', events: 0, liveSessions: 3 })
  expect(JSON.stringify(answer)).toContain('lies in a file on this host')
  expect(JSON.stringify(answer)).not.toContain('/var/lib')
  expect(await status('credential:kek')).toMatchObject({ warnings: [] })
})

test('what is missing is named', async () => {
  expect(await status('passphrase', ['the store does not answer'])).toMatchObject({
    ready: false,
    notReady: ['the store does not answer'],
  })
})

test('the daemons on one store are listed, with when each was last heard of and whether it still counts', async () => {
  const now = store.clock.now()
  const row = { started_at: now - 60_000, dead_after_ms: 10_000 }
  await store.database.transact((tx) =>
    tx
      .insertInto('instances')
      .values([
        { ...row, id: 'ist_a', name: 'host-a/1', seen_at: now - 1500 },
        { ...row, id: 'ist_b', name: 'host-b/2', seen_at: now - 10_001 },
      ])
      .execute(),
  )
  expect(await status('passphrase', [], 'ist_a')).toMatchObject({
    instances: [
      { id: 'ist_a', name: 'host-a/1', isThis: true, lives: true, heardOfMsAgo: 1500, startedAt: now - 60_000 },
      { id: 'ist_b', name: 'host-b/2', isThis: false, lives: false, heardOfMsAgo: 10_001 },
    ],
  })
  expect(await status('passphrase')).not.toHaveProperty('instances')
})
