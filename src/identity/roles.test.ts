import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { RoleDocument } from '../contract/role.ts'
import { UserDocument } from '../contract/user.ts'
import { identityWorld } from '../../test/support/identity-world.ts'
import type { IdentityWorld } from '../../test/support/identity-world.ts'
import { SYSTEM } from './doer.ts'
import { loadPerson, mayOperate, needsSecondFactor } from './people.ts'
import { listRoles, putRole, removeRole, roleContentHash } from './roles.ts'
import { addLock } from './locks.ts'
import { listUsers, putUser } from './users.ts'

let world: IdentityWorld
beforeEach(async () => {
  world = await identityWorld()
})
afterEach(() => world.close())

const document = (allow: object, name = 'dba', description?: string) =>
  RoleDocument.parse({ kind: 'role', metadata: { name, ...(description ? { description } : {}) }, spec: { allow } })
const put = (role: RoleDocument, replace = false) => putRole(world.services, SYSTEM, role, replace)
const user = (name: string, roles: string[]) =>
  UserDocument.parse({ kind: 'user', metadata: { name }, spec: { roles } })

describe('a role', () => {
  test('is written with a revision that stays, and comes back as it was written', async () => {
    const first = document({ logins: ['root'] }, 'dba', 'Data bases')
    const { id } = await put(first)
    await put(document({ logins: ['deploy'] }), true)
    const revisions = await world.database.reads.selectFrom('role_revisions').selectAll().orderBy('revision').execute()
    expect(revisions.map((row) => [row.id, row.content_hash])).toEqual([
      [`${id}/1`, roleContentHash(first.spec)],
      [`${id}/2`, roleContentHash(document({ logins: ['deploy'] }).spec)],
    ])
    expect(await listRoles(world.database)).toEqual([document({ logins: ['deploy'] })])
    expect((await world.eventTypes()).slice(-2)).toEqual(['role.create', 'role.update'])
  })

  test('has the same hash whatever the order of its keys, and another for any other content', () => {
    const spec = document({ logins: ['root'], node_labels: { a: 'b', c: 'd' } }).spec
    const turned = document({ node_labels: { c: 'd', a: 'b' }, logins: ['root'] }).spec
    expect(roleContentHash(turned)).toBe(roleContentHash(spec))
    expect(roleContentHash(document({ logins: ['root'], node_labels: { a: 'b', c: 'e' } }).spec)).not.toBe(
      roleContentHash(spec),
    )
  })

  test('is not overwritten unasked', async () => {
    await put(document({}))
    await expect(put(document({ logins: ['root'] }))).rejects.toMatchObject({ code: 'exists' })
  })

  test.each([
    ['a condition of a wrong type', { review_requests: { roles: ['*'], where: 'request.nope == 1' } }],
    ['a pattern that is no regex', { request: { roles: ['^(x$'] } }],
    ['a default login it does not allow', { logins: ['a'], default_login: 'b' }],
    ['a cap over 14 days', { request: { roles: ['x'], max_duration: '15d' } }],
  ])('with %s is refused when it is written', async (_what, allow) => {
    await expect(put(document(allow))).rejects.toMatchObject({ code: 'malformed' })
    expect(await listRoles(world.database)).toEqual([])
  })

  test('made again under an old name is another role: who held the old one holds nothing', async () => {
    const admin = { rules: [{ resources: ['user'], verbs: ['create'] }] }
    const { id } = await put(document(admin))
    const { id: alice } = await putUser(world.services, SYSTEM, user('alice', ['dba']), false)
    const may = () => mayOperate(world.database.reads, alice, 'user', 'create', world.clock.now())
    expect(await may()).toBe(true)
    await removeRole(world.services, SYSTEM, 'dba')
    expect(await may()).toBe(false)
    const again = await put(document(admin))
    expect([again.created, again.id === id]).toEqual([true, false])
    expect(await may()).toBe(false)
    expect((await listUsers(world.database))[0]?.roles).toEqual([])
  })

  test('that is locked gives no operator’s right', async () => {
    await put(document({ rules: [{ resources: ['*'], verbs: ['*'] }] }))
    const { id: alice } = await putUser(world.services, SYSTEM, user('alice', ['dba']), false)
    await addLock(world.services, SYSTEM, { kind: 'role', target: 'dba', message: '' })
    expect(await mayOperate(world.database.reads, alice, 'user', 'create', world.clock.now())).toBe(false)
  })
})

test('a user is not given a role that is not there', async () => {
  await expect(putUser(world.services, SYSTEM, user('alice', ['none']), false)).rejects.toMatchObject({
    code: 'role_unknown',
  })
})

test.each([
  ['reviews', { review_requests: { roles: ['x'] } }, true],
  ['administers', { rules: [{ resources: ['user'], verbs: ['list'] }] }, true],
  ['plays recordings', { rules: [{ resources: ['recording'], verbs: ['read'] }] }, true],
  ['only works', { logins: ['root'], request: { roles: ['x'] } }, false],
])('whoever %s needs a second factor: %s', async (_what, allow, needed) => {
  await put(document(allow))
  const { id } = await putUser(world.services, SYSTEM, user('alice', ['dba']), false)
  const person = await loadPerson(world.database.reads, id, world.clock.now())
  expect(person && needsSecondFactor(person)).toBe(needed)
})
