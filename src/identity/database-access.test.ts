import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { RoleDocument, type RoleSpec } from '../contract/role.ts'
import { absentResource, type ResourceFacts } from '../resources/resource.ts'
import { databaseAccess, resolveDatabase, type WantedInDatabase } from './database-access.ts'
import { mergeDatabaseOptions } from './database-options.ts'
import { resolveJustInTime } from './just-in-time-access.ts'
import { nodeAccess, type WorkingRole } from './node-access.ts'

const spec = (input: object): RoleSpec =>
  RoleDocument.parse({ kind: 'role', metadata: { name: 'r' }, spec: input }).spec
const own = (name: string, ...specs: object[]): WorkingRole => ({
  ...{ id: name, name, origin: { kind: 'own' }, confinedTo: null },
  specs: specs.map(spec),
})
const granted = (name: string, grantId: string, ...specs: object[]): WorkingRole => ({
  ...own(name, ...specs),
  origin: { kind: 'granted', grantId },
})
const PROD = { env: 'prod' }
const orders: ResourceFacts = { ...absentResource('database', 'orders'), id: 'dtb_1', labels: PROD, identity: 'x' }
const gives = (db_users: string[], db_names: string[], more: object = {}): object => ({
  allow: { db_labels: PROD, db_users, db_names },
  ...more,
})

const may = (roles: readonly WorkingRole[], user: string, name: string | null = 'shop'): boolean =>
  databaseAccess(roles, orders).some((gift) => gift.permits(user, name))
const shown = (roles: readonly WorkingRole[]): (readonly string[])[] =>
  databaseAccess(roles, orders).map(({ users }) => users)

describe('database access', () => {
  test('one role must give the whole access: labels, db user and db name', () => {
    expect(may([own('all', gives(['app'], ['shop']))], 'app')).toBe(true)
    const parts = [
      own('labels', { allow: { db_labels: PROD } }),
      own('users', { allow: { db_users: ['app'], db_names: ['shop'] } }),
      own('other name', gives(['app'], ['stock'])),
      own('other user', gives(['report'], ['shop'])),
      own('other labels', { allow: { db_labels: { env: 'dev' }, db_users: ['app'], db_names: ['shop'] } }),
    ]
    expect(may(parts, 'app')).toBe(false)
    expect(may(parts, 'app', 'stock')).toBe(true)
  })

  test.each<[string, object]>([
    ['labels', { allow: { db_users: ['*'], db_names: ['*'] } }],
    ['db users', { allow: { db_labels: PROD, db_names: ['*'] } }],
    ['db names', { allow: { db_labels: PROD, db_users: ['*'] } }],
    ['anything', {}],
    ['anything of databases', { allow: { logins: ['root'], node_labels: { '*': '*' } } }],
  ])('a role without %s gives nothing, whoever asks for no name in particular', (_what, input) => {
    expect(databaseAccess([own('r', input)], orders)).toEqual([])
  })

  test('names are exact, globs or anchored expressions', () => {
    const role = own('r', gives(['app', 'ro_*', '^team_(a|b)$'], ['*']))
    const users = ['app', 'ro_', 'ro_x', 'team_a', 'team_b', 'apps', 'xapp', 'team_c', 'team_ab', 'APP']
    expect(users.filter((user) => may([role], user))).toEqual(['app', 'ro_', 'ro_x', 'team_a', 'team_b'])
  })

  test('denies of an own role apply to what a grant gives, by each of the three alone', () => {
    const grant = granted('dba', 'g1', gives(['*'], ['*']))
    const denying = (deny: object): WorkingRole => own('deny', { deny })
    expect(may([grant], 'app')).toBe(true)
    expect(may([grant, denying({ db_labels: PROD })], 'app')).toBe(false)
    expect(may([grant, denying({ db_users: ['ap*'] })], 'app')).toBe(false)
    expect(may([grant, denying({ db_users: ['ap*'] })], 'report')).toBe(true)
    expect(may([grant, denying({ db_names: ['shop'] })], 'app')).toBe(false)
    expect(may([grant, denying({ db_names: ['shop'] })], 'app', 'stock')).toBe(true)
  })

  test('denies of a granted role apply only to what that grant gives', () => {
    const denies = granted('other', 'g2', { deny: { db_users: ['*'] } })
    expect(may([granted('dba', 'g1', gives(['app'], ['*'])), denies], 'app')).toBe(true)
    expect(may([granted('dba', 'g2', gives(['app'], ['*'])), denies], 'app')).toBe(false)
  })

  test('what a pinned role gives must stand in the revision of then and in that of now', () => {
    const role = granted('dba', 'g1', gives(['app_*'], ['*']), gives(['app_r*', 'report'], ['shop']))
    expect(['app_ro', 'app_w', 'report'].filter((user) => may([role], user))).toEqual(['app_ro'])
    expect(may([role], 'app_ro', 'stock')).toBe(false)
  })

  test('a request narrowed to one db user gives that one, and none where the role does not', () => {
    const narrowed = (dbUser: string): WorkingRole => ({
      ...granted('dba', 'g1', gives(['app', 'ro_*'], ['*'])),
      confinedTo: { resources: null, narrowing: { dbUser } },
    })
    expect(shown([narrowed('ro_x')])).toEqual([['ro_x']])
    expect(may([narrowed('ro_x')], 'app')).toBe(false)
    expect(databaseAccess([narrowed('root')], orders)).toEqual([])
  })

  test('what is narrowed to a login gives no database, and what is narrowed to a db user no node', () => {
    const both = { allow: { ...spec(gives(['app'], ['*'])).allow, logins: ['root'], node_labels: PROD } }
    const role = (narrowing: object): WorkingRole => ({
      ...granted('dba', 'g1', both),
      confinedTo: { resources: null, narrowing },
    })
    const node: ResourceFacts = { ...absentResource('node', 'box'), id: 'nod_1', labels: PROD }
    const loginsOf = (narrowing: object): number => nodeAccess([role(narrowing)], node).logins.size
    expect([databaseAccess([role({ login: 'root' })], orders).length, loginsOf({ login: 'root' })]).toEqual([0, 1])
    expect([databaseAccess([role({ dbUser: 'app' })], orders).length, loginsOf({ dbUser: 'app' })]).toEqual([1, 0])
    const each = { login: 'root', dbUser: 'app' }
    expect([databaseAccess([role(each)], orders).length, loginsOf(each)]).toEqual([1, 1])
  })

  test('a pin is of one database as it was: another id, another server or other labels give nothing', () => {
    const pinned = (changes: Partial<ResourceFacts>): WorkingRole => ({
      ...granted('dba', 'g1', gives(['app'], ['*'])),
      confinedTo: { resources: [{ ...orders, ...changes }], narrowing: null },
    })
    expect(may([pinned({})], 'app')).toBe(true)
    expect(may([pinned({ id: 'dtb_2' })], 'app')).toBe(false)
    expect(may([pinned({ identity: 'y' })], 'app')).toBe(false)
    expect(may([pinned({ labels: { env: 'dev' } })], 'app')).toBe(false)
  })

  test('more denies never give more, and what is permitted is given by one role alone', () => {
    const name = fc.constantFrom('app', 'ro', '*', 'a*', '^(app|ro)$')
    const names = fc.array(name, { maxLength: 3 })
    const role = fc.record({ db_users: names, db_names: names })
    fc.assert(
      fc.property(fc.array(role, { maxLength: 3 }), role, (allows, deny) => {
        const roles = allows.map((allow, n) => own(`r${n}`, { allow: { db_labels: PROD, ...allow } }))
        for (const user of ['app', 'ro', 'x']) {
          for (const db of ['app', 'ro', 'x']) {
            const alone = roles.some((each) => may([each], user, db))
            expect(may(roles, user, db)).toBe(alone)
            if (!alone) expect(may([...roles, own('d', { deny })], user, db)).toBe(false)
          }
        }
      }),
      { numRuns: 60 },
    )
  })
})

describe('what is used where nothing is named', () => {
  const wanted = (changes: Partial<WantedInDatabase> = {}): WantedInDatabase => ({
    ...{ protocol: 'postgres', dbUser: null, dbName: null },
    ...changes,
  })
  const resolve = (role: object, changes: Partial<WantedInDatabase> = {}) => {
    const { roles: _, ...resolved } = {
      roles: [],
      ...resolveDatabase(databaseAccess([own('r', role)], orders), wanted(changes), 'ada'),
    }
    return resolved
  }

  test.each<[string, object, Partial<WantedInDatabase>, object]>([
    ['the only db user and db name', gives(['app'], ['shop']), {}, { ok: true, dbUser: 'app', dbName: 'shop' }],
    ['the name of the person', gives(['*'], ['shop']), {}, { ok: true, dbUser: 'ada', dbName: 'shop' }],
    [
      'nothing among several',
      gives(['app', 'ro'], ['shop']),
      {},
      { ok: false, code: 'db_user_ambiguous', allowed: ['app', 'ro'] },
    ],
    ['no db name among several', gives(['app'], ['*']), {}, { ok: false, code: 'db_name_ambiguous', allowed: ['*'] }],
    [
      'no db name at all with MySQL',
      gives(['app'], ['*']),
      { protocol: 'mysql' },
      { ok: true, dbUser: 'app', dbName: null },
    ],
    [
      'another db user',
      gives(['app'], ['shop']),
      { dbUser: 'root' },
      { ok: false, code: 'db_user_not_allowed', allowed: ['app'] },
    ],
    [
      'another db name',
      gives(['app'], ['shop']),
      { dbName: 'x' },
      { ok: false, code: 'db_name_not_allowed', allowed: ['shop'] },
    ],
    ['nothing given', {}, { dbUser: 'app' }, { ok: false, code: 'access_denied', allowed: [] }],
  ])('%s', (_what, role, changes, outcome) => {
    expect(resolve(role, changes)).toEqual(outcome)
  })
})

test('restrictions are the strictest of the roles in use; replication needs one role that permits it whole', () => {
  const options = (db: object): object => ({ options: { db } })
  const merge = (...roles: WorkingRole[]) => mergeDatabaseOptions(roles)
  expect(merge(own('none', {}))).toEqual({
    ...{ readOnly: false, statementTimeoutMs: null, deniedStatements: [], recordParameters: true, replication: false },
  })
  const strict = own('strict', options({ read_only: true, statement_timeout: '5s', deny_statements: ['ddl', 'write'] }))
  const loose = own('loose', options({ statement_timeout: '1h', deny_statements: ['dcl'], replication: true }))
  expect(merge(strict, loose)).toMatchObject({ readOnly: true, statementTimeoutMs: 5000, replication: true })
  expect(merge(strict, loose).deniedStatements).toEqual(['write', 'ddl', 'dcl'])
  const silent = own('silent', options({ record_parameters: false }))
  expect([merge(silent).recordParameters, merge(silent, loose).recordParameters]).toEqual([false, true])
  expect(merge(granted('g', 'g1', options({ replication: true }), {})).replication).toBe(false)
})

describe('where users are made on connect', () => {
  const made: ResourceFacts = { ...orders, isJustInTime: true }
  const hands = (db_roles: string[], db_names: string[], more: object = {}): object => ({
    allow: { db_labels: PROD, db_names, db_roles, ...more },
  })
  const ada = { databaseId: 'dtb_1', user: { id: 'usr_ada', name: 'ada' } }
  const resolve = (roles: readonly WorkingRole[], wanted: Partial<WantedInDatabase> = {}) =>
    resolveJustInTime(
      databaseAccess(roles, made),
      { protocol: 'postgres', dbUser: 'ada', dbName: 'shop', ...wanted },
      ada,
    )

  test('database roles count and db users do not; elsewhere it is the other way round', () => {
    const users = own('users', gives(['app', '*'], ['shop']))
    const handed = own('handed', hands(['reader'], ['shop']))
    expect(databaseAccess([users], made)).toEqual([])
    expect(databaseAccess([handed], orders)).toEqual([])
    expect(databaseAccess([handed], made)).toMatchObject([{ users: ['made on connect (reader)'], dbRoles: ['reader'] }])
  })

  test('what roles give together for this db name is given, without what they give for others', () => {
    const roles = [
      own('a', hands(['reader'], ['shop'])),
      own('b', hands(['writer', 'reader'], ['sho*'])),
      own('c', hands(['boss'], ['other'])),
      own('d', { allow: { db_labels: { env: 'dev' }, db_names: ['shop'], db_roles: ['root'] } }),
    ]
    const resolved = resolve(roles)
    expect(resolved).toMatchObject({ ok: true, dbRoles: ['reader', 'writer'], dbName: 'shop' })
    expect(resolved.ok && resolved.parts.map((part) => part.map(({ name }) => name))).toEqual([['a', 'b'], ['b']])
    expect(resolve(roles, { dbName: 'other' })).toMatchObject({ ok: true, dbRoles: ['boss'] })
    expect(resolve(roles, { dbName: 'nowhere' })).toMatchObject({ ok: false, code: 'db_name_not_allowed' })
  })

  test('an edit of a granted role hands out no more than was approved, and a deny takes out', () => {
    const edited = granted('a', 'g', hands(['reader'], ['shop']), hands(['reader', 'boss'], ['shop']))
    expect(resolve([edited])).toMatchObject({ ok: true, dbRoles: ['reader'] })
    const denying = own('no', { deny: { db_roles: ['reader'] } })
    expect(resolve([edited, denying])).toMatchObject({ ok: false, code: 'access_denied' })
  })

  test('a live session keeps what it was given, and is over when any of it is not given any more', () => {
    const both = [own('a', hands(['reader', 'writer'], ['shop']))]
    const held = ['reader']
    const began = resolve([own('a', hands(held, ['shop']))])
    expect(resolve(both, { dbRoles: held })).toMatchObject({
      ok: true,
      dbRoles: held,
      dbUser: began.ok && began.dbUser,
    })
    expect(resolve([own('a', hands(['writer'], ['shop']))], { dbRoles: held })).toEqual({
      ...{ ok: false, code: 'db_role_lost', lost: 'reader' },
    })
  })

  test('a request that was narrowed to a db user gives nothing there', () => {
    const narrowed = {
      ...granted('a', 'g', hands(['reader'], ['shop'])),
      confinedTo: { resources: null, narrowing: { dbUser: 'x' } },
    }
    expect(databaseAccess([narrowed], made)).toEqual([])
  })

  test.each(['read*', '^reader$', '*', '{{external.roles}}', 'a b', 'a"b', ''])(
    '%j is no database role: names are exact',
    (name) => {
      expect(() => spec(hands([name], ['shop']))).toThrow()
    },
  )
})
