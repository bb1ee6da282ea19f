import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { takingAwayReplays } from '../access/end/take-back.ts'
import { StoredDeedLog } from '../audit/commit-deed.ts'
import { openSpillFile } from '../audit/spill-file.ts'
import { endSessionReplay } from '../connection/end-session.ts'
import type { Clock } from '../foundation/clock.ts'
import type { Config } from '../foundation/config.ts'
import { openDatabase, type Database } from '../foundation/database/open-database.ts'
import type { Log } from '../foundation/log.ts'
import type { Metrics } from '../foundation/metrics.ts'
import { openKeyEncryptionKey } from '../identity/key-encryption.ts'
import { IDENTITY_REPLAYS } from '../identity/replays.ts'
import { createSealer, type Sealer } from '../identity/sealing.ts'

export interface Store {
  readonly database: Database
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
  const { clock, log, metrics, env, askPassphrase } = surroundings
  mkdirSync(config.dataDir, { recursive: true, mode: 0o700 })
  const database = openDatabase(join(config.dataDir, 'sallyport.db'), { clock })
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
    })) {
      deeds.registerReplay(name, replay)
    }
    return { database, deeds, sealer: createSealer(key) }
  } catch (error) {
    await database.close()
    throw error
  }
}
