import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { REMOVE_DELEGATION, replayRemoveDelegation } from '../access/delegation/remove-delegation.ts'
import { takingAwayReplays } from '../access/end/take-back.ts'
import { StoredDeedLog } from '../audit/commit-deed.ts'
import { openSpillFile } from '../audit/spill-file.ts'
import { endSessionReplay } from '../connection/end-session.ts'
import type { Clock } from '../foundation/clock.ts'
import type { Config } from '../foundation/config.ts'
import { openDatabase, type Database } from '../foundation/database/open-database.ts'
import { ensurePrivateFile } from '../foundation/database/private-files.ts'
import { takeStoreLock } from '../foundation/database/store-lock.ts'
import { isId, newId } from '../foundation/ids.ts'
import type { PostgresSettings } from '../foundation/database/postgres/postgres-settings.ts'
import type { Log } from '../foundation/log.ts'
import type { Metrics } from '../foundation/metrics.ts'
import { openKeyEncryptionKey } from '../identity/key-encryption.ts'
import { IDENTITY_REPLAYS } from '../identity/replays.ts'
import { createSealer, type Sealer } from '../identity/sealing.ts'
import { refuseMoved } from './moved-store.ts'
import { postgresSettings } from './postgres-settings.ts'

export interface Store {
  readonly database: Database
  /** Tells the time by which the store decides */
  readonly clock: Clock
  /** How the server is reached, secrets included; null: the store is a file */
  readonly postgres: PostgresSettings | null
  /** Among the daemons on one store; null: it is the only one */
  readonly instanceId: string | null
  readonly deeds: StoredDeedLog
  readonly sealer: Sealer
}

export interface StoreSurroundings {
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  readonly env: Readonly<Record<string, string | undefined>>
  readonly askPassphrase: (() => Promise<string>) | null
}

/** Database, key-encryption key and deed log, with every order known that a crash may have left in the spill file. */
export async function openStore(config: Config, surroundings: StoreSurroundings): Promise<Store> {
  const { log, metrics, env, askPassphrase } = surroundings
  mkdirSync(config.dataDir, { recursive: true, mode: 0o700 })
  const { database, postgres, instanceId } = await openStorage(config, surroundings)
  const clock = database.storeClock(surroundings.clock)
  try {
    const sealed = await database.reads.selectFrom('authorities').select('id').limit(1).executeTakeFirst()
    const key = await openKeyEncryptionKey({
      source: config.keyEncryption,
      dataDir: config.dataDir,
      sealedRowsExist: sealed !== undefined,
      env,
      askPassphrase,
    })
    const deeds = new StoredDeedLog({
      database,
      clock,
      log,
      spill: openSpillFile(join(config.dataDir, 'spill')),
      measured: (ms, outcome) => metrics.deed(outcome, ms),
    })
    for (const [name, replay] of Object.entries({
      ...takingAwayReplays,
      ...IDENTITY_REPLAYS,
      end_session: endSessionReplay,
      [REMOVE_DELEGATION]: replayRemoveDelegation,
    })) {
      deeds.registerReplay(name, replay)
    }
    return { database, clock, postgres, instanceId, deeds, sealer: createSealer(key) }
  } catch (error) {
    await database.close()
    throw error
  }
}

async function openStorage(
  { dataDir, storage }: Config,
  { clock, env }: StoreSurroundings,
): Promise<Pick<Store, 'database' | 'postgres' | 'instanceId'>> {
  if (storage === null) {
    const path = join(dataDir, 'sallyport.db')
    refuseMoved(path)
    const database = openDatabase(path, { clock })
    return { database, postgres: null, instanceId: null }
  }
  // What is a daemon's own (spill file, sockets) stays in its data folder.
  const lock = takeStoreLock(join(dataDir, 'daemon.lock'))
  try {
    // Only who needs it loads the driver.
    const { openPostgres } = await import('../foundation/database/postgres/open-postgres.ts')
    const postgres = postgresSettings(storage, env)
    const database = await openPostgres(postgres, { clock, onClosed: () => lock.release() })
    return { database, postgres, instanceId: instanceIdIn(dataDir, clock.now()) }
  } catch (error) {
    lock.release()
    throw error
  }
}

/** Stays the same over restarts, so that a daemon knows what its earlier run left open. */
function instanceIdIn(dataDir: string, now: number): string {
  const file = join(dataDir, 'instance')
  ensurePrivateFile(file)
  const found = readFileSync(file, 'utf8').trim()
  if (isId('instance', found)) return found
  const made = newId('instance', now)
  writeFileSync(file, `${made}\n`)
  return made
}
