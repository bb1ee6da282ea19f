import { beforeEach, expect, test } from 'vitest'
import { seededStore, type SeededStore } from '../../test/support/seeded-store.ts'
import { decideAccess } from './decide-access.ts'

// Of several grants, the one that matters is named: not whatever else of the user's happens to be suspended.

const HOUR = 3_600_000

let store: SeededStore
beforeEach(async () => {
  store = await seededStore()
  await store.role('dba', { allow: { logins: ['postgres'], node_labels: { kind: 'db' } } })
  await store.role('web', { allow: { logins: ['www'], node_labels: { kind: 'web' } } })
  await store.role('asker', { allow: { request: { roles: ['*'] } } })
  await store.user('ada', ['asker'])
  await store.login('ada')
  await store.node('db-box', { kind: 'db' })
  await store.node('web-box', { kind: 'web' })
  await store.grant('1', 'ada', 'dba', HOUR)
  await store.grant('2', 'ada', 'web', HOUR)
  await store.lock('role', 'rol_dba', 'databases are being moved')
})

const decide = (node: string, login: string | null, liveGrants: readonly string[] | null) =>
  decideAccess(
    store.snapshot,
    {
      protocol: 'ssh',
      ...{ userId: 'usr_ada', loginSessionId: 'lgn_ada', keyFingerprint: 'SHA256:ada', node, login },
      live: liveGrants && { startedAt: store.clock.now(), grants: liveGrants, isUsed: true },
    },
    store.clock.now(),
  )

test('a live session that ends says why its own grant gives nothing, whatever other grant is suspended', async () => {
  await store.grant('2', 'ada', 'web', HOUR, {
    ...{ state: 'ended', ended_at: store.clock.now(), end_reason: 'revoked', ended_by: 'carol' },
  })
  expect(decide('web-box', 'www', ['grt_2'])).toMatchObject({ ended: 'your access (web) was revoked by carol' })
  expect(decide('db-box', 'postgres', ['grt_1'])).toMatchObject({
    ended: 'the role dba is locked: databases are being moved',
  })
})

test('a session whose node was labelled away does not blame a suspended grant of another node', async () => {
  await store.node('web-box', { kind: 'spare' })
  expect(decide('web-box', 'www', ['grt_2'])).toMatchObject({ ended: 'nothing gives this access any more' })
})

test('a refusal names the suspended grants that would give what is wanted, and no others', async () => {
  await store.lock('request', 'req_2', 'see ticket 7')
  const lines = (node: string, login: string | null): string => {
    const decision = decide(node, login, null)
    return decision.ok ? 'let in' : decision.lines.join('\n')
  }
  expect(lines('db-box', null)).toContain('A grant is suspended: the role dba is locked: databases are being moved')
  expect(lines('db-box', null)).not.toContain('ticket 7')
  expect(lines('web-box', 'www')).toContain('A grant is suspended: see ticket 7')
  expect(lines('web-box', 'www')).not.toContain('databases are being moved')
  expect(lines('web-box', 'root')).not.toContain('suspended')
})
