// The same promises on both kinds of store: within `describe.each(STORES)`, `useStores(kind)` starts a server for the file where
// the kind needs one, and its `open(clock)` gives each test a store of its own.
import { afterAll, afterEach, beforeAll } from 'vitest'
import type { Clock } from '../../src/foundation/clock.ts'
import { openPostgres } from '../../src/foundation/database/postgres/open-postgres.ts'
import { type Database, openTemporaryDatabase } from '../../src/foundation/database/open-database.ts'
import { PostgresServer } from './postgres.ts'

export const STORES = ['sqlite', 'postgres'] as const
export type StoreKind = (typeof STORES)[number]

export interface Stores {
  /** A new empty store whose time is the clock's. Closed after the test. */
  open(clock?: Clock): Promise<Database>
  /** Only with postgres */
  readonly server: PostgresServer
}

export function useStores(kind: StoreKind): Stores {
  let server: PostgresServer | null = null
  const opened: Database[] = []
  beforeAll(async () => {
    if (kind === 'postgres') server = await PostgresServer.start()
  })
  afterEach(async () => {
    for (const database of opened.splice(0)) await database.close()
  })
  afterAll(async () => {
    await server?.stop()
  })
  const needServer = (): PostgresServer => {
    if (!server) throw new Error(`${kind} has no server, or it has not started yet`)
    return server
  }
  return {
    async open(clock) {
      const database = kind === 'sqlite' ? openTemporaryDatabase(clock) : await openOn(needServer(), clock)
      opened.push(database)
      return database
    },
    get server() {
      return needServer()
    },
  }
}

/** A store in a new database. */
export async function openOn(server: PostgresServer, clock?: Clock, name?: string): Promise<Database> {
  const settings = server.settings(name ?? (await server.database()))
  const time = clock ? { clock, storeTime: () => clock.now() } : {}
  return openPostgres(settings, { ...time, knownServer: true })
}
