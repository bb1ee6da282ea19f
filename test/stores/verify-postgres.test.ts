import { describe, expect, it } from 'vitest'
import { verifyAudit } from '../../src/audit/verify/verify-audit.ts'
import { openPostgresSnapshot } from '../../src/foundation/database/postgres/open-postgres-snapshot.ts'
import { openPostgres } from '../../src/foundation/database/postgres/open-postgres.ts'
import { AccessWorld, HOUR } from '../support/access-world.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { openOn, useStores } from '../support/stores.ts'

describe('audit verify of a PostgreSQL store', () => {
  const stores = useStores('postgres')

  /** A store with a request, two votes and a grant, which nobody has open any more. */
  async function written(): Promise<string> {
    const name = await stores.server.database()
    const clock = new ManualClock()
    const world = await AccessWorld.open(clock, await openOn(stores.server, clock, name))
    await world.role('prod', { allow: { logins: ['deploy'] } })
    await world.role('dev', { allow: { request: { roles: ['prod'] } } })
    await world.role('lead', { allow: { review_requests: { roles: ['*'] } } })
    await world.user('alice', { roles: ['dev'] })
    await world.user('bob', { roles: ['lead'] })
    const { id } = await world.ask('alice', ['prod'], { duration: HOUR })
    await world.approve('bob', id)
    await world.close()
    return name
  }

  const verify = (name: string) =>
    verifyAudit({
      database: name,
      open: () => openPostgresSnapshot(stores.server.settings(name)),
      checkFile: true,
    })

  const kinds = async (name: string): Promise<string[]> => (await verify(name)).problems.map(({ kind }) => kind)

  it('finds a store whole that nobody touched', async () => {
    const found = await verify(await written())
    expect(found.problems).toEqual([])
    expect(found.events).toBeGreaterThan(7)
    expect(found.rows).toBeGreaterThan(7)
  })

  it.each([
    ['update grants set ends_at = ends_at + 1', 'row_altered'],
    ['delete from grants', 'row_missing'],
    ['update audit_events set details_json = \'{"x":1}\' where seq = 3', 'event_edited'],
    ["update audit_events set outcome = 'refused' where seq = 3", 'event_edited'],
    ['delete from audit_events where seq = (select max(seq) from audit_events)', 'tail_cut'],
    ['delete from audit_events where seq = 3', 'event_missing'],
    ['delete from chain_head', 'head_altered'],
    ["update users set role_ids_json = '[\"rol_prod\"]' where name = 'alice'", 'row_altered'],
    ['alter table grants drop column ends_at cascade', 'row_altered'],
    ['drop table locks cascade', 'database_damaged'],
    ['create view v as select 1 as one', 'schema_altered'],
    ['create rule r as on insert to locks do instead nothing', 'schema_altered'],
    [
      "create function f() returns trigger language plpgsql as 'begin return null; end'; create trigger t before insert on locks for each row execute function f()",
      'schema_altered',
    ],
  ])('tells of: %s', async (sql, kind) => {
    const name = await written()
    await stores.server.query(name, `set search_path to sallyport; ${sql}`)
    expect(await kinds(name)).toContain(kind)
  })

  it.each([
    ['a view', 'create view v as select 1 as one', /view "v"/],
    ['a rule', 'create rule r as on insert to locks do instead nothing', /rule "r"/],
    ['a row policy', 'create policy p on grants using (false)', /row policy "p"/],
    ['a default', 'alter table users alter column disabled set default 0', /column with a default/],
    ['a table that inherits', 'create table more () inherits (grants)', /inheriting table "more"/],
    ['a function', "create function lower(text) returns text language sql as 'select $1'", /function "lower"/],
  ])('a daemon does not open a store into which somebody put %s', async (_, sql, message) => {
    const name = await written()
    await stores.server.query(name, `set search_path to sallyport; ${sql}`)
    const opening = openPostgres(stores.server.settings(name), { knownServer: true })
    await expect(opening).rejects.toThrow(message)
  })

  it('a deed does not build on a row that was edited beside the daemon', async () => {
    const clock = new ManualClock()
    const name = await stores.server.database()
    const world = await AccessWorld.open(clock, await openOn(stores.server, clock, name))
    await world.role('dev', {})
    await world.user('alice', { roles: [] })
    await stores.server.query(name, `update sallyport.users set role_ids_json = '["rol_dev"]'`)
    await expect(world.user('alice', { roles: ['dev'] })).rejects.toMatchObject({ code: 'row_altered' })
    await world.close()
  })
})
