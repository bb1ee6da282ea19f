import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { asked, AccessWorld, callerNamed, HOUR, MINUTE } from '../../../test/support/access-world.ts'

let world: AccessWorld
beforeEach(async () => {
  world = await AccessWorld.open()
  await world.node('db-box', { env: 'prod', service: 'db' })
  await world.node('web-box', { env: 'prod', service: 'web' })
  await world.node('vault', { env: 'secret' })
  await world.role('prod-db', { allow: { logins: ['postgres', 'deploy'], node_labels: { service: 'db' } } })
  await world.role('prod-web', { allow: { logins: ['deploy'], node_labels: { service: 'web' } } })
  await world.role('prod-all', { allow: { logins: ['root', 'postgres', 'deploy'], node_labels: { env: 'prod' } } })
  await world.role('guard', { allow: { logins: ['root'], node_labels: { env: 'secret' } } })
  await searcher({ search_as_roles: ['prod-db', 'prod-web'] })
  await world.role('lead', { allow: { review_requests: { roles: ['*'] } } })
  await world.user('alice', { roles: ['dev'] })
  await world.user('bob', { roles: ['lead'] })
})
afterEach(() => world.close())

const searcher = (request: object, deny: object = {}): Promise<void> => world.role('dev', { allow: { request }, deny })
const ask = (resources: string[], more: Parameters<typeof asked>[1] & { roles?: string[] } = {}) =>
  world.ask('alice', more.roles ?? [], { resources, ...more })
const refusal = (code: string, text?: string): object => ({
  code,
  ...(text === undefined ? {} : { message: expect.stringContaining(text) as string }),
})

describe('which roles give the resources', () => {
  test('[51] only those are asked for that give one of them', async () => {
    expect(await ask(['node/db-box'])).toMatchObject({
      kind: 'resource',
      roles: ['prod-db'],
      resources: [{ kind: 'node', name: 'db-box' }],
      narrowing: null,
    })
    expect((await ask(['node/db-box', 'node/web-box'])).roles).toEqual(['prod-db', 'prod-web'])
  })
  test('[51] without a login every role that gives it is asked for; a held one is not', async () => {
    await searcher({ search_as_roles: ['*'] })
    expect((await ask(['node/db-box'])).roles).toEqual(['prod-all', 'prod-db'])
    await world.user('alice', { roles: ['dev', 'prod-db'] })
    expect((await ask(['node/db-box'], { login: 'root' })).roles).toEqual(['prod-all'])
  })
  test('[52] with a login, for each resource the role with the fewest logins that has it', async () => {
    await searcher({ search_as_roles: ['*'] })
    const roles = async (login: string, ...names: string[]) => (await ask(names, { login })).roles
    expect(await roles('postgres', 'node/db-box')).toEqual(['prod-db'])
    expect(await roles('root', 'node/db-box')).toEqual(['prod-all'])
    expect(await roles('deploy', 'node/db-box', 'node/web-box')).toEqual(['prod-db', 'prod-web'])
    expect((await ask(['node/db-box'], { login: 'postgres' })).narrowing).toEqual({ login: 'postgres' })
    await expect(ask(['node/db-box', 'node/web-box'], { login: 'daemon' })).rejects.toMatchObject(
      refusal('login_not_allowed', 'the login "daemon" on node/db-box; logins: deploy, postgres, root'),
    )
  })
  test("the login that own roles deny does not count, and its role is not taken for the other's sake", async () => {
    await searcher({ search_as_roles: ['*'] }, { logins: ['deploy', 'root'] })
    await expect(ask(['node/web-box'], { login: 'deploy' })).rejects.toMatchObject(
      refusal('login_not_allowed', 'logins: postgres'),
    )
    expect((await ask(['node/web-box'])).roles).toEqual(['prod-all'])
  })
  test('[58] roles that are named are not pruned: one that gives nothing of it is refused', async () => {
    expect((await ask(['node/db-box'], { roles: ['prod-db'] })).roles).toEqual(['prod-db'])
    await expect(ask(['node/db-box'], { roles: ['prod-db', 'prod-web'] })).rejects.toMatchObject(
      refusal('resource_not_requestable', '"prod-web" gives none'),
    )
    await expect(ask(['node/db-box', 'node/web-box'], { roles: ['prod-db'] })).rejects.toMatchObject(
      refusal('resource_not_requestable', 'gives node/web-box'),
    )
    await searcher({ search_as_roles: ['*'] })
    await expect(ask(['node/db-box'], { roles: ['prod-db'], login: 'root' })).rejects.toMatchObject(
      refusal('resource_not_requestable', 'with the login "root"'),
    )
  })
  test('[50] a named role outside search_as_roles is refused like one that does not exist', async () => {
    await searcher({ roles: ['prod-all'], search_as_roles: ['prod-db'] })
    const answers = await Promise.all(
      ['prod-all', 'prod-web', 'absent'].map((name) =>
        ask(['node/db-box'], { roles: [name] }).then(
          () => null,
          (error: Error & { code: string }) => [error.code, error.message.replaceAll(name, 'NAME')],
        ),
      ),
    )
    expect(answers[0]).toEqual(['role_not_requestable', 'you may not ask for a role "NAME" to get at resources'])
    for (const answer of answers) expect(answer).toEqual(answers[0])
  })
  test('* among the roles has nothing to add to resources', async () => {
    expect((await ask(['node/db-box'], { roles: ['*'] })).roles).toEqual(['prod-db'])
  })
  test('a role of the same request that denies the resource is no way to it', async () => {
    await world.role('prod-web', {
      allow: { logins: ['deploy'], node_labels: { service: 'web' } },
      deny: { node_labels: { service: 'db' } },
    })
    expect((await ask(['node/db-box'])).roles).toEqual(['prod-db'])
    await expect(ask(['node/db-box', 'node/web-box'])).rejects.toMatchObject(
      refusal('resource_not_requestable', 'none of these roles gives node/db-box'),
    )
  })
  test('locked roles and locked nodes', async () => {
    await searcher({ search_as_roles: ['prod-*'] })
    await world.lock('role', 'rol_prod-db')
    expect((await ask(['node/db-box'])).roles).toEqual(['prod-all'])
    await world.lock('role', 'rol_prod-all')
    await expect(ask(['node/db-box'])).rejects.toMatchObject(refusal('locked', 'prod-db, prod-all'))
    await world.lock('node', 'nod_web-box')
    await expect(ask(['node/web-box'])).rejects.toMatchObject(refusal('locked', 'node/web-box is locked: held'))
  })
  test('an escalating role needs the flag, and its rules are no part of what is given', async () => {
    const rules = [{ resources: ['user'], verbs: ['update'] }]
    await world.role('prod-db', { allow: { logins: ['postgres'], node_labels: { service: 'db' }, rules } })
    await expect(ask(['node/db-box'])).rejects.toMatchObject(refusal('resource_unknown'))
    await searcher({ search_as_roles: ['prod-db'], escalating: true })
    expect((await ask(['node/db-box'])).roles).toEqual(['prod-db'])
  })
})

describe('who may ask', () => {
  test('[48] without search_as_roles nobody asks for resources; who may ask for the role as a whole is told so', async () => {
    await searcher({ roles: ['prod-db'] })
    await expect(ask(['node/db-box'])).rejects.toMatchObject({
      ...refusal('resource_not_requestable', 'only with a role that gives it: prod-db'),
      hint: 'sally request create --roles=prod-db',
    })
    await world.user('eve', {})
    await expect(world.ask('eve', [], { resources: ['node/db-box'] })).rejects.toMatchObject(
      refusal('resource_unknown'),
    )
  })
  test('search_as_roles alone lets nobody ask for the role', async () => {
    await expect(world.ask('alice', ['prod-db'])).rejects.toMatchObject(refusal('role_not_requestable'))
    await expect(world.ask('alice', ['*'])).rejects.toMatchObject(refusal('nothing_requestable'))
  })
  test.each([
    ['request.roles', { request: { roles: ['prod-*'] } }],
    ['request.search_as_roles', { request: { search_as_roles: ['prod-db'] } }],
    ['node_labels', { node_labels: { service: 'db' } }],
  ])('[49] deny.%s that hits the only candidate wins', async (_name, deny) => {
    await searcher({ search_as_roles: ['prod-db', 'prod-web'] }, deny)
    await expect(ask(['node/db-box'])).rejects.toMatchObject(refusal('resource_unknown'))
  })
  test('deny.request.search_as_roles leaves asking for the role as a whole', async () => {
    await searcher({ roles: ['prod-db'], search_as_roles: ['*'] }, { request: { search_as_roles: ['prod-*'] } })
    expect((await world.ask('alice', ['prod-db'])).kind).toBe('role')
    await expect(ask(['node/db-box'])).rejects.toMatchObject(refusal('resource_not_requestable'))
  })
  test('[42] [59] unknown, unknowable and kinds without resources: one answer', async () => {
    const names = ['node/vault', 'node/absent', 'database/orders', 'kube_cluster/main', 'app/wiki']
    const answers = await Promise.all(
      names.map((name) =>
        ask([name]).then(
          () => null,
          (error: Error) => JSON.stringify([error.message, error]).replaceAll(name, 'NAME'),
        ),
      ),
    )
    expect(answers[0]).toContain('there is no NAME that you may use or ask for')
    for (const answer of answers) expect(answer).toBe(answers[0])
  })
  test('what own roles give already is known, and there is nothing to ask for', async () => {
    await world.user('gina', { roles: ['guard', 'dev'] })
    await expect(world.ask('gina', [], { resources: ['node/vault'] })).rejects.toMatchObject(
      refusal('resource_not_requestable', 'your own roles give node/vault'),
    )
  })
  test('a node that was removed is unknown, also under its old name', async () => {
    await world.removeNode('nod_db-box')
    await expect(ask(['node/db-box'])).rejects.toMatchObject(refusal('resource_unknown'))
  })
})

async function manyNodes(count: number): Promise<void> {
  const rows = Array.from({ length: count }, (_, index) => {
    const name = `n${String(index).padStart(3, '0')}`
    const host = { address: 'h:22', host_key: 'k', host_authority: null, host_principal: null }
    const labels_json = JSON.stringify({ service: 'web', index: String(index) })
    return { id: `nod_${name}`, event_id: '', name, labels_json, ...host, created_at: 1, deleted_at: null }
  })
  await world.deeds.commitDeed(async (tx) => {
    await tx.insertInto('nodes').values(rows).execute()
    const named = rows.map(({ id }) => ({ table: 'nodes' as const, id }))
    const actor = { kind: 'system', id: null, name: 'test' } as const
    return { result: null, events: [{ type: 'resource.create', actor, outcome: 'success', rows: named }] }
  })
}

describe('limits, and what comes with the blocks', () => {
  test('[41] 300 resources, each counted once; 301 are refused by name', async () => {
    await manyNodes(301)
    const names = Array.from({ length: 301 }, (_, index) => `node/n${String(index).padStart(3, '0')}`)
    await expect(ask(names)).rejects.toMatchObject(refusal('over_limit', 'too many are: node/n300'))
    const { id, resources } = await ask([...names.slice(0, 300), ...names.slice(0, 300), 'node/N000'])
    expect(resources).toHaveLength(300)
    // The events of a request as large as may be still fit.
    expect((await world.approve('bob', id)).grant?.resources).toHaveLength(300)
  })
  test('50 roles', async () => {
    for (let index = 0; index < 51; index++)
      await world.role(`many-${String(index).padStart(2, '0')}`, {
        allow: { logins: ['x'], node_labels: { env: '*' } },
      })
    await searcher({ search_as_roles: ['many-*'] })
    await expect(ask(['node/db-box'])).rejects.toMatchObject(refusal('over_limit', 'many-50'))
    expect((await ask(['node/db-box'], { login: 'x' })).roles).toEqual(['many-00'])
  })
  test('neither roles nor resources, and a login without resources', async () => {
    await expect(ask([])).rejects.toMatchObject(refusal('nothing_requestable'))
    await expect(world.ask('alice', ['prod-db'], { login: 'root' })).rejects.toMatchObject(refusal('malformed'))
  })
  test('[37] reason, cap, thresholds and annotations of every block that names the role apply, however it names it', async () => {
    await searcher({ search_as_roles: ['prod-db'], max_duration: '2h', thresholds: [{ name: 'two', approve: 2 }] })
    await world.role('more', {
      allow: {
        request: { roles: ['prod-db'], reason: { mode: 'required' }, annotations: { a: ['1'] }, max_duration: '1h' },
      },
    })
    await world.user('alice', { roles: ['dev', 'more'] })
    await expect(ask(['node/db-box'], { reason: ' ' })).rejects.toMatchObject(refusal('reason_required'))
    const made = await ask(['node/db-box'])
    expect(made).toMatchObject({ duration: 2 * HOUR, annotations: { a: ['1'] } })
    expect(made.progress.map(({ name }) => name).sort()).toEqual(['any reviewer', 'two'])
    await expect(ask(['node/db-box'], { duration: 2 * HOUR + 1 })).rejects.toMatchObject(refusal('duration_over_cap'))
  })
  test('[47] a dry run works it out and stores nothing', async () => {
    const before = await world.events()
    const preview = await world.requests.forecast(
      callerNamed('alice'),
      asked([], { resources: ['node/web-box', 'node/db-box'], login: 'deploy' }),
    )
    expect(preview).toMatchObject({
      roles: ['prod-db', 'prod-web'],
      resources: [
        { kind: 'node', name: 'db-box' },
        { kind: 'node', name: 'web-box' },
      ],
      narrowing: { login: 'deploy' },
    })
    expect(await world.events()).toEqual(before)
  })
})

describe('the same again', () => {
  test('an identical one is returned; other resources, roles or login make another', async () => {
    const first = await ask(['node/db-box', 'node/web-box'])
    expect((await ask(['node/web-box', 'node/db-box', 'node/db-box'])).id).toBe(first.id)
    const others = [await ask(['node/db-box']), await ask(['node/db-box'], { login: 'deploy' })]
    expect(new Set([first, ...others].map(({ id }) => id)).size).toBe(3)
    expect(new Set([first, ...others].map(({ requestDigest }) => requestDigest)).size).toBe(3)
  })
  test('after a denial the same or more waits, and something less does not', async () => {
    await searcher({ roles: ['prod-db'], search_as_roles: ['prod-db', 'prod-web'] })
    const { id } = await ask(['node/db-box'], { login: 'deploy' })
    await world.deny('bob', id)
    for (const more of [{ login: 'deploy', reason: 'please' }, { reason: 'all of it' }])
      await expect(ask(['node/db-box'], more)).rejects.toMatchObject(refusal('cooling_down'))
    await expect(world.ask('alice', ['prod-db'])).rejects.toMatchObject(refusal('cooling_down'))
    expect((await ask(['node/web-box'], { login: 'deploy' })).warnings).toEqual([])
    expect((await ask(['node/db-box'], { login: 'postgres' })).warnings).toEqual(['earlier_denial'])
    world.clock.advance(10 * MINUTE)
    expect((await ask(['node/db-box'], { login: 'deploy' })).warnings).toEqual(['earlier_denial'])
  })
  test('a role that was denied as a whole may be asked for on one resource', async () => {
    await searcher({ roles: ['prod-db'], search_as_roles: ['prod-db'] })
    await world.deny('bob', (await world.ask('alice', ['prod-db'])).id)
    expect((await ask(['node/db-box'])).warnings).toEqual(['earlier_denial'])
  })
})

describe('who decides', () => {
  test('conditions see the resources', async () => {
    await world.role('db-lead', {
      allow: { review_requests: { roles: ['*'], where: '"node/db-box" in request.resources' } },
    })
    await world.user('carol', { roles: ['db-lead'] })
    await world.user('bob', {})
    expect((await ask(['node/db-box'])).reviewers).toEqual(['carol'])
    expect(await ask(['node/web-box'])).toMatchObject({ reviewers: [], warnings: ['nobody_can_approve'] })
  })
  test('the event names resources and login; what people are told does, too', async () => {
    await ask(['node/db-box'], { login: 'deploy' })
    const event = (await world.events()).at(-1)
    expect(event).toMatchObject({
      type: 'access_request.create',
      details: { resources: [{ kind: 'node', id: 'nod_db-box', name: 'db-box' }], narrowing: { login: 'deploy' } },
    })
    expect((await world.outbox()).at(-1)?.body).toMatchObject({ resources: ['node/db-box'], login: 'deploy' })
  })
})
