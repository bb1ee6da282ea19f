import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { RoleDocument, type RoleSpec } from '../contract/role.ts'
import { absentResource, type ResourceFacts } from '../resources/resource.ts'
import { defaultLogin, mergeOptions, nodeAccess, resolveLogin, type WorkingRole } from './node-access.ts'

const spec = (input: object): RoleSpec =>
  RoleDocument.parse({ kind: 'role', metadata: { name: 'r' }, spec: input }).spec
const own = (name: string, ...specs: object[]): WorkingRole => ({
  id: name,
  name,
  origin: { kind: 'own' },
  specs: specs.map(spec),
  confinedTo: null,
})
const granted = (name: string, grantId: string, ...specs: object[]): WorkingRole => ({
  ...own(name, ...specs),
  origin: { kind: 'granted', grantId },
})
const aNode = (labels: Record<string, string>): ResourceFacts => ({
  ...absentResource('node', 'box'),
  id: 'nod_1',
  labels,
})
const PROD = { env: 'prod', team: 'db' }
const onProd = (...logins: string[]): object => ({ allow: { logins, node_labels: { env: 'prod' } } })
const loginsOf = (roles: WorkingRole[], labels: Record<string, string> = PROD): string[] => [
  ...nodeAccess(roles, aNode(labels)).logins.keys(),
]

describe('node access', () => {
  test('nobody gets anything by default', () => {
    expect(loginsOf([])).toEqual([])
    expect(loginsOf([own('empty', {})])).toEqual([])
    expect(loginsOf([own('no labels', { allow: { logins: ['root'] } })])).toEqual([])
  })

  test('one role must give the whole access: labels of one and logins of another do not combine', () => {
    const labels = own('labels', { allow: { node_labels: { env: 'prod' } } })
    const logins = own('logins', { allow: { logins: ['root'], node_labels: { env: 'dev' } } })
    expect(loginsOf([labels, logins])).toEqual([])
  })

  test('every key of a selector must agree, any of its values will do, and * is any value', () => {
    const role = (node_labels: object): WorkingRole => own('r', { allow: { logins: ['a'], node_labels } })
    expect(loginsOf([role({ env: ['dev', 'prod'], team: '*' })])).toEqual(['a'])
    expect(loginsOf([role({ env: 'prod', zone: '*' })])).toEqual([])
    expect(loginsOf([role({ '*': '*' })], {})).toEqual(['a'])
    expect(loginsOf([role({ env: 'pro*' })])).toEqual(['a'])
    expect(loginsOf([role({ toString: '*' })])).toEqual([])
  })

  test('denies of an own role apply to what a grant gives', () => {
    const deny = own('deny', { deny: { node_labels: { env: 'prod' } } })
    expect(loginsOf([deny, granted('dba', 'g1', onProd('root'))])).toEqual([])
    const denyLogin = own('deny', { deny: { logins: ['root'] } })
    expect(loginsOf([denyLogin, granted('dba', 'g1', onProd('root', 'deploy'))])).toEqual(['deploy'])
  })

  test('denies of a granted role apply only to what that grant gives', () => {
    const deny = { deny: { node_labels: { env: 'prod' } } }
    const first = [granted('dba', 'g1', onProd('root')), granted('careful', 'g1', deny)]
    expect(loginsOf(first)).toEqual([])
    expect(loginsOf([...first, own('own', onProd('deploy')), granted('dba', 'g2', onProd('root'))])).toEqual([
      'deploy',
      'root',
    ])
  })

  test('a grant gives what both the pinned and the current revision give', () => {
    expect(loginsOf([granted('dba', 'g', onProd('root', 'old'), onProd('root', 'new'))])).toEqual(['root'])
    expect(loginsOf([granted('dba', 'g', onProd('root'), { allow: { logins: ['root'] } })])).toEqual([])
    const nowDenied = { allow: { logins: ['root'], node_labels: { env: 'prod' } }, deny: { logins: ['root'] } }
    expect(loginsOf([granted('dba', 'g', onProd('root'), nowDenied)])).toEqual([])
  })

  test('a role without any spec (deleted) gives nothing', () => {
    expect(loginsOf([granted('gone', 'g')])).toEqual([])
  })

  test('an edit of a granted role never widens what the grant gives', () => {
    const anySpec = fc.record({
      allow: fc.record({
        logins: fc.subarray(['root', 'deploy', 'alice']),
        node_labels: fc.constantFrom({}, { env: 'prod' }, { '*': '*' }, { team: 'x' }),
      }),
      deny: fc.record({ logins: fc.subarray(['root', 'alice']), node_labels: fc.constantFrom({}, { team: 'db' }) }),
    })
    fc.assert(
      fc.property(anySpec, anySpec, (pinned, current) => {
        const before = new Set(loginsOf([granted('r', 'g', pinned)]))
        const after = loginsOf([granted('r', 'g', pinned, current)])
        expect(after.filter((login) => !before.has(login))).toEqual([])
        const permissions = mergeOptions([
          granted('r', 'g', { ...pinned, options: {} }, { ...current, options: { port_forwarding: true } }),
        ])
        expect(permissions.portForwarding).toBe(false)
      }),
    )
  })

  test('the default login of the role that lets the user in, else the only one, else the own name, else a list', () => {
    const access = (...roles: WorkingRole[]) => nodeAccess(roles, aNode(PROD))
    const named = own('r', { allow: { logins: ['a', 'b'], default_login: 'b', node_labels: { env: 'prod' } } })
    expect(defaultLogin(access(named), 'a')).toBe('b')
    expect(defaultLogin(access(own('r', onProd('only'))), 'alice')).toBe('only')
    expect(defaultLogin(access(own('r', onProd('x', 'alice'))), 'alice')).toBe('alice')
    expect(resolveLogin(access(own('r', onProd('x', 'y'))), null, 'alice')).toEqual({
      ok: false,
      code: 'login_ambiguous',
      logins: ['x', 'y'],
    })
  })

  test('a default login that the role does not give is no default', () => {
    const role = own('r', { allow: { logins: ['a', 'b'], default_login: 'root', node_labels: { env: 'prod' } } })
    expect(resolveLogin(nodeAccess([role], aNode(PROD)), null, 'zed')).toMatchObject({
      ok: false,
      code: 'login_ambiguous',
    })
  })

  test('a login named but not allowed is refused with the ones that are, and no access at all says so', () => {
    const access = nodeAccess([own('r', onProd('deploy'))], aNode(PROD))
    expect(resolveLogin(access, 'root', 'alice')).toEqual({ ok: false, code: 'login_not_allowed', logins: ['deploy'] })
    expect(resolveLogin(access, 'deploy', 'alice')).toMatchObject({ ok: true, login: 'deploy' })
    expect(resolveLogin(nodeAccess([], aNode(PROD)), 'root', 'alice')).toMatchObject({
      ok: false,
      code: 'access_denied',
    })
  })

  test('permissions need one allowing role, restrictions take the strictest', () => {
    const a = own('a', {
      options: { port_forwarding: true, record_session: 'best_effort', client_idle_timeout: '30m' },
    })
    const b = own('b', { options: { record_session: 'strict_sync', max_session_ttl: '2h', client_idle_timeout: '5m' } })
    expect(mergeOptions([a, b])).toMatchObject({
      portForwarding: true,
      agentForwarding: false,
      recordInput: false,
      recordSession: 'strict_sync',
      sessionTtlMs: 7_200_000,
      idleMs: 300_000,
      offlineGraceMs: null,
    })
    expect(mergeOptions([]).recordSession).toBe('strict')
  })
})
