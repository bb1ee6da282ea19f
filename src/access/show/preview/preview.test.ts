import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AccessWorld, callerNamed, HOUR, LOCAL_ADMIN } from '../../../../test/support/access-world.ts'
import { RoleDocument } from '../../../contract/role.ts'
import type { SessionsTable } from '../../../foundation/database/tables.ts'
import type { WorkingRole } from '../../../identity/node-access.ts'
import { reachChange } from './reach-change.ts'

let world: AccessWorld

beforeEach(async () => {
  world = await AccessWorld.open()
  await world.role('dba', { allow: { logins: ['postgres'], node_labels: { env: 'prod' } } })
  await world.role('web', { allow: { logins: ['www'], node_labels: { env: 'dev' } } })
  const thresholds = [
    { name: 'dba team', filter: '"db" in reviewer.traits.team', approve: 1, deny: 1 },
    { name: 'anyone else', approve: 2, deny: 1 },
  ]
  await world.role('dev', {
    allow: { logins: ['deploy'], node_labels: { env: 'dev' }, request: { roles: ['dba', 'web'], thresholds } },
  })
  await world.role('lead', { allow: { review_requests: { roles: ['dba'] } } })
  await world.user('ada', { roles: ['dev'] })
  await world.user('bob', { roles: ['lead'] })
  await world.user('carl', { roles: ['lead'], traits: { team: ['db'] } })
  await world.user('eve', {})
  for (const [name, env] of [
    ['a', 'dev'],
    ['b', 'prod'],
    ['c', 'prod'],
  ] as const)
    await world.node(name, { env })
})
afterEach(() => world.close())

const preview = (who: string, id: string) =>
  world.requests.preview(who === 'admin' ? LOCAL_ADMIN : callerNamed(who), id)

async function session(id: string, requestId: string, columns: Partial<SessionsTable> = {}): Promise<void> {
  await world.deeds.commitDeed(async (tx, now) => {
    await tx
      .insertInto('sessions')
      .values({
        ...{
          id,
          event_id: '',
          user_id: 'usr_ada',
          login_id: 'lgn_ada',
          protocol: 'ssh',
          node_id: 'nod_b',
          node_name: 'b',
        },
        ...{ login: 'postgres', address: '192.0.2.1', request_ids_json: JSON.stringify([requestId]) },
        ...{ grant_ids_json: '[]', started_at: now, ended_at: now + 60_000, end_reason: null, recording_file: '' },
        ...{ recording_key_sealed: '', recording_key_id: '', recording_mode: 'strict', recording_state: 'complete' },
        ...{ recording_bytes: 0, recording_head: null, recording_chunks: 0, contents_json: '[]', instance_id: null },
        ...columns,
      })
      .execute()
    return {
      result: null,
      events: [
        { type: 'session.start', actor: LOCAL_ADMIN.actor, outcome: 'success', rows: [{ table: 'sessions', id }] },
      ],
    }
  })
}

describe('what changes', () => {
  test('nodes and logins before and after, over what is held already', async () => {
    const { id } = await world.ask('ada', ['dba'])
    expect((await preview('bob', id)).change).toEqual({
      databases: [],
      moreDatabases: 0,
      nodes: { before: 1, after: 3 },
      logins: { before: ['deploy'], added: ['postgres'] },
      gains: [
        { node: 'b', logins: ['postgres'] },
        { node: 'c', logins: ['postgres'] },
      ],
      moreGains: 0,
      complete: true,
    })
  })
  test('what another grant gives is no gain', async () => {
    const first = await world.ask('ada', ['dba'], { reason: '1' })
    await world.approve('carl', first.id)
    const again = await world.ask('ada', ['dba'], { reason: '2' })
    expect((await preview('bob', again.id)).change).toMatchObject({ nodes: { before: 3, after: 3 }, gains: [] })
  })
  test('ten thousand nodes of a few kinds cost what the kinds cost, and long lists are cut', () => {
    const role = (name: string, spec: object): WorkingRole => ({
      ...{ id: name, name, origin: { kind: 'own' } as const, confinedTo: null },
      specs: [RoleDocument.parse({ kind: 'role', metadata: { name }, spec }).spec],
    })
    const nodes = Array.from({ length: 10_000 }, (_, n) => ({
      ...{ kind: 'node' as const, id: `nod_${n}`, name: `n${n}`, identity: '' },
      labels: { env: n % 2 ? 'dev' : 'prod' },
    }))
    const held = [role('dev', { allow: { logins: ['deploy'], node_labels: { env: 'dev' } } })]
    const added = [role('dba', { allow: { logins: ['postgres'], node_labels: { '*': '*' } } })]
    const change = reachChange(held, added, nodes, true)
    expect(change).toMatchObject({ nodes: { before: 5000, after: 10_000 }, moreGains: 9980 })
    expect(change.gains).toHaveLength(20)
  })
})

test('what is still needed is said for each role and way', async () => {
  const { id } = await world.ask('ada', ['dba'])
  expect((await preview('bob', id)).needed).toEqual([
    'dba: 1 more approval counted by "dba team", or 2 more approvals counted by "anyone else"',
  ])
  await world.approve('bob', id)
  expect((await preview('ada', id)).needed).toEqual([
    'dba: 1 more approval counted by "dba team", or 1 more approval counted by "anyone else"',
  ])
  await world.approve('carl', id)
  expect((await preview('ada', id)).needed).toEqual([])
})

test('a locked role blocks, and that is said first', async () => {
  const { id } = await world.ask('ada', ['dba'])
  await world.lock('role', 'rol_dba')
  expect((await preview('bob', id)).needed[0]).toBe('cannot be approved now: the role dba is locked')
})

describe('earlier uses and other requests', () => {
  test('are told to those who may know of them', async () => {
    const used = await world.ask('ada', ['dba'], { reason: 'first' })
    await world.approve('carl', used.id)
    await session('ses_1', used.id)
    const other = await world.ask('ada', ['web'], { reason: 'other' })
    const { id } = await world.ask('ada', ['dba'], { reason: 'again' })
    const sessions = async (who: string) => (await preview(who, id)).lastUses.map((use) => use.session)
    expect(await sessions('ada')).toEqual(['ses_1'])
    expect(await sessions('carl')).toEqual(['ses_1'])
    // He may review this one, but has not voted on that one.
    expect(await sessions('bob')).toEqual([])
    expect(await sessions('admin')).toEqual(['ses_1'])
    const others = async (who: string) => (await preview(who, id)).otherPending.map((each) => each.id)
    expect(await others('ada')).toEqual([other.id])
    // His right speaks of dba alone.
    expect(await others('bob')).toEqual([])
  })
  test('name the resource, and of a database the db user and the db name', async () => {
    const used = await world.ask('ada', ['dba'], { reason: 'first' })
    await world.approve('carl', used.id)
    await session('ses_1', used.id)
    world.clock.advance(1000)
    await session('ses_2', used.id, { protocol: 'mysql', node_name: 'orders', login: 'app', db_name: 'shop' })
    const { id } = await world.ask('ada', ['dba'], { reason: 'again' })
    expect((await preview('ada', id)).lastUses).toMatchObject([
      { session: 'ses_2', resource: { kind: 'database', name: 'orders' }, login: 'app', dbName: 'shop' },
      { session: 'ses_1', resource: { kind: 'node', name: 'b' }, login: 'postgres', dbName: null },
    ])
  })
  test('whoever may not see the request is told what everybody is told of an absent one', async () => {
    const { id } = await world.ask('ada', ['dba'])
    await expect(preview('eve', id)).rejects.toMatchObject({ code: 'not_found' })
    await expect(preview('eve', 'req_none')).rejects.toMatchObject({ code: 'not_found' })
  })
})

describe('addresses', () => {
  const login = (name: string, address: string) =>
    world.deeds.commitDeed(async (tx, now) => {
      const id = `lgn_${name}`
      await tx
        .insertInto('login_sessions')
        .values({
          ...{ id, event_id: '', user_id: `usr_${name}`, token_hash: id, device: 'd', factors_json: '[]' },
          ...{ second_factor_at: null, key_fingerprint: '', address, created_at: now, expires_at: now + HOUR },
          ...{ ended_at: null, end_reason: null },
        })
        .execute()
      const rows = [{ table: 'login_sessions', id }] as const
      return { result: null, events: [{ type: 'user.login', actor: LOCAL_ADMIN.actor, outcome: 'success', rows }] }
    })
  test('a reviewer is told of one that is shared with an approver or with the viewer; the requester is told nothing', async () => {
    await login('ada', '192.0.2.1')
    await login('bob', '192.0.2.1')
    await login('carl', '192.0.2.9')
    const { id } = await world.ask('ada', ['dba'])
    expect((await preview('bob', id)).hints).toEqual(['asked from the same address as yours'])
    expect((await preview('carl', id)).hints).toEqual([])
    await world.approve('bob', id)
    expect((await preview('carl', id)).hints).toEqual([
      'asked from the same address as bob, who approved, is signed in from',
    ])
    expect((await preview('ada', id)).hints).toEqual([])
  })
})
