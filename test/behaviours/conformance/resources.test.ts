// Requests for resources. Numbers in the titles are those of the list of behaviours of request systems that we follow; where
// ours is better on purpose, the title says what ours does.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AccessRequest, AskBody } from '../../../src/contract/request.ts'
import { STORES } from '../../support/stores.ts'
import { until } from '../../support/until.ts'
import { ConformanceHouse, refusalOf, type Scene, type SceneOptions } from './house.ts'

describe.each(STORES)('requests for resources on %s', (kind) => {
  let house: ConformanceHouse
  beforeAll(async () => {
    house = await ConformanceHouse.start(kind)
  })
  afterAll(async () => {
    await house?.[Symbol.asyncDispose]()
  })

  const ROLES = {
    db: { allow: { logins: ['postgres', 'deploy'], node_labels: { env: 'db' } } },
    all: { allow: { logins: ['root', 'postgres', 'deploy'], node_labels: { env: ['db', 'web'] } } },
  }

  /** Nodes db (env=db) and web (env=web); all roles of the scene may be searched. */
  async function scene(options: SceneOptions = {}): Promise<Scene> {
    const made = await house.scene({ roles: ROLES, ...options })
    const block = options.request ?? {}
    await made.define('dev', { allow: { request: { search_as_roles: [made.role('*')], ...block } } })
    await made.node('db', { env: 'db' })
    await made.node('web', { env: 'web' })
    return made
  }
  const named = (made: Scene, ...nodes: string[]): string[] => nodes.map((node) => `node/${made.role(node)}`)
  const ask = (made: Scene, nodes: string[], more: Partial<AskBody> = {}, roles: string[] = []) =>
    made.ask({ resources: named(made, ...nodes), ...more }, roles)
  const rolesOf = (made: Scene, { roles }: Pick<AccessRequest, 'roles'>): string[] =>
    roles.map((role) => role.slice(made.role('').length)).toSorted()

  test('41: 301 resources are refused, duplicates are stored once', async () => {
    const made = await scene()
    const many = Array.from({ length: 301 }, (_, index) => `node/n-${index}`)
    expect(await refusalOf(made.ask({ resources: many }, []))).toBe('over_limit')
    expect((await ask(made, ['db', 'db', 'db'])).resources).toEqual([{ kind: 'node', name: made.role('db') }])
  })

  test('42, 59: an unknown resource, one that must not be known, and a kind that has none get one answer', async () => {
    const made = await scene()
    await made.node('vault', { env: 'vault' })
    const names = [...named(made, 'vault', 'absent'), 'database/orders']
    for (const name of names)
      expect(await refusalOf(made.ask({ resources: [name] }, [])), name).toBe('resource_unknown')
    const { items } = await made.requester.api.searchRequestable({ query: { kind: 'node', text: made.role('') } })
    expect(items.map(({ name }) => name)).toEqual([made.role('db'), made.role('web')])
  })

  test('48: without search_as_roles it is refused', async () => {
    const made = await scene({ request: { roles: ['none'], search_as_roles: [] } })
    expect(await refusalOf(ask(made, ['db']))).toBe('resource_unknown')
    await made.define('dev', { allow: { request: { roles: [made.role('db')] } } })
    expect(await refusalOf(ask(made, ['db']))).toBe('resource_not_requestable')
  })

  test.each(['roles', 'search_as_roles'] as const)('49: deny.request.%s on the only candidate wins', async (field) => {
    const made = await scene({ roles: { db: ROLES.db } })
    await made.define('careful', { deny: { request: { roles: [], [field]: [made.role('db')] } } })
    await made.give(made.requester, ['dev', 'careful'])
    expect(await refusalOf(ask(made, ['db']))).toBe('resource_unknown')
  })

  test('50, 58: named roles outside search_as_roles, or that do not give the resource, are refused and not pruned', async () => {
    const made = await scene()
    await made.define('dev', { allow: { request: { search_as_roles: [made.role('db')] } } })
    expect(await refusalOf(ask(made, ['db'], {}, ['all']))).toBe('role_not_requestable')
    await made.define('dev', { allow: { request: { search_as_roles: [made.role('*')] } } })
    expect(await refusalOf(ask(made, ['web'], {}, ['all', 'db']))).toBe('resource_not_requestable')
    expect(rolesOf(made, await ask(made, ['web', 'db'], {}, ['all', 'db']))).toEqual(['all', 'db'])
  })

  test('51: only the roles that give the resource are asked for', async () => {
    const made = await scene()
    expect(rolesOf(made, await ask(made, ['web']))).toEqual(['all'])
    expect(rolesOf(made, await ask(made, ['db']))).toEqual(['all', 'db'])
  })

  test('52: with a login the role with the fewest logins that has it; an unknown login is an error', async () => {
    const made = await scene()
    const request = await ask(made, ['db'], { narrowing: { login: 'postgres' } })
    expect(rolesOf(made, request)).toEqual(['db'])
    expect(await refusalOf(ask(made, ['db'], { narrowing: { login: 'nobody' } }))).toBe('login_not_allowed')
    await made.vote(0, request, 'approve')
    expect(await made.loginsAt('db')).toEqual(['postgres'])
    expect(await made.loginsAt('web')).toEqual([])
  })

  test('37: a reason that the searching block requires is required', async () => {
    const made = await scene({ request: { reason: { mode: 'required' } } })
    expect(await refusalOf(ask(made, ['db'], { reason: ' ' }))).toBe('reason_required')
  })

  test('47: a dry run tells resources, roles and reviewers', async () => {
    const made = await scene()
    const body = { resources: named(made, 'web'), reason: 'x', dryRun: true }
    const { request, preview } = await made.requester.api.ask({ body })
    expect(request).toBeNull()
    expect(preview).toMatchObject({ roles: [made.role('all')], resources: [{ kind: 'node', name: made.role('web') }] })
    expect(preview.reviewers.length).toBeGreaterThan(0)
  })

  test('74, 75, 76: grants of roles and of several resources add up, each within its own limits', async () => {
    const made = await scene()
    await made.define('extra', { allow: { logins: ['me'], node_labels: { env: 'web' } } })
    await made.define('dev', { allow: { request: { roles: [made.role('extra')], search_as_roles: [made.role('*')] } } })
    const requests = [
      await ask(made, ['db'], { narrowing: { login: 'root' } }),
      await ask(made, ['web'], { narrowing: { login: 'deploy' } }),
      await made.ask({}, ['extra']),
    ]
    for (const request of requests) await made.vote(0, request, 'approve')
    expect([await made.loginsAt('db'), await made.loginsAt('web')]).toEqual([['root'], ['deploy', 'me']])
    // 77: giving one back leaves the others.
    await made.requester.api.returnGrant({ params: { id: requests[1]?.id ?? '' } })
    expect([await made.loginsAt('db'), await made.loginsAt('web')]).toEqual([['root'], ['me']])
  })

  test('a grant gives its node and no other of the role; labelled out it gives nothing, elsewhere never more', async () => {
    const made = await scene()
    await made.vote(0, await ask(made, ['db'], {}, ['db']), 'approve')
    expect([await made.loginsAt('db'), await made.loginsAt('web')]).toEqual([['deploy', 'postgres'], []])
    await made.node('db', { env: 'none' })
    expect(await made.loginsAt('db')).toEqual([])
    await made.define('db', { allow: { logins: ['deploy', 'root'], node_labels: { '*': '*' } } })
    await made.node('db', { env: 'db' })
    expect(await made.loginsAt('db')).toEqual(['deploy'])
    expect(await made.loginsAt('web')).toEqual([])
  })

  test('a removed node cancels what is pending and ends what was granted; its name made anew revives nothing', async () => {
    const made = await scene()
    const approved = await made.vote(0, await ask(made, ['db']), 'approve')
    const pending = await ask(made, ['db', 'web'])
    await house.admin.removeNode({ params: { name: made.role('db') } })
    await made.node('db', { env: 'db' })
    expect(await made.loginsAt('db')).toEqual([])
    const ended = await until('the grant to end', async () => {
      const { grant } = await made.look(approved)
      return grant?.state === 'ended' && grant
    })
    expect(ended.endReason).toBe('resource_deleted')
    expect(
      (
        await until('the request to be cancelled', async () => {
          const seen = await made.look(pending)
          return seen.state === 'cancelled' && seen
        })
      ).resolution,
    ).toContain('was removed')
  })
})
