import { createServer, connect, type AddressInfo, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MIGRATIONS } from '../../src/foundation/database/migrations/migrations.ts'
import { migratePostgres } from '../../src/foundation/database/postgres/migrate-postgres.ts'
import { openPostgres } from '../../src/foundation/database/postgres/open-postgres.ts'
import { checkServer, requireServer } from '../../src/foundation/database/postgres/server-check.ts'
import { openDatabase } from '../../src/foundation/database/open-database.ts'
import { PostgresServer } from '../support/postgres.ts'
import { openOn } from '../support/stores.ts'
import { tempFolder } from '../support/temp-folder.ts'

describe('a PostgreSQL server', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await PostgresServer.start()
  })
  afterAll(() => server?.stop())

  it('that is ours to use is taken', async () => {
    await expect(checkServer(server.settings(await server.database()))).resolves.toBeUndefined()
  })

  it.each([
    ['older than 14', { version: 130_012, versionText: '13.12' }, /13\.12; Sallyport needs 14/],
    ['with another encoding', { encoding: 'LATIN1' }, /LATIN1; Sallyport needs UTF8/],
    ['that is a standby', { inRecovery: true }, /standby/],
  ])('%s is refused', (_, wrong, message) => {
    const facts = { version: 150_000, versionText: '15.0', encoding: 'UTF8', inRecovery: false }
    expect(() => requireServer(facts)).not.toThrow()
    expect(() => requireServer({ ...facts, ...wrong })).toThrow(message)
  })

  it('that nobody runs, an unknown user and an unknown database are told apart', async () => {
    const settings = server.settings('postgres')
    const code = { code: 'store_unavailable' }
    await expect(openPostgres({ ...settings, port: 1 })).rejects.toMatchObject({
      ...code,
      message: /cannot be reached: ECONNREFUSED/,
    })
    await expect(openPostgres({ ...settings, user: 'nobody' })).rejects.toMatchObject({ ...code, message: /nobody/ })
    await expect(openPostgres({ ...settings, database: 'none' })).rejects.toMatchObject({ ...code, message: /none/ })
  })

  it('that takes a connection and stays silent is given up in time', async () => {
    const sockets: Socket[] = []
    const silent = createServer((socket) => void sockets.push(socket)).listen(0, '127.0.0.1')
    await new Promise((resolve) => silent.once('listening', resolve))
    const settings = { ...server.settings('postgres'), port: (silent.address() as AddressInfo).port }
    await expect(openPostgres({ ...settings, connectTimeoutMs: 300 })).rejects.toMatchObject({
      code: 'store_unavailable',
    })
    for (const socket of sockets) socket.destroy()
    silent.close()
  })

  it('that asks for no encryption where it is demanded is refused', async () => {
    const settings = { ...server.settings('postgres'), tls: { ca: null, cert: null, key: null } }
    await expect(openPostgres(settings)).rejects.toMatchObject({ code: 'store_unavailable', message: /SSL/ })
  })

  it('whose schema is newer is refused', async () => {
    const name = await server.database()
    await (await openOn(server, undefined, name)).close()
    await server.query(name, `insert into sallyport.schema_steps values (99, '0099-later', 1)`)
    await expect(openOn(server, undefined, name)).rejects.toMatchObject({ code: 'version_mismatch' })
  })

  it('gets its schema once when two daemons come at the same moment', async () => {
    const name = await server.database()
    await Promise.all([1, 2, 3].map(() => migratePostgres(server.settings(name), 1)))
    const steps = await server.query(name, 'select name from sallyport.schema_steps order by step')
    expect(steps).toEqual(MIGRATIONS.map(({ name }) => ({ name })))
  })

  it('has exactly the tables and columns that a file has, and orders every text by its bytes', async () => {
    const name = await server.database()
    await (await openOn(server, undefined, name)).close()
    const columns = await server.query(
      name,
      `select table_name || '.' || column_name || ' ' || case when is_nullable = 'YES' then '?' else '' end as name, collation_name, data_type
        from information_schema.columns where table_schema = 'sallyport' order by 1`,
    )
    using folder = tempFolder('schema')
    const { DatabaseSync } = await import('node:sqlite')
    const path = folder.file('data/store.db')
    await openDatabase(path, { durable: false }).close()
    const file = new DatabaseSync(path)
    const inFile = file
      .prepare(
        `select t.name || '.' || c.name || ' ' || case when c."notnull" or c.pk then '' else '?' end as name
          from sqlite_schema t join pragma_table_info(t.name) c where t.type = 'table'`,
      )
      .all()
    file.close()
    expect(columns.map((column) => column['name'])).toEqual(inFile.map((column) => column['name']).toSorted())
    for (const column of columns) {
      expect(['text', 'bigint'], String(column['name'])).toContain(column['data_type'])
      if (column['data_type'] === 'text' && !String(column['name']).startsWith('schema_steps'))
        expect(column['collation_name'], String(column['name'])).toBe('C')
    }
  })

  it('behind a proxy that deals connections out by the transaction is refused', async () => {
    const proxy = await dealingProxy(server.port)
    const settings = { ...server.settings(await server.database()), port: proxy.port }
    await expect(checkServer(settings)).rejects.toMatchObject({
      code: 'store_unavailable',
      message: /transaction pooling/,
    })
    proxy.close()
  })
})

/**
 * The least of a transaction-pooling proxy: it signs every client in on a backend of its own, and gives each statement outside a
 * transaction to another backend in turn.
 */
async function dealingProxy(port: number): Promise<{ port: number; close(): void }> {
  const clients: Dealt[] = []
  let turn = 0
  const server = createServer((client) => {
    const own = { client, backend: connect(port, '127.0.0.1'), inside: false }
    clients.push(own)
    own.backend.on('error', () => {})
    client.on('error', () => {})
    let signedIn = false
    let reader: Socket = own.backend
    const listen = (backend: Socket): void => {
      backend.removeAllListeners('data')
      backend.on('data', (bytes) => {
        const ready = bytes.lastIndexOf(Buffer.from([0x5a, 0, 0, 0, 5]))
        if (ready >= 0) {
          signedIn = true
          own.inside = bytes[ready + 5] !== 0x49
        }
        client.write(bytes)
      })
    }
    listen(own.backend)
    client.on('data', (bytes) => {
      const others = clients.filter((each) => each.backend.writable)
      if (signedIn && !own.inside) reader = others[turn++ % others.length]?.backend ?? own.backend
      if (signedIn) listen(reader)
      reader.write(bytes)
    })
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const close = (): void => {
    for (const { client, backend } of clients) {
      client.destroy()
      backend.destroy()
    }
    server.close()
  }
  return { port: (server.address() as AddressInfo).port, close }
}

interface Dealt {
  readonly client: Socket
  readonly backend: Socket
  inside: boolean
}
