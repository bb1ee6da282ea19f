import { createSecretKey, randomBytes } from 'node:crypto'
import { StoredDeedLog } from '../../src/audit/commit-deed.ts'
import { spillInMemory } from '../../src/audit/spill-file.ts'
import type { Database } from '../../src/foundation/database/open-database.ts'
import { silentLog } from '../../src/foundation/log.ts'
import { ManualClock } from './manual-clock.ts'
import { pooledStore } from './pooled-store.ts'
import { createSealer } from '../../src/identity/sealing.ts'
import type { Sealer } from '../../src/identity/sealing.ts'

export interface IdentityStore {
  readonly clock: ManualClock
  readonly database: Database
  readonly deeds: StoredDeedLog
  readonly sealer: Sealer
  /** Types of all events so far, in order */
  eventTypes(): Promise<string[]>
  close(): Promise<void>
}

/** A store with a frozen clock and a key-encryption key of its own. */
export function identityStore(clock = new ManualClock(), database: Database = pooledStore()): IdentityStore {
  const deeds = new StoredDeedLog({ database, clock, log: silentLog, spill: spillInMemory() })
  const sealer = createSealer({ id: '0011223344556677', key: createSecretKey(randomBytes(32)) })
  return {
    clock,
    database,
    deeds,
    sealer,
    async eventTypes() {
      const rows = await database.reads.selectFrom('audit_events').select('type').orderBy('seq').execute()
      return rows.map(({ type }) => type)
    },
    async close() {
      await deeds.close()
      await database.close()
    },
  }
}
