import { generateKeyPair, X509Certificate } from 'node:crypto'
import { promisify } from 'node:util'
import { sql, type Kysely } from 'kysely'
import type { Deed, DeedLog, Tx } from '../../audit/deed.ts'
import type { DbProtocol } from '../../contract/database.ts'
import type { Clock, Timer } from '../../foundation/clock.ts'
import type { JustInTimeUsersTable, SessionsTable, Tables } from '../../foundation/database/tables.ts'
import { Refused } from '../../foundation/errors.ts'
import type { Log } from '../../foundation/log.ts'
import type { Sealer } from '../../identity/sealing.ts'
import type { DatabaseFacts } from '../authorization.ts'
import type { Credentials } from '../credentials.ts'
import { justInTimeServer, type JustInTimeServer } from './just-in-time-server.ts'
import type { AdminCredential, Closed, ServerUsers } from './server-users.ts'
import { passwordPlace } from './want-user.ts'

/** What other daemons left behind, and what failed, is looked for this often. */
const LOOK_MS = 2000
const FIRST_RETRY_MS = 1000
const LONGEST_RETRY_MS = 300_000

export interface JustInTimeUsersParts {
  readonly reads: Kysely<Tables>
  readonly deeds: DeedLog
  readonly sealer: Sealer
  readonly credentials: Pick<Credentials, 'databaseCertificate' | 'databasePassword'>
  readonly servers: Readonly<Record<DbProtocol, ServerUsers>>
  /** Whether a session that the store calls open is: of those of this daemon memory knows better. */
  readonly isLive: (session: Pick<SessionsTable, 'id' | 'instance_id'>) => boolean
  readonly clock: Clock
  readonly log: Log
}

interface Retry {
  readonly tries: number
  /** Monotonic */
  readonly at: number
}

type Row = JustInTimeUsersTable

/**
 * Users of database servers that are there for as long as somebody's sessions. The store says what should be, and is written
 * first: a user that it calls open is locked or dropped once no session of it is live, by whichever daemon comes to it.
 */
export class JustInTimeUsers {
  readonly #parts: JustInTimeUsersParts
  readonly #retries = new Map<string, Retry>()
  /** By user of a server: here, too, one thing after the other */
  readonly #turns = new Map<string, Promise<unknown>>()
  #timer: Timer | null = null
  #isStopped = false

  constructor(parts: JustInTimeUsersParts) {
    this.#parts = parts
  }

  /** Looks after what earlier runs left, now and then. */
  start(): void {
    this.#arm(0)
  }

  /** Resolves when nothing is being done any more. What is open then is locked after the next start, or by another daemon. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#timer?.cancel()
    await Promise.allSettled(this.#turns.values())
  }

  /**
   * Makes or unlocks the user of a session and gives it exactly its roles. The password that it has then; null: it signs in by
   * certificate. Errors: Refused, with a text for the person.
   */
  async open(facts: DatabaseFacts, isWanted: () => boolean): Promise<string | null> {
    const id = facts.justInTime?.id ?? ''
    return await this.#inTurn(id, async () => {
      const row = await this.#row(id)
      if (row?.state !== 'open') throw new Refused('access_denied', 'this session is over')
      const password = this.#passwordOf(row)
      const admin = await this.#admin(row)
      const dbRoles = JSON.parse(row.db_roles_json) as string[]
      const order = {
        ...{ name: row.name, dbRoles, password, validUntil: row.valid_until, isReadOnly: facts.options.readOnly },
        ownCredential: () => this.#ownCredential(row, password),
      }
      const isOpen = await this.#servers(row).open(admin, { ...order, isWanted: () => Promise.resolve(isWanted()) })
      if (!isOpen) throw new Refused('access_denied', 'this session is over')
      // The server is there.
      this.#retries.delete(id)
      return password
    })
  }

  /** A session has ended: its user is locked or dropped at once where nobody else needs it. */
  released(id: string): void {
    void this.#close(id)
  }

  /** Those that are open and that nobody needs. */
  async sweep(): Promise<void> {
    const { reads, log } = this.#parts
    try {
      const open = await reads
        .selectFrom('just_in_time_users')
        .select('id')
        .where('state', '=', sql.lit('open'))
        .execute()
      await Promise.all(open.map(({ id }) => this.#isDue(id) && this.#close(id)))
    } catch (error) {
      log.warn({ err: String(error) }, 'users of databases were not looked after; the next look comes')
    }
  }

  #isDue(id: string): boolean {
    return (this.#retries.get(id)?.at ?? 0) <= this.#parts.clock.monotonic()
  }

  #arm(ms: number): void {
    if (this.#isStopped) return
    this.#timer = this.#parts.clock.after(ms, () => void this.sweep().then(() => this.#arm(LOOK_MS)))
  }

  /** Never rejects: what fails is stored, and tried again. */
  #close(id: string): Promise<void> {
    return this.#inTurn(id, async () => {
      if (this.#isStopped || !this.#isDue(id)) return
      const row = await this.#row(id)
      if (row?.state !== 'open' || (await this.#isNeeded(this.#parts.reads, id))) return
      try {
        const closed = await this.#servers(row).close(await this.#admin(row), {
          ...{ name: row.name, wish: row.on_end },
          isUnwanted: async () => !(await this.#isNeeded(this.#parts.reads, id)),
        })
        if (closed.kind !== 'wanted_again') await this.#storeClosed(row, closed)
        this.#retries.delete(id)
      } catch (error) {
        await this.#failed(row, error)
      }
    }).catch((error: unknown) => {
      this.#parts.log.error({ err: String(error), user: id }, 'the end of a user of a database was not stored')
    })
  }

  async #storeClosed(row: Row, closed: Exclude<Closed, { kind: 'wanted_again' }>): Promise<void> {
    const isLocked = closed.kind === 'locked'
    const how = closed.kind === 'locked' ? { kept: closed.kept } : { found: closed.kind }
    await this.#store(row, async (tx, now) => {
      // Somebody has come meanwhile, and has it opened again.
      if (await this.#isNeeded(tx, row.id)) return null
      const set = {
        state: isLocked ? 'locked' : 'dropped',
        password_sealed: null,
        trouble: null,
        trouble_at: null,
      } as const
      await tx
        .updateTable('just_in_time_users')
        .set({ ...set, changed_at: now })
        .where('id', '=', row.id)
        .execute()
      return deedOn(row, isLocked ? 'db.user.lock' : 'db.user.drop', 'success', { onEnd: row.on_end, ...how })
    })
  }

  /** Told once for each reason; the operators see it in `sallyctl status` until it is over. */
  async #failed(row: Row, error: unknown): Promise<void> {
    const { clock, log } = this.#parts
    const tries = (this.#retries.get(row.id)?.tries ?? 0) + 1
    const wait = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(tries - 1, 20))
    this.#retries.set(row.id, { tries, at: clock.monotonic() + wait })
    const why = error instanceof Error ? error.message : String(error)
    log.error(
      { err: why, database: row.database_name, user: row.name, tries },
      'a user of a database is not locked yet',
    )
    if (row.trouble === why) return
    await this.#store(row, async (tx, now) => {
      const set = { trouble: why, trouble_at: row.trouble_at ?? now }
      await tx.updateTable('just_in_time_users').set(set).where('id', '=', row.id).execute()
      return deedOn(row, 'db.user.fail', 'failure', { wanted: row.on_end, why })
    })
  }

  async #store(row: Row, work: (tx: Tx, now: number) => Promise<Deed<null> | null>): Promise<void> {
    try {
      await this.#parts.deeds.commitDeed<null>(async (tx, now) => {
        const current = await tx
          .selectFrom('just_in_time_users')
          .select('state')
          .where('id', '=', row.id)
          .executeTakeFirst()
        const deed = current?.state === 'open' ? await work(tx, now) : null
        if (!deed) throw new NothingToStore()
        return deed
      })
    } catch (error) {
      if (!(error instanceof NothingToStore)) throw error
    }
  }

  #row(id: string): Promise<Row | undefined> {
    return this.#parts.reads.selectFrom('just_in_time_users').selectAll().where('id', '=', id).executeTakeFirst()
  }

  async #isNeeded(reader: Kysely<Tables>, id: string): Promise<boolean> {
    const sessions = await reader
      .selectFrom('sessions')
      .select(['id', 'instance_id'])
      .where('just_in_time_id', '=', id)
      .where('ended_at', 'is', null)
      .execute()
    return sessions.some((session) => this.#parts.isLive(session))
  }

  #servers(row: Row): ServerUsers {
    return this.#parts.servers[serverOf(row).protocol]
  }

  #passwordOf({ id, password_sealed: sealed }: Row): string | null {
    return sealed === null ? null : this.#parts.sealer.unseal(passwordPlace(id), sealed).toString()
  }

  async #admin(row: Row): Promise<{ server: JustInTimeServer; credential: AdminCredential }> {
    const server = serverOf(row)
    return { server, credential: await this.#credentialOf(server, row.id) }
  }

  async #credentialOf(server: JustInTimeServer, id: string): Promise<AdminCredential> {
    const { databaseId, adminUser, credential } = server
    if (credential === 'certificate') return await this.#certificateOf(adminUser, id)
    await this.#requireSame(server)
    return { kind: 'password', password: await this.#parts.credentials.databasePassword(databaseId, adminUser) }
  }

  /** What is stored for the server of today is not told to the one of yesterday. */
  async #requireSame(server: JustInTimeServer): Promise<void> {
    const row = await this.#parts.reads
      .selectFrom('databases')
      .selectAll()
      .where('id', '=', server.databaseId)
      .executeTakeFirst()
    const now = row && row.just_in_time_json !== null ? justInTimeServer(row) : null
    const same = (['protocol', 'host', 'port', 'adminUser'] as const).every((key) => now?.[key] === server[key])
    if (same && JSON.stringify(now?.tls) === JSON.stringify(server.tls)) return
    throw new Refused(
      'upstream_refused',
      'its database is another server now, or makes no users any more: lock it by hand',
    )
  }

  #ownCredential(row: Row, password: string | null): Promise<AdminCredential> {
    return password === null ? this.#certificateOf(row.name, row.id) : Promise.resolve({ kind: 'password', password })
  }

  async #certificateOf(dbUser: string, id: string): Promise<AdminCredential> {
    const { publicKey, privateKey } = await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' })
    const spki = publicKey.export({ type: 'spki', format: 'der' })
    const shown = await this.#parts.credentials.databaseCertificate({ publicKey: spki, dbUser, sessionId: id })
    const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    return { kind: 'certificate', keyPem, certificatePem: new X509Certificate(shown).toString() }
  }

  #inTurn<T>(id: string, work: () => Promise<T>): Promise<T> {
    const mine = (this.#turns.get(id) ?? Promise.resolve()).catch(() => {}).then(work)
    this.#turns.set(id, mine)
    return mine.finally(() => {
      if (this.#turns.get(id) === mine) this.#turns.delete(id)
    })
  }
}

class NothingToStore extends Error {}

const serverOf = ({ server_json: json }: Row): JustInTimeServer => JSON.parse(json) as JustInTimeServer

function deedOn(
  row: Row,
  type: 'db.user.lock' | 'db.user.drop' | 'db.user.fail',
  outcome: 'success' | 'failure',
  details: Readonly<Record<string, unknown>>,
): Deed<null> {
  const event = {
    ...{ type, outcome, actor: { kind: 'system', id: null, name: 'just-in-time users' } as const },
    resource: { kind: 'database', id: row.database_id, name: row.database_name },
    details: { dbUser: row.name, user: row.user_name, ...details },
    rows: [{ table: 'just_in_time_users', id: row.id } as const],
  }
  return { result: null, events: [event] }
}
