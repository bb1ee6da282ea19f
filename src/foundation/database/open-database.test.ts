import { chmodSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { migrate, MIGRATIONS } from './migrations/migrations.ts'
import { type Database, openDatabase, openTemporaryDatabase, requireSqlite } from './open-database.ts'

let folder: string
let opened: Database[]

beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), 'sallyport-open-')), 'data')
  opened = []
})
afterEach(async () => {
  for (const database of opened) await database.close()
  rmSync(join(folder, '..'), { recursive: true, force: true })
})

function open(name = 'store.db'): Database {
  const database = openDatabase(join(folder, name))
  opened.push(database)
  return database
}

function raw(name = 'store.db'): DatabaseSync {
  return new DatabaseSync(join(folder, name))
}

describe('opening the store', () => {
  it('makes a 0600 file in a 0700 folder, side files too', () => {
    open()
    expect(statSync(folder).mode & 0o777).toBe(0o700)
    for (const name of ['store.db', 'store.db-wal', 'store.db.lock']) {
      expect(statSync(join(folder, name)).mode & 0o777, name).toBe(0o600)
    }
  })

  it('refuses a folder or file that others may read', async () => {
    const database = open()
    await database.close()
    opened = []
    chmodSync(join(folder, 'store.db'), 0o644)
    expect(() => open()).toThrow(/open to group or others/)
    chmodSync(join(folder, 'store.db'), 0o600)
    chmodSync(folder, 0o755)
    expect(() => open()).toThrow(/open to group or others/)
  })

  it('refuses a second daemon and names the process of the first', () => {
    open()
    expect(() => open()).toThrow(new RegExp(`another Sallyport daemon \\(process ${String(process.pid)}\\)`))
  })

  it('opens again after closing, with its rows', async () => {
    const database = open()
    await database.transact((tx) =>
      tx.insertInto('installation').values({ id: 'ins_1', name: 'home', created_at: 1 }).execute(),
    )
    await database.close()
    opened = []
    expect(await open().reads.selectFrom('installation').selectAll().execute()).toEqual([
      { id: 'ins_1', name: 'home', created_at: 1 },
    ])
  })

  it('refuses the schema of a newer version', async () => {
    await open().close()
    opened = []
    const database = raw()
    database.exec("insert into schema_steps values (99, '0099-later', 1)")
    database.close()
    expect(() => open()).toThrow(/schema step 99 "0099-later", which this version does not know/)
  })

  it('takes a later schema step once, and leaves nothing of a step that fails', () => {
    const database = new DatabaseSync(':memory:')
    const later = { name: '0002-later', statements: () => ['create table later (id text)'] }
    migrate(database, 1)
    migrate(database, 2, [...MIGRATIONS, later])
    migrate(database, 3, [...MIGRATIONS, later])
    expect(database.prepare('select step, applied_at from schema_steps').all()).toEqual([
      ...MIGRATIONS.map((_, index) => ({ step: index + 1, applied_at: 1 })),
      { step: MIGRATIONS.length + 1, applied_at: 2 },
    ])
    const broken = { name: '0003-broken', statements: () => ['create table half (id text)', 'nonsense'] }
    expect(() => migrate(database, 4, [...MIGRATIONS, later, broken])).toThrow(/0003-broken failed/)
    expect(database.prepare("select * from sqlite_schema where name = 'half'").all()).toEqual([])
  })

  it('refuses a file into which somebody put a trigger', async () => {
    await open().close()
    opened = []
    const database = raw()
    database.exec('create trigger sneaky after insert on audit_events begin update users set disabled = 0; end')
    database.close()
    expect(() => open()).toThrow(/trigger "sneaky"/)
  })

  it('refuses an SQLite that could lose commits', () => {
    expect(() => requireSqlite('3.51.2')).toThrow(/older than 3\.51\.3/)
    expect(() => requireSqlite(undefined)).toThrow(/older/)
    for (const good of ['3.51.3', '3.53.0', '4.0.0']) expect(() => requireSqlite(good)).not.toThrow()
  })
})

describe('transactions', () => {
  it('run one after the other and keep nothing when the work throws', async () => {
    const database = openTemporaryDatabase()
    opened.push(database)
    const steps: string[] = []
    const add = (id: string, fail: boolean): Promise<void> =>
      database.transact(async (tx) => {
        steps.push(`${id} begins`)
        await tx
          .insertInto('outbox')
          .values({ id, position: steps.length, topic: 't', body_json: '{}', created_at: 1, delivered_at: null })
          .execute()
        await tx.selectFrom('outbox').selectAll().execute()
        steps.push(`${id} ends`)
        if (fail) throw new Error('no')
      })
    const results = await Promise.allSettled([add('a', false), add('b', true), add('c', false)])
    expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(steps).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends'])
    const rows = await database.reads.selectFrom('outbox').select('id').execute()
    expect(rows.map((row) => row.id)).toEqual(['a', 'c'])
  })

  it('refuse power rows that no event names', async () => {
    const database = openTemporaryDatabase()
    opened.push(database)
    const lock = { event_id: '', target_kind: 'user', target_id: 'u', target_name: 'u', message: '' } as const
    const rest = { created_by: 'x', created_at: 1, expires_at: null, removed_at: null }
    const write = database.transact((tx) =>
      tx
        .insertInto('locks')
        .values({ id: 'lck_1', ...lock, ...rest })
        .execute(),
    )
    await expect(write).rejects.toThrow(/without an event that names them: locks\/lck_1/)
    expect(await database.reads.selectFrom('locks').selectAll().execute()).toEqual([])
  })

  it('refuse to wait for themselves', async () => {
    const database = openTemporaryDatabase()
    opened.push(database)
    await expect(database.transact(() => database.transact(async () => 1))).rejects.toThrow(/inside a transaction/)
  })

  it('go on with a new connection after the old one was dropped', async () => {
    const database = openTemporaryDatabase()
    opened.push(database)
    database.reopen()
    await database.transact((tx) => tx.insertInto('login_seen').values({ login_id: 'l', last_seen_at: 1 }).execute())
    expect(await database.reads.selectFrom('login_seen').selectAll().execute()).toHaveLength(1)
    expect(await database.damage()).toEqual([])
  })

  it('cannot be written through the read side', async () => {
    const database = openTemporaryDatabase()
    opened.push(database)
    await expect(database.reads.deleteFrom('users').execute()).rejects.toThrow(/readonly/)
  })
})
