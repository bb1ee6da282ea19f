import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AccessWorld, callerNamed, HOUR, MINUTE } from '../../../test/support/access-world.ts'

// What a grant of resources gives: who gets in where is asserted, as connections are decided.

let world: AccessWorld
const PROD = { env: 'prod' }
beforeEach(async () => {
  world = await AccessWorld.open()
  await world.node('db', { ...PROD, service: 'db' })
  await world.node('web', { ...PROD, service: 'web' })
  await prodRole({ logins: ['deploy', 'root'], node_labels: PROD })
  await world.role('dev', { allow: { request: { search_as_roles: ['prod*'] } } })
  await world.role('lead', { allow: { review_requests: { roles: ['*'] } } })
  await world.user('alice', { roles: ['dev'] })
  await world.user('bob', { roles: ['lead'] })
  await world.user('carol', { roles: ['lead'] })
})
afterEach(() => world.close())

const prodRole = (allow: object, deny: object = {}): Promise<void> => world.role('prod', { allow, deny })
const ask = (resources: string[], more: object = {}) => world.ask('alice', [], { resources, ...more })
async function granted(resources: string[], more: object = {}): Promise<string> {
  const { id } = await ask(resources, more)
  await world.approve('bob', id)
  return id
}
const on = (node: string): Promise<string[]> => world.logins('alice', `nod_${node}`)
const suspended = async (id: string): Promise<string | null> => {
  const row = await world.database.reads
    .selectFrom('grants')
    .select('suspended')
    .where('request_id', '=', id)
    .executeTakeFirstOrThrow()
  return row.suspended
}

describe('a grant of resources', () => {
  test('gives what is pinned and nothing else of what the role would give', async () => {
    const id = await granted(['node/db'])
    expect([await on('db'), await on('web')]).toEqual([['deploy', 'root'], []])
    expect((await world.show(id)).grant).toMatchObject({ resources: [{ kind: 'node', name: 'db' }], roles: ['prod'] })
    await world.node('new', PROD)
    expect(await on('new')).toEqual([])
  })
  test('gives the login that it was narrowed to, and no other', async () => {
    await granted(['node/db'], { login: 'deploy' })
    expect(await on('db')).toEqual(['deploy'])
  })
  test('[74] [75] [76] adds to own roles and to other grants; each ends alone', async () => {
    await world.role('basic', { allow: { logins: ['me'], node_labels: { service: 'web' } } })
    await world.user('alice', { roles: ['dev', 'basic'] })
    const db = await granted(['node/db'], { login: 'root' })
    const web = await granted(['node/web'], { login: 'deploy' })
    expect([await on('db'), await on('web')]).toEqual([['root'], ['deploy', 'me']])
    await world.requests.return(callerNamed('alice'), db)
    expect([await on('db'), await on('web')]).toEqual([[], ['deploy', 'me']])
    await world.requests.revoke(callerNamed('bob'), web, '')
    expect(await on('web')).toEqual(['me'])
  })
  test('[78] is of nobody but its requester', async () => {
    const id = await granted(['node/db'])
    await world.user('eve', { roles: ['dev'] })
    expect(await world.logins('eve', 'nod_db')).toEqual([])
    await expect(world.requests.return(callerNamed('eve'), id)).rejects.toMatchObject({ code: 'not_found' })
  })
  test('one role must give a resource alone: login of one and labels of another do not combine', async () => {
    await world.role('prod-b', { allow: { logins: ['other'], node_labels: { service: 'web' } } })
    await granted(['node/db', 'node/web'])
    expect([await on('db'), await on('web')]).toEqual([
      ['deploy', 'root'],
      ['deploy', 'other', 'root'],
    ])
  })
  test('is over at its end', async () => {
    await granted(['node/db'], { duration: HOUR })
    world.clock.advance(HOUR - 1)
    expect(await on('db')).toEqual(['deploy', 'root'])
    world.clock.advance(1)
    expect(await on('db')).toEqual([])
  })
})

describe('labels that change', () => {
  test('labelled out, it gives nothing, with an event; labelled back, it gives again while its clock runs', async () => {
    const id = await granted(['node/db'], { duration: HOUR })
    await world.node('db', { env: 'dev' })
    expect(await on('db')).toEqual([])
    expect(await suspended(id)).toBe('node/db was labelled anew since the approval')
    await world.node('db', { ...PROD, service: 'db' })
    expect(await on('db')).toEqual(['deploy', 'root'])
    expect(await suspended(id)).toBeNull()
    expect((await world.eventTypes()).slice(-4)).toEqual([
      'resource.update',
      'grant.suspend',
      'resource.update',
      'grant.resume',
    ])
    await world.node('db', { env: 'dev' })
    world.clock.advance(HOUR)
    await world.node('db', { ...PROD, service: 'db' })
    expect(await on('db')).toEqual([])
  })
  test('labelled elsewhere, no role gives what it did not give at approval', async () => {
    await world.role('prod-b', { allow: { logins: ['admin', 'deploy'], node_labels: { service: ['web', 'top'] } } })
    await granted(['node/db', 'node/web'])
    await world.node('db', { ...PROD, service: 'web' })
    expect(await on('db')).toEqual(['deploy', 'root'])
    await world.node('db', { env: 'none', service: 'top' })
    expect(await on('db')).toEqual([])
    // The other one had it.
    expect(await on('web')).toEqual(['admin', 'deploy', 'root'])
  })
  test('what an own role denied at approval stays denied, whatever the labels say since', async () => {
    await world.role('care', { deny: { node_labels: { zone: 'hot' } } })
    await world.user('alice', { roles: ['dev', 'care'] })
    await granted(['node/db', 'node/web'])
    await world.node('db', { ...PROD, zone: 'hot' })
    expect([await on('db'), await on('web')]).toEqual([[], ['deploy', 'root']])
  })
  test('one of several labelled out: the rest goes on, and the grant says what is missing', async () => {
    const id = await granted(['node/db', 'node/web'])
    await world.node('db', { env: 'dev' })
    expect([await on('db'), await on('web')]).toEqual([[], ['deploy', 'root']])
    expect(await suspended(id)).toBe('node/db was labelled anew since the approval')
  })
  test('labels that change before the decision: earlier approvals no longer count, and out of the role none does', async () => {
    await world.role('dev', { allow: { request: { search_as_roles: ['prod*'], thresholds: [{ approve: 2 }] } } })
    const { id } = await ask(['node/db'])
    const seen = await world.approve('bob', id)
    await world.node('db', { ...PROD, service: 'other' })
    expect((await world.show(id)).reviews).toMatchObject([{ counts: false, why: 'rules_changed' }])
    await expect(world.approve('carol', id, { seen })).rejects.toMatchObject({ code: 'request_changed' })
    expect((await world.approve('carol', id)).state).toBe('pending')
    await world.node('db', { env: 'dev' })
    expect((await world.show(id)).resolution).toContain('none of the roles gives node/db any more')
    for (const name of ['bob', 'carol']) expect((await world.approve(name, id)).state).toBe('pending')
    await world.node('db', { ...PROD, service: 'other' })
    for (const name of ['bob', 'carol']) await world.approve(name, id)
    expect((await world.show(id)).state).toBe('approved')
    // What is pinned is what the approvals saw, not what stood there when it was asked for.
    await world.node('db', { ...PROD, service: 'db' })
    expect(await on('db')).toEqual(['deploy', 'root'])
  })
})

describe('roles that change', () => {
  test('an edit narrows what is granted and never widens it', async () => {
    await granted(['node/db'])
    await prodRole({ logins: ['deploy', 'admin'], node_labels: { '*': '*' } })
    expect([await on('db'), await on('web')]).toEqual([['deploy'], []])
    await prodRole({ logins: ['deploy', 'root'], node_labels: { service: 'web' } })
    expect([await on('db'), await on('web')]).toEqual([[], []])
  })
  test('an edit and new labels together do not widen it either', async () => {
    await granted(['node/db'])
    await prodRole({ logins: ['admin'], node_labels: { env: 'other' } })
    await world.node('db', { env: 'other' })
    expect(await on('db')).toEqual([])
    await prodRole({ logins: ['deploy', 'admin'], node_labels: { env: ['prod', 'other'] } })
    // The pinned revision never gave what has these labels.
    expect(await on('db')).toEqual([])
  })
  test('lost permission to ask for it as part of a resource request suspends; asking for it as a role is not enough', async () => {
    const id = await granted(['node/db'])
    await world.role('dev', { allow: { request: { roles: ['prod*'] } } })
    expect(await on('db')).toEqual([])
    expect(await suspended(id)).toContain('the role prod may no longer be asked for')
    await world.role('dev', { allow: { request: { search_as_roles: ['prod*'] } } })
    expect(await on('db')).toEqual(['deploy', 'root'])
  })
  test('and the other way round: a role grant does not live on search_as_roles', async () => {
    await world.role('dev', { allow: { request: { roles: ['prod*'] } } })
    const { id } = await world.ask('alice', ['prod'])
    await world.approve('bob', id)
    expect(await on('web')).toEqual(['deploy', 'root'])
    await world.role('dev', { allow: { request: { search_as_roles: ['prod*'] } } })
    expect(await on('web')).toEqual([])
  })
})

describe('resources that go', () => {
  test('a removed node ends the grant for good; one made anew under its name revives nothing', async () => {
    const id = await granted(['node/db'])
    await world.removeNode('nod_db')
    expect((await world.show(id)).grant).toMatchObject({ state: 'ended', endReason: 'resource_deleted' })
    await world.node('db', { ...PROD, service: 'db' }, { id: 'nod_db2' })
    expect(await world.logins('alice', 'nod_db2')).toEqual([])
    expect((await world.show(id)).grant?.state).toBe('ended')
  })
  test('one of several removed leaves the others', async () => {
    const id = await granted(['node/db', 'node/web'])
    await world.removeNode('nod_db')
    expect(await on('web')).toEqual(['deploy', 'root'])
    expect(await suspended(id)).toBe('node/db was removed')
    await world.removeNode('nod_web')
    expect((await world.show(id)).grant?.endReason).toBe('resource_deleted')
  })
  test('a pending request for it is cancelled and says why', async () => {
    const { id } = await ask(['node/db', 'node/web'])
    await world.removeNode('nod_db')
    expect(await world.show(id)).toMatchObject({
      state: 'cancelled',
      resolution: expect.stringContaining('node/db was removed') as string,
    })
  })
  test('another machine under the same name and id is not what was approved', async () => {
    const id = await granted(['node/db'])
    await world.node('db', { ...PROD, service: 'db' }, { hostKey: 'ssh-ed25519 BBBB' })
    expect(await on('db')).toEqual([])
    expect(await suspended(id)).toBe('node/db has another host key than the one approved')
  })
  test('a lock on the node suspends the grant and keeps the request from being approved', async () => {
    const id = await granted(['node/db'])
    const waiting = await ask(['node/web'])
    await world.lock('node', 'nod_db')
    expect(await suspended(id)).toBe('node/db is locked')
    await world.lock('node', 'nod_web')
    expect((await world.approve('bob', waiting.id)).state).toBe('pending')
    expect((await world.show(waiting.id)).resolution).toContain('node/web is locked')
  })
  test('more time for a grant is asked for what is left of it, by the same rules', async () => {
    const id = await granted(['node/db', 'node/web'], { duration: HOUR })
    await world.removeNode('nod_db')
    const more = { reason: 'longer', durationMs: HOUR, pendingForMs: null, reviewers: [] }
    const request = await world.requests.extend(callerNamed('alice'), id, more)
    expect(request).toMatchObject({ kind: 'extension', roles: ['prod'], resources: [{ name: 'web' }] })
    await world.approve('bob', request.id)
    world.clock.advance(HOUR + 30 * MINUTE)
    expect(await on('web')).toEqual(['deploy', 'root'])
    await world.role('dev', { allow: { request: { roles: ['prod*'] } } })
    await expect(world.requests.extend(callerNamed('alice'), id, more)).rejects.toMatchObject({
      code: 'role_not_requestable',
    })
  })
})
