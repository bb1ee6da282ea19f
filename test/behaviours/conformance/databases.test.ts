// Requests for databases, as for nodes: with the db user in the place of the login. Numbers in titles are those of the list of
// behaviours of request systems that we follow.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AskBody } from '../../../src/contract/request.ts'
import type { Account } from '../../support/sallyport.ts'
import { STORES } from '../../support/stores.ts'
import { until } from '../../support/until.ts'
import { ConformanceHouse, refusalOf, type Scene } from './house.ts'

describe.each(STORES)('requests for databases on %s', (kind) => {
  let house: ConformanceHouse
  beforeAll(async () => {
    house = await ConformanceHouse.start(kind)
  })
  afterAll(async () => {
    await house?.[Symbol.asyncDispose]()
  })

  const ROLES = {
    app: { allow: { db_users: ['app', 'report'], db_names: ['shop'], db_labels: { env: 'prod' } } },
    admin: {
      allow: { db_users: ['root', 'app', 'report'], db_names: ['shop', 'mysql'], db_labels: { env: ['prod', 'web'] } },
    },
  }

  /** Makes or replaces a database of the scene; nobody connects to it. */
  async function database(made: Scene, short: string, env: string, spec: Record<string, unknown> = {}): Promise<void> {
    await house.sallyport.document({
      kind: 'database',
      metadata: { name: made.role(short), labels: { env } },
      spec: { protocol: 'postgres', address: 'db.internal:5432', tls: { server_name: 'db.internal' }, ...spec },
    })
  }

  async function scene(): Promise<Scene> {
    const made = await house.scene({ roles: ROLES })
    await made.define('dev', { allow: { request: { search_as_roles: [made.role('*')], max_duration: '4h' } } })
    await database(made, 'orders', 'prod')
    await database(made, 'site', 'web')
    return made
  }
  const ask = (made: Scene, short: string, more: Partial<AskBody> = {}) =>
    made.ask({ resources: [`database/${made.role(short)}`], ...more }, [])
  const check = (made: Scene, short: string, dbUser: string, dbName = 'shop') =>
    made.requester.api.checkDatabaseAccess({ params: { name: made.role(short) }, query: { dbUser, dbName } })
  const usersAt = async (made: Scene, short: string): Promise<readonly string[]> => {
    const { items } = await made.requester.api.listDatabases({})
    return items.flatMap(({ name, dbUsers }) => (name === made.role(short) ? dbUsers : [])).toSorted()
  }

  test('42, 59: one that is absent and one that must not be known get one answer', async () => {
    const made = await scene()
    await database(made, 'vault', 'vault')
    for (const short of ['vault', 'absent']) {
      expect(await refusalOf(ask(made, short)), short).toBe('resource_unknown')
      expect(await refusalOf(check(made, short, 'app')), short).toBe(await refusalOf(check(made, 'nowhere', 'app')))
    }
    const { items } = await made.requester.api.searchRequestable({ query: { kind: 'database', text: made.role('') } })
    expect(items.map(({ name }) => name).toSorted()).toEqual([made.role('orders'), made.role('site')])
  })

  test('52: narrowed to a db user it gives that db user there, and nothing else anywhere', async () => {
    const made = await scene()
    const request = await ask(made, 'orders', { narrowing: { dbUser: 'report' } })
    expect(request.roles).toEqual([made.role('app')])
    expect(await refusalOf(ask(made, 'orders', { narrowing: { dbUser: 'nobody' } }))).toBe('db_user_not_allowed')
    expect(await check(made, 'orders', 'report')).toMatchObject({ ok: false })
    await made.vote(0, request, 'approve')
    expect(await check(made, 'orders', 'report')).toMatchObject({ ok: true, login: 'report' })
    expect(await check(made, 'orders', 'app')).toMatchObject({ ok: false })
    expect(await check(made, 'orders', 'report', 'mysql')).toMatchObject({ ok: false })
    expect(await check(made, 'site', 'report')).toMatchObject({ ok: false })
    expect([await usersAt(made, 'orders'), await usersAt(made, 'site')]).toEqual([['report'], []])
  })

  test('a refusal names what to ask for, down to the db user, and asking for that helps', async () => {
    const made = await scene()
    const refused = await check(made, 'orders', 'report')
    if (refused.ok) throw new Error('it was let in')
    expect(refused.lines.join('\n')).toContain(`may not use report on ${made.role('orders')}`)
    expect(refused.lines.join('\n')).toContain('sally request create')
    const [way] = refused.ways
    expect(way).toMatchObject({
      narrowing: { dbUser: 'report' },
      resources: [{ kind: 'database', name: made.role('orders') }],
    })
    const { roles = [], narrowing } = way ?? {}
    const { request } = await made.requester.api.ask({
      body: {
        roles: [...roles],
        resources: [`database/${made.role('orders')}`],
        reason: 'as I was told',
        ...(narrowing ? { narrowing } : {}),
      },
    })
    if (!request) throw new Error('nothing was asked for')
    const waiting = await check(made, 'orders', 'report')
    expect(waiting).toMatchObject({ ok: false, pending: { id: request.id } })
    await made.vote(0, request, 'approve')
    expect(await check(made, 'orders', 'report')).toMatchObject({ ok: true })
  })

  test('a reviewer is shown which db users and databases would be new', async () => {
    const made = await scene()
    const { id } = await ask(made, 'orders', { narrowing: { dbUser: 'app' } })
    const { change } = await (made.reviewers[0]?.api ?? house.admin).previewRequest({ params: { id } })
    expect(change.databases).toEqual([{ database: made.role('orders'), dbUsers: ['app'], dbNames: ['shop'] }])
  })

  test('it ends when its time is up', async () => {
    const made = await scene()
    await made.vote(0, await ask(made, 'orders', { duration: 60_000 }), 'approve', { duration: 3000 })
    expect(await usersAt(made, 'orders')).toEqual(['app', 'report', 'root'])
    await until('it to end', async () => (await usersAt(made, 'orders')).length === 0)
    expect(await check(made, 'orders', 'app')).toMatchObject({ ok: false })
  })

  test('revoked or given back it is over, and another grant stays', async () => {
    const made = await scene()
    const [first, second] = [
      await ask(made, 'orders', { narrowing: { dbUser: 'app' } }),
      await ask(made, 'orders', { narrowing: { dbUser: 'report' } }),
    ]
    await made.vote(0, first, 'approve')
    await made.vote(0, second, 'approve')
    expect(await usersAt(made, 'orders')).toEqual(['app', 'report'])
    await house.admin.revokeGrant({ params: { id: first.id }, body: { reason: 'enough' } })
    expect(await usersAt(made, 'orders')).toEqual(['report'])
    await made.requester.api.returnGrant({ params: { id: second.id } })
    expect(await usersAt(made, 'orders')).toEqual([])
  })

  test('a lock on the database closes it to whoever holds a grant, and its end opens it again', async () => {
    const made = await scene()
    await made.vote(0, await ask(made, 'orders'), 'approve')
    expect(await check(made, 'orders', 'app')).toMatchObject({ ok: true })
    const lock = await house.admin.addLock({
      body: { kind: 'database', target: made.role('orders'), message: 'being moved', ttl: '1h' },
    })
    const refused = await check(made, 'orders', 'app')
    expect(refused).toMatchObject({ ok: false, ways: [] })
    expect(refused.ok ? '' : refused.lines.join('\n')).toContain('being moved')
    await house.admin.removeLock({ params: { id: lock.id } })
    expect(await check(made, 'orders', 'app')).toMatchObject({ ok: true })
  })

  test('labelled out it gives nothing, labelled elsewhere never more; at another server it is another database', async () => {
    const made = await scene()
    await made.vote(0, await ask(made, 'orders', {}), 'approve')
    const before = await usersAt(made, 'orders')
    await database(made, 'orders', 'none')
    expect(await usersAt(made, 'orders')).toEqual([])
    await made.define('app', { allow: { ...ROLES.app.allow, db_users: ['app', 'report', 'newcomer'] } })
    await database(made, 'orders', 'prod')
    expect(await usersAt(made, 'orders')).toEqual(before)
    await database(made, 'orders', 'prod', { tls: { server_name: 'elsewhere.test' } })
    expect(await usersAt(made, 'orders')).toEqual([])
    expect(await check(made, 'orders', 'app')).toMatchObject({ ok: false })
  })

  test('removed and made anew under its name, it revives nothing', async () => {
    const made = await scene()
    const approved = await made.vote(0, await ask(made, 'orders'), 'approve')
    await house.admin.removeDatabase({ params: { name: made.role('orders') } })
    await database(made, 'orders', 'prod')
    expect(await usersAt(made, 'orders')).toEqual([])
    const ended = await until('the grant to end', async () => {
      const { grant } = await made.look(approved)
      return grant?.state === 'ended' && grant
    })
    expect(ended.endReason).toBe('resource_deleted')
  })

  test('the same by command: refused, asked for with a db user, approved, listed, locked', async () => {
    const made = await scene()
    const name = made.role('orders')
    const people = async (person: string, roles: string[]): Promise<Account> => {
      await house.sallyport.user(person, roles)
      return house.sallyport.signIn(person)
    }
    const dana = await people('dana', [made.role('dev')])
    const rita = await people('rita', [made.role('reviewer')])
    const connect = () => dana.sally('db', 'connect', '--db-user=report', '--db-name=shop', name)
    const refused = await connect()
    expect(refused.code).not.toBe(0)
    const told = /sally (request create .*--db-user=report) --reason/.exec(refused.stderr)?.[1] ?? ''
    expect(told).toContain(`--resource=database/${name}`)
    const asking = dana.start('sally', ...told.split(' '), '--reason=by command')
    await asking.prints(/Seeking request approval/)
    const id = /\breq_[0-9a-f-]{36}\b/.exec(asking.stdout())?.[0] ?? ''
    expect((await rita.sally('request', 'show', id)).stdout).toMatch(/Db user: +report only/)
    expect(await rita.sally('request', 'review', id, '--approve', '--reason=fine')).toMatchObject({ code: 0 })
    const { code, stdout } = await asking.finished
    expect({ code, stdout }).toMatchObject({ code: 0 })
    expect(stdout).toContain(`sally db connect --db-user=report ${name}`)
    const listed = await dana.sally('db', 'ls')
    expect(listed.stdout).toMatch(new RegExp(`${name}.*report`))
    await house.sallyport.admin('lock', 'add', `--database=${name}`, '--message=moving', '--ttl=1h')
    expect((await connect()).stderr).toContain('moving')
  })
})
