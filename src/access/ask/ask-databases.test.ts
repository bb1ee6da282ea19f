import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AccessWorld, callerNamed, HOUR } from '../../../test/support/access-world.ts'

// Requests for databases: which roles they become, and what the grant gives, as connections are decided.

let world: AccessWorld
const PROD = { env: 'prod' }
beforeEach(async () => {
  world = await AccessWorld.open()
  await world.postgres('orders', PROD)
  await world.postgres('stock', PROD)
  await world.postgres('hidden', { env: 'secret' })
  await world.node('box', PROD)
  await world.role('reader', { allow: { db_labels: PROD, db_users: ['ro_*'], db_names: ['shop'] } })
  await owner({})
  await world.role('guard', { allow: { db_labels: { env: 'secret' }, db_users: ['*'], db_names: ['*'] } })
  await world.role('dev', { allow: { request: { search_as_roles: ['reader', 'owner'], max_duration: '4h' } } })
  await world.role('lead', { allow: { review_requests: { roles: ['*'] } } })
  await world.user('alice', { roles: ['dev'] })
  await world.user('bob', { roles: ['lead'] })
})
afterEach(() => world.close())

const owner = (changes: object): Promise<void> => {
  const db = { db_labels: PROD, db_users: ['app', 'ro_app'], db_names: ['*'] }
  return world.role('owner', { allow: { ...db, logins: ['root'], node_labels: PROD, ...changes } })
}
const ask = (resources: string[], more: object = {}) => world.ask('alice', [], { resources, ...more })
async function granted(resources: string[], more: object = {}): Promise<string> {
  const { id } = await ask(resources, more)
  await world.approve('bob', id)
  return id
}
const on = (name: string): Promise<string[]> => world.dbUsers('alice', name)

describe('what is asked for', () => {
  test('every role that gives the database, and with a db user the one that gives it with the fewest others', async () => {
    expect(await ask(['database/orders'])).toMatchObject({
      kind: 'resource',
      roles: ['owner', 'reader'],
      resources: [{ kind: 'database', name: 'orders' }],
      narrowing: null,
    })
    const app = await ask(['database/orders'], { dbUser: 'app' })
    expect(app).toMatchObject({ roles: ['owner'], narrowing: { dbUser: 'app' } })
    expect((await ask(['database/orders'], { dbUser: 'ro_app' })).roles).toEqual(['reader'])
  })

  test('a db user that nothing gives is refused with those that may be asked for', async () => {
    await expect(ask(['database/orders'], { dbUser: 'postgres' })).rejects.toMatchObject({
      code: 'db_user_not_allowed',
      message: expect.stringContaining('db users: app, ro_*, ro_app') as string,
    })
  })

  test('absent and hidden databases get the same answer', async () => {
    for (const name of ['hidden', 'absent'])
      await expect(ask([`database/${name}`])).rejects.toMatchObject({
        code: 'resource_unknown',
        message: `there is no database/${name} that you may use or ask for`,
      })
  })

  test('a login narrows no database and a db user no node: what is given by nothing is refused', async () => {
    await expect(ask(['database/orders'], { login: 'root' })).rejects.toMatchObject({
      code: 'resource_not_requestable',
    })
    await expect(ask(['node/box', 'database/orders'], { dbUser: 'app' })).rejects.toMatchObject({
      code: 'resource_not_requestable',
    })
    const both = await ask(['node/box', 'database/orders'], { dbUser: 'app', login: 'root' })
    expect(both.narrowing).toEqual({ dbUser: 'app', login: 'root' })
    await expect(world.ask('alice', ['owner'], { dbUser: 'app' })).rejects.toMatchObject({ code: 'malformed' })
  })

  test('another db user is another request, with another digest', async () => {
    const one = await ask(['database/orders'], { dbUser: 'app' })
    expect((await ask(['database/orders'], { dbUser: 'app' })).id).toBe(one.id)
    const other = await ask(['database/orders'], { dbUser: 'ro_app' })
    expect(other.id).not.toBe(one.id)
    expect(other.requestDigest).not.toBe(one.requestDigest)
  })

  test('reviewers see which db users and db names it opens', async () => {
    const { id } = await ask(['database/orders'], { dbUser: 'app' })
    const preview = await world.requests.preview(callerNamed('bob'), id)
    expect(preview.change.databases).toEqual([{ database: 'orders', dbUsers: ['app'], dbNames: ['*'] }])
    expect(preview.change.nodes).toEqual({ before: 0, after: 0 })
  })
})

describe('what the grant gives', () => {
  test('the one database, with the one db user', async () => {
    const id = await granted(['database/orders'], { dbUser: 'app' })
    expect([await on('orders'), await on('stock')]).toEqual([['app'], []])
    await world.requests.return(callerNamed('alice'), id)
    expect(await on('orders')).toEqual([])
  })

  test('nothing after its hour', async () => {
    await granted(['database/orders'], { duration: HOUR })
    expect(await on('orders')).toEqual(['app', 'ro_*', 'ro_app'])
    world.clock.advance(HOUR)
    expect(await on('orders')).toEqual([])
  })

  test.each<[string, () => Promise<void>]>([
    ['another server', () => world.postgres('orders', PROD, 'evil.example')],
    ['other labels', () => world.postgres('orders', { env: 'dev' })],
    ['a role that gives other db users', () => owner({ db_users: ['other'] })],
    ['a role that gives no db names', () => owner({ db_names: [] })],
  ])('nothing while there is %s behind the name', async (_what, change) => {
    await granted(['database/orders'], { dbUser: 'app' })
    expect(await on('orders')).toEqual(['app'])
    await change()
    expect(await on('orders')).toEqual([])
    await world.postgres('orders', PROD)
    await owner({})
    expect(await on('orders')).toEqual(['app'])
  })

  test('no more than at approval, however the role grows', async () => {
    await granted(['database/orders'])
    await owner({ db_users: ['app', 'postgres'] })
    expect(await on('orders')).toEqual(['app', 'ro_*'])
  })
})
