import type { Clock } from '../foundation/clock.ts'
import type { Database } from '../foundation/database/open-database.ts'
import { keyEncryptionWarning } from '../identity/key-encryption.ts'
import { instancesSeen } from '../connection/instances.ts'
import type { Handlers } from './handler.ts'

export interface StatusServices {
  readonly database: Database
  readonly clock: Clock
  readonly installation: string
  readonly version: string
  readonly publicAddress: () => string
  /** `sha256:...` */
  readonly pin: () => string
  /** As the configuration has it: file:..., credential:... or passphrase */
  readonly keyEncryption: string
  readonly notReady: () => Promise<readonly string[]>
  readonly liveSessions: () => number
  /** This daemon's id among those on one store; null: it is the only one */
  readonly instanceId: string | null
  /** The store's time */
  readonly storeNow: () => number
}

/** What `sallyctl status` prints: is it well, what it holds, and what its set-up does not protect from. */
export function statusHandlers(services: StatusServices): Handlers {
  const { database, clock } = services
  const startedAt = clock.now()
  return {
    async status() {
      const notReady = await services.notReady()
      const head = await database.reads.selectFrom('chain_head').select(['seq', 'hash']).executeTakeFirst()
      const warning = keyEncryptionWarning(services.keyEncryption)
      return {
        ready: notReady.length === 0,
        notReady: [...notReady],
        installation: services.installation,
        version: services.version,
        node: process.version,
        address: services.publicAddress(),
        caPin: services.pin(),
        startedAt,
        now: clock.now(),
        events: head?.seq ?? 0,
        head: head?.hash ?? null,
        liveSessions: services.liveSessions(),
        ...(await instancesOf(services)),
        keyEncryption: services.keyEncryption.split(':')[0],
        warnings: [...(warning === null ? [] : [warning]), ...(await usersLeftOpen(database))],
      }
    },
  }
}

const MOST_LEFT_OPEN = 20

/** Users of databases that were made on connect, are not needed any more, and could not be locked or dropped. */
async function usersLeftOpen({ reads }: Database): Promise<string[]> {
  const rows = await reads
    .selectFrom('just_in_time_users')
    .select(['name', 'database_name', 'trouble', 'trouble_at'])
    .where('trouble', 'is not', null)
    .orderBy('trouble_at')
    .limit(MOST_LEFT_OPEN)
    .execute()
  return rows.map(({ name, database_name: database, trouble, trouble_at: at }) => {
    const since = new Date(at ?? 0).toISOString().slice(0, 16).replace('T', ' ')
    return `the user ${name} of database/${database} could not be locked since ${since} UTC, and it is tried again: ${trouble ?? ''}`
  })
}

/** The daemons on this store, each with the milliseconds since it was last heard of. Nothing where there can be one alone. */
async function instancesOf({ database, instanceId, storeNow }: StatusServices) {
  if (instanceId === null) return {}
  const now = storeNow()
  const seen = await instancesSeen(database.reads, now)
  const instances = seen.map((each) => ({
    ...each,
    isThis: each.id === instanceId,
    heardOfMsAgo: Math.max(0, now - each.seenAt),
  }))
  return { instances }
}
