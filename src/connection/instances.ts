import { hostname } from 'node:os'
import type { Kysely } from 'kysely'
import type { Database } from '../foundation/database/open-database.ts'
import type { InstancesTable, Tables } from '../foundation/database/tables.ts'
import type { Clock, Timer } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'

export const HEARTBEAT_MS = 2000
/** Beats that may be missing beyond the time that sessions outlive the store. */
const MISSED = 4

export interface InstanceParts {
  readonly database: Database
  /** The store's time */
  readonly clock: Clock
  readonly log: Log
  /** Stays the same over restarts on one data folder */
  readonly id: string
  readonly offlineGraceMs: number
}

/** This daemon among those that have the store open: a row that says it lives, refreshed every two seconds. */
export class Instance {
  readonly #parts: InstanceParts
  readonly #startedAt: number
  #timer: Timer | null = null
  #beating: Promise<void> = Promise.resolve()

  constructor(parts: InstanceParts) {
    this.#parts = parts
    this.#startedAt = parts.clock.now()
  }

  /** Resolves when the row is there. */
  async start(): Promise<void> {
    await this.#beat()
    this.#arm()
  }

  /** Says that it is over: what it left open is anybody's to close. */
  async stop(): Promise<void> {
    this.#timer?.cancel()
    await this.#beating
    const { database, id, log } = this.#parts
    try {
      await database.transact((tx) => tx.deleteFrom('instances').where('id', '=', id).execute())
    } catch (error) {
      log.warn({ err: String(error) }, 'this instance could not say goodbye to the store')
    }
  }

  #arm(): void {
    this.#timer = this.#parts.clock.after(HEARTBEAT_MS, () => {
      this.#beating = this.#beat().catch((error: unknown) => {
        this.#parts.log.warn({ err: String(error) }, 'no heartbeat could be stored')
      })
      void this.#beating.then(() => this.#arm())
    })
  }

  async #beat(): Promise<void> {
    const { database, clock, id, offlineGraceMs } = this.#parts
    await database.transact(async (tx) => {
      const seen = { seen_at: await database.storeNow(tx, clock) }
      const row = {
        ...{ id, name: `${hostname()}/${String(process.pid)}`, started_at: this.#startedAt, ...seen },
        dead_after_ms: offlineGraceMs + MISSED * HEARTBEAT_MS,
      }
      await tx
        .insertInto('instances')
        .values(row)
        .onConflict((conflict) => conflict.column('id').doUpdateSet(row))
        .execute()
    })
  }
}

export const isDead = (row: Pick<InstancesTable, 'seen_at' | 'dead_after_ms'>, now: number): boolean =>
  row.seen_at + row.dead_after_ms < now

/** A daemon on this store as the store knows it. */
export interface InstanceSeen {
  readonly id: string
  /** Host and process */
  readonly name: string
  readonly startedAt: number
  readonly seenAt: number
  /** False: it has not been heard of for so long that its sessions are anybody's to close */
  readonly lives: boolean
}

/** Those that have not said goodbye, the one that was heard of last first. `now`: the store's time. */
export async function instancesSeen(reads: Kysely<Tables>, now: number): Promise<InstanceSeen[]> {
  const rows = await reads.selectFrom('instances').selectAll().orderBy('seen_at', 'desc').orderBy('id').execute()
  return rows.map((row) => ({
    ...{ id: row.id, name: row.name, startedAt: row.started_at, seenAt: row.seen_at },
    lives: !isDead(row, now),
  }))
}

/** Ids of the daemons that live at `now`. */
export async function liveInstances(reads: Kysely<Tables>, now: number): Promise<ReadonlySet<string>> {
  const rows = await reads.selectFrom('instances').selectAll().execute()
  return new Set(rows.filter((row) => !isDead(row, now)).map(({ id }) => id))
}
