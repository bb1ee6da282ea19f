import { beforeEach, describe, expect, test } from 'vitest'
import { seededStore, type SeededStore } from '../../test/support/seeded-store.ts'
import { decideAccess, type AccessDecision } from './decide-access.ts'

// Connections of somebody who may ask for single nodes, or has a grant of some.

const HOUR = 3_600_000
const PROD = { env: 'prod' }
const IDENTITY = JSON.stringify(['ssh-ed25519 AAAA', null, null])

let store: SeededStore
beforeEach(async () => {
  store = await seededStore()
  await store.role('prod', { allow: { logins: ['app', 'root'], node_labels: PROD } })
  await searcher({ search_as_roles: ['prod*'], max_duration: '2h' })
  await store.user('ada', ['dev'])
  await store.login('ada')
  for (const name of ['db-box', 'web-box']) await store.node(name, PROD)
})

let revision = 0
const searcher = (request: object): Promise<unknown> => store.role('dev', { allow: { request } }, ++revision)
const pin = (name: string, more: object = {}): object => {
  return { kind: 'node', id: `nod_${name}`, name, labels: PROD, identity: IDENTITY, ...more }
}
const grant = (pins: readonly object[], login?: string) =>
  store.grant('1', 'ada', 'prod', HOUR, {
    kind: 'resource',
    resources_json: JSON.stringify(pins),
    narrowing_json: login === undefined ? null : JSON.stringify({ login }),
  })

function connect(target: string, live = false): AccessDecision {
  const [node = '', login = null] = target.split('@').toReversed()
  const used = live ? { startedAt: store.clock.now(), grants: ['grt_1'], isUsed: true } : null
  const who = { userId: 'usr_ada', loginSessionId: 'lgn_ada', keyFingerprint: 'SHA256:ada' }
  return decideAccess(store.snapshot, { ...who, protocol: 'ssh', node, login, live: used }, store.clock.now())
}
function linesOf(target: string): string {
  const decision = connect(target)
  return decision.ok ? 'let in' : decision.lines.join('\n')
}
function endOf(target: string): string {
  const decision = connect(target, true)
  return decision.ok ? 'goes on' : decision.ended
}

describe('what a refusal proposes', () => {
  test('a request for the node, where its role can be asked for in no other way', () => {
    expect(linesOf('db-box')).toBe(
      [
        'sallyport: ada may not use db-box',
        '  This role would help: prod (app, root; up to 2h)',
        '  Ask for it:',
        '    sally request create --resource=node/db-box --reason="why you need it" --duration=1h',
      ].join('\n'),
    )
    expect(linesOf('root@db-box')).toContain('--resource=node/db-box --login=root --reason')
    expect(connect('db-box')).toMatchObject({
      ways: [{ roles: ['prod'], resources: [{ kind: 'node', name: 'db-box' }] }],
    })
  })
  test('the role itself, where it may be asked for as a whole', async () => {
    await searcher({ roles: ['prod'], search_as_roles: ['prod'] })
    expect(linesOf('db-box')).toContain('sally request create --roles=prod --reason')
  })
  test('one of several roles by name: what is worked out would be all of them', async () => {
    await store.role('prod-app', { allow: { logins: ['app'], node_labels: PROD } })
    expect(linesOf('db-box')).toContain('--resource=node/db-box --roles=prod-app --reason')
  })
  test('other logins, where nothing gives the one that was named; the node is no secret', () => {
    expect(linesOf('daemon@db-box')).toBe(
      [
        'sallyport: ada may not use daemon@db-box',
        '  Nothing that you may ask for gives it; logins that may be asked for: app, root',
      ].join('\n'),
    )
  })
})

describe('a grant of resources', () => {
  test('lets in there, with its login, and its end is told by role and node', async () => {
    await grant([pin('db-box')], 'root')
    expect(connect('db-box')).toMatchObject({
      ok: true,
      opened: { login: 'root' },
      grants: [{ id: 'grt_1' }],
      endText: 'your access (prod on node/db-box) has expired',
    })
    expect(linesOf('app@db-box')).toContain('ada may not use app@db-box; allowed logins: root')
    expect(linesOf('web-box')).toContain('ada may not use web-box')
  })
  test('a live session is told what ended it, and of no other node', async () => {
    await grant([pin('db-box'), pin('web-box')])
    expect(endOf('root@db-box')).toBe('goes on')
    await store.node('web-box', { env: 'dev' })
    await store.node('db-box', { env: 'dev' })
    expect(endOf('root@db-box')).toBe('node/db-box was labelled anew since the approval')
    await store.node('db-box', PROD)
    expect(endOf('root@db-box')).toBe('goes on')
    await grant([pin('db-box', { identity: 'another' }), pin('web-box')])
    expect(endOf('root@db-box')).toBe('node/db-box has another host key than the one approved')
  })
  test.each([
    ['no pins', []],
    ['a pin without labels', [{ kind: 'node', id: 'nod_db-box', name: 'db-box', identity: IDENTITY }]],
    ['a pin without identity', [{ kind: 'node', id: 'nod_db-box', name: 'db-box', labels: PROD }]],
    ['a pin of another kind', [pin('db-box', { kind: 'database' })]],
    ['a pin of the same name', [pin('db-box', { id: 'nod_old' })]],
  ])('with %s gives nothing', async (_name, pins) => {
    await grant(pins)
    expect(connect('root@db-box').ok).toBe(false)
  })
  test('many resources are told by the first of them', async () => {
    await grant(['db-box', 'web-box', 'a', 'b', 'c'].map((name) => pin(name)))
    expect(connect('root@db-box')).toMatchObject({
      endText: 'your access (prod on node/db-box, node/web-box, node/a and 2 more) has expired',
    })
  })
})
