import { describe, expect, it } from 'vitest'
import { sql } from 'kysely'
import { STORES, useStores } from '../support/stores.ts'

describe.each(STORES)('a store on %s', (kind) => {
  const stores = useStores(kind)

  const lock = (id: string) => ({
    ...{ id, event_id: '', target_kind: 'user' as const, target_id: 'u', target_name: 'u', message: '' },
    ...{ created_by: 'x', created_at: 1, expires_at: null, removed_at: null },
  })

  it('runs transactions one after the other and keeps nothing when the work throws', async () => {
    const database = await stores.open()
    const steps: string[] = []
    const add = (id: string, fail: boolean): Promise<void> =>
      database.transact(async (tx) => {
        steps.push(`${id} begins`)
        const row = { id, position: steps.length, topic: 't', body_json: '{}', created_at: 1, delivered_at: null }
        await tx.insertInto('outbox').values(row).execute()
        await tx.selectFrom('outbox').selectAll().execute()
        steps.push(`${id} ends`)
        if (fail) throw new Error('no')
      })
    const results = await Promise.allSettled([add('a', false), add('b', true), add('c', false)])
    expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(steps).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends'])
    const rows = await database.reads.selectFrom('outbox').select('id').orderBy('position').execute()
    expect(rows.map((row) => row.id)).toEqual(['a', 'c'])
  })

  it('refuses power rows that no event names: written, changed, renamed or removed', async () => {
    const database = await stores.open()
    const insert = database.transact((tx) =>
      tx
        .insertInto('locks')
        .values([lock('lck_1'), lock('lck_2')])
        .execute(),
    )
    await expect(insert).rejects.toThrow(/without an event that names them: locks\/lck_1, locks\/lck_2/)
    expect(await database.reads.selectFrom('locks').selectAll().execute()).toEqual([])
    await database.transact(async (tx) => {
      await tx
        .insertInto('locks')
        .values([lock('lck_1'), lock('lck_2')])
        .execute()
      await database.forgetTouched(tx)
    })
    const named = async (work: Parameters<typeof database.transact>[0]): Promise<string[]> => {
      let seen: string[] = []
      await database
        .transact(async (tx) => {
          await work(tx)
          seen = (await database.touched(tx)).map((row) => `${row.table}/${row.id}`)
        })
        .catch(() => {})
      return seen.toSorted()
    }
    expect(
      await named((tx) => tx.updateTable('locks').set({ message: 'x' }).where('id', '=', 'lck_2').execute()),
    ).toEqual(['locks/lck_2'])
    expect(await named((tx) => tx.updateTable('locks').set({ message: 'x' }).execute())).toHaveLength(2)
    expect(
      await named((tx) => tx.updateTable('locks').set({ id: 'lck_9' }).where('id', '=', 'lck_1').execute()),
    ).toEqual(['locks/lck_1', 'locks/lck_9'])
    expect(await named((tx) => tx.deleteFrom('locks').where('id', '=', 'lck_1').execute())).toEqual(['locks/lck_1'])
    expect(await named((tx) => sql`update locks set event_id = ${'evt_1'} where id = ${'lck_1'}`.execute(tx))).toEqual(
      [],
    )
    expect(await named((tx) => sql`update locks set message = ${'evt_1'} where id = ${'lck_1'}`.execute(tx))).toEqual([
      'locks/lck_1',
    ])
    expect(
      await named((tx) =>
        tx.updateTable('locks').set({ message: 'x' }).where('id', '=', 'lck_1').returning('message').execute(),
      ),
    ).toEqual(['locks/lck_1'])
  })

  it('tells how many rows were changed and gives back what was asked, no more', async () => {
    const database = await stores.open()
    await database.transact(async (tx) => {
      await tx
        .insertInto('locks')
        .values([lock('lck_1'), lock('lck_2')])
        .execute()
      const updated = await tx.updateTable('locks').set({ message: 'm' }).executeTakeFirst()
      expect(updated.numUpdatedRows).toBe(2n)
      const returned = await tx.deleteFrom('locks').where('id', '=', 'lck_1').returning(['message']).execute()
      expect(returned).toEqual([{ message: 'm' }])
      await database.forgetTouched(tx)
    })
  })

  it('gives integers as numbers, counts included', async () => {
    const database = await stores.open()
    const at = Date.UTC(9999, 0, 1)
    await database.transact((tx) => tx.insertInto('login_seen').values({ login_id: 'l', last_seen_at: at }).execute())
    const row = await database.reads.selectFrom('login_seen').selectAll().executeTakeFirstOrThrow()
    expect(row).toEqual({ login_id: 'l', last_seen_at: at })
    const count = await database.reads
      .selectFrom('login_seen')
      .select((e) => [e.fn.countAll<number>().as('n'), e.fn.sum<number>('last_seen_at').as('sum')])
      .executeTakeFirstOrThrow()
    expect(count).toEqual({ n: 1, sum: at })
  })

  it('orders texts by their bytes, and finds nothing in an empty list', async () => {
    const database = await stores.open()
    const ids = ['b', 'B', 'a_1', 'a-1', 'aä', 'az', 'ab']
    await database.transact((tx) =>
      tx
        .insertInto('login_seen')
        .values(ids.map((login_id) => ({ login_id, last_seen_at: 1 })))
        .execute(),
    )
    const rows = await database.reads.selectFrom('login_seen').select('login_id').orderBy('login_id').execute()
    expect(rows.map((row) => row.login_id)).toEqual(['B', 'a-1', 'a_1', 'ab', 'az', 'aä', 'b'])
    const none = await database.reads.selectFrom('login_seen').selectAll().where('login_id', 'in', []).execute()
    expect(none).toEqual([])
  })

  it('refuses to wait for itself, and to be written through the read side', async () => {
    const database = await stores.open()
    await expect(database.transact(() => database.transact(async () => 1))).rejects.toThrow(/inside a transaction/)
    await expect(database.reads.deleteFrom('users').execute()).rejects.toThrow(/readonly|only reads/)
  })

  it('is whole, and says so', async () => {
    expect(await (await stores.open()).damage(false)).toEqual([])
  })
})
