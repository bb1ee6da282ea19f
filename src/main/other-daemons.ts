import type { StoredDeedLog } from '../audit/commit-deed.ts'
import type { Committed } from '../audit/deed.ts'
import { Instance, liveInstances } from '../connection/instances.ts'
import type { LocalControlPlane } from '../connection/local-control-plane.ts'
import { closeOrphanSessions, type OrphanParts } from '../connection/orphan-sessions.ts'
import type { Clock, Timer } from '../foundation/clock.ts'
import type { Database } from '../foundation/database/open-database.ts'
import type { SessionsTable } from '../foundation/database/tables.ts'
import type { Log } from '../foundation/log.ts'
import type { Authorities } from '../identity/authorities.ts'

const ORPHANS_EVERY_MS = 5000
const SILENCE_EVERY_MS = 500

export interface OtherDaemonsParts {
  readonly database: Database
  readonly deeds: StoredDeedLog
  readonly clock: Clock
  readonly log: Log
  /** Our own */
  readonly id: string
  readonly offlineGraceMs: number
  readonly control: LocalControlPlane
  readonly authorities: Authorities
  readonly orphanParts: OrphanParts
}

/** What it means not to be the only daemon on a store: to be seen, to close what others left, to obey what others did. */
export class OtherDaemons {
  readonly #parts: OtherDaemonsParts
  readonly #instance: Instance
  #timers: Timer[] = []
  #stopped = false

  constructor(parts: OtherDaemonsParts) {
    this.#parts = parts
    this.#instance = new Instance(parts)
  }

  async start(): Promise<void> {
    await this.#instance.start()
    this.#every(0, SILENCE_EVERY_MS, () => this.#parts.control.live.endUnproven(this.#parts.deeds.silentFor()))
    this.#every(1, ORPHANS_EVERY_MS, () => this.#closeOrphans())
  }

  async stop(): Promise<void> {
    this.#stopped = true
    for (const timer of this.#timers) timer.cancel()
    await this.#instance.stop()
  }

  /** What nobody holds open: of our own earlier run, of daemons that are gone, of the one that had this store alone. */
  async orphansAtStart(): Promise<(session: SessionsTable) => boolean> {
    const { database, clock, id } = this.#parts
    const live = await liveInstances(database.reads, clock.now())
    return ({ instance_id: holder }) => holder === null || holder === id || !live.has(holder)
  }

  /** A deed of any daemon. Called after the snapshot has taken it in. */
  async heard({ rows, events }: Committed): Promise<void> {
    if (rows.some(({ table }) => table === 'authorities')) await this.#parts.authorities.refresh()
    for (const { table, id } of rows) if (table === 'sessions') await this.#endIfOver(id)
    for (const { type, seq } of events) if (type === 'session.terminate') await this.#terminate(seq)
  }

  /** Somebody took us for dead, or closed it in another way: what the store calls over is over. */
  async #endIfOver(sessionId: string): Promise<void> {
    const { control, database } = this.#parts
    const session = control.live.get(sessionId)
    if (!session) return
    const row = await database.reads
      .selectFrom('sessions')
      .select(['ended_at', 'end_reason'])
      .where('id', '=', sessionId)
      .executeTakeFirst()
    if (row && row.ended_at !== null)
      control.live.end(session, 'access_denied', row.end_reason ?? 'this session was ended')
  }

  async #terminate(seq: number): Promise<void> {
    const { control, database } = this.#parts
    const event = await database.reads
      .selectFrom('audit_events')
      .select(['session_id', 'details_json'])
      .where('seq', '=', seq)
      .executeTakeFirst()
    const session = control.live.get(event?.session_id ?? '')
    if (!session) return
    const { text } = JSON.parse(event?.details_json ?? '{}') as { text?: unknown }
    control.live.end(session, 'terminated', typeof text === 'string' ? text : 'this session was ended')
  }

  async #closeOrphans(): Promise<void> {
    const { database, clock, id, orphanParts, log } = this.#parts
    const live = await liveInstances(database.reads, clock.now())
    const isOrphan = ({ instance_id: holder }: SessionsTable): boolean =>
      holder !== null && holder !== id && !live.has(holder)
    const closed = await closeOrphanSessions(orphanParts, 'its daemon is gone', isOrphan)
    if (closed > 0) log.warn({ sessions: closed }, 'sessions of a daemon that is gone were closed')
  }

  #every(slot: number, ms: number, work: () => void | Promise<void>): void {
    this.#timers[slot] = this.#parts.clock.after(ms, () => {
      void Promise.resolve()
        .then(work)
        .catch((error: unknown) => this.#parts.log.warn({ err: String(error) }, 'a look at the other daemons failed'))
        .then(() => {
          if (!this.#stopped) this.#every(slot, ms, work)
        })
    })
  }
}
