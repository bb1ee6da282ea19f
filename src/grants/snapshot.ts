import { sql, type Kysely } from 'kysely'
import type { Committed, RowRef } from '../audit/deed.ts'
import type { RoleSpec } from '../contract/role.ts'
import { fixedStatement } from '../foundation/database/fixed-statement.ts'
import { POWER_TABLES } from '../foundation/database/tables.ts'
import type {
  DatabasesTable,
  LocksTable,
  LoginSessionsTable,
  NodesTable,
  RoleRevisionsTable,
  Tables,
} from '../foundation/database/tables.ts'
import { databaseFacts } from '../resources/database-facts.ts'
import { nodeFacts } from '../resources/node-facts.ts'
import type { ResourceFacts } from '../resources/resource.ts'
import { LocksInForce, type Lock } from './locks-in-force.ts'
import { includes, momentAround, type Moment } from './moment.ts'
import { storedGrant, type StoredGrant } from './stored-grant.ts'
import { Touched } from './touched.ts'

// What authorize() decides from: the rows that give or withhold power, in memory, as of one change position. It is fed by
// every commit before that commit's promise resolves, so nobody is told "done" while the old rights still work.

export interface UserFacts {
  readonly id: string
  readonly eventId: string
  readonly name: string
  readonly roleIds: readonly string[]
  readonly traits: Readonly<Record<string, readonly string[]>>
  readonly disabled: boolean
  /** When it was last disabled, kept when it is enabled again */
  readonly disabledAt: number | null
}

export interface RoleFacts {
  readonly id: string
  readonly name: string
  readonly revision: number
  readonly contentHash: string
  readonly spec: RoleSpec
}

export type NodeFacts = Omit<NodesTable, 'labels_json'> & ResourceFacts

export type DatabaseRow = Omit<DatabasesTable, 'labels_json'> & ResourceFacts

/** An end that has happened although the store could not take it yet. */
export type TakenAway =
  | {
      readonly kind: 'grant'
      readonly id: string
      readonly reason: string
      readonly by: string
      readonly comment: string
    }
  | { readonly kind: 'login' | 'service_token'; readonly id: string }
  | { readonly kind: 'lock'; readonly lock: Lock }

const changesBetween = fixedStatement<{ table_name: string; row_id: string }>(
  'select distinct table_name, row_id from change_log where seq > ? and seq <= ?',
)

export class Snapshot {
  readonly #db: Kysely<Tables>
  readonly #users = new Map<string, UserFacts>()
  readonly #userIdByName = new Map<string, string>()
  readonly #roles = new Map<string, RoleFacts>()
  readonly #roleIdByName = new Map<string, string>()
  /** By role, then by number */
  readonly #revisions = new Map<string, Map<number, RoleSpec>>()
  readonly #nodes = new Map<string, NodeFacts>()
  readonly #nodeIdByName = new Map<string, string>()
  readonly #databases = new Map<string, DatabaseRow>()
  readonly #databaseIdByName = new Map<string, string>()
  readonly #logins = new Map<string, LoginSessionsTable>()
  readonly #grants = new Map<string, StoredGrant>()
  readonly #grantsByUser = new Map<string, Set<string>>()
  readonly #locks = new LocksInForce()
  /** Ends that the store has not taken yet: a row that is read again must not bring the right back. */
  readonly #taken = new Map<string, { taken: TakenAway; now: number }>()
  /** By user; whatever changes what a user may do takes it away. */
  readonly #moments = new Map<string, Moment>()
  #touched = new Touched()
  #position = 0
  #turn: Promise<unknown> = Promise.resolve()

  private constructor(db: Kysely<Tables>) {
    this.#db = db
  }

  static async load(db: Kysely<Tables>): Promise<Snapshot> {
    const snapshot = new Snapshot(db)
    const head = await db.selectFrom('chain_head').select('seq').executeTakeFirst()
    for (const row of await db.selectFrom('users').select('id').execute()) await snapshot.#readUser(row.id)
    // Revisions before roles: a role's current content is one of them.
    for (const row of await db.selectFrom('role_revisions').selectAll().execute()) snapshot.#setRevision(row)
    for (const row of await db.selectFrom('roles').select('id').execute()) await snapshot.#readRole(row.id)
    for (const row of await db.selectFrom('nodes').select('id').execute()) await snapshot.#readNode(row.id)
    for (const row of await db.selectFrom('databases').select('id').execute()) await snapshot.#readDatabase(row.id)
    const logins = await db.selectFrom('login_sessions').select('id').where('ended_at', 'is', null).execute()
    for (const row of logins) await snapshot.#readLogin(row.id)
    // Written out, not a parameter: so SQLite knows that the index of those that live has them all.
    const live = db.selectFrom('grants').select('id').where('state', '!=', sql.lit('ended'))
    const grants = await live.execute()
    for (const row of grants) await snapshot.#readGrant(row.id)
    const locks = await db.selectFrom('locks').select('id').where('removed_at', 'is', null).execute()
    for (const row of locks) await snapshot.#readLock(row.id)
    snapshot.#position = head?.seq ?? 0
    return snapshot
  }

  /** Change position up to which it is complete. */
  get position(): number {
    return this.#position
  }

  user(id: string): UserFacts | undefined {
    return this.#users.get(id)
  }
  userNamed(name: string): UserFacts | undefined {
    return this.#users.get(this.#userIdByName.get(name) ?? '')
  }
  users(): Iterable<UserFacts> {
    return this.#users.values()
  }
  /** Current revision; undefined once deleted. */
  role(id: string): RoleFacts | undefined {
    return this.#roles.get(id)
  }
  roleNamed(name: string): RoleFacts | undefined {
    return this.#roles.get(this.#roleIdByName.get(name) ?? '')
  }
  roles(): Iterable<RoleFacts> {
    return this.#roles.values()
  }
  revision(roleId: string, revision: number): RoleSpec | undefined {
    return this.#revisions.get(roleId)?.get(revision)
  }
  node(id: string): NodeFacts | undefined {
    return this.#nodes.get(id)
  }
  nodeNamed(name: string): NodeFacts | undefined {
    return this.#nodes.get(this.#nodeIdByName.get(name) ?? '')
  }
  /** By kind and id; undefined once removed. */
  resource({ kind, id }: Pick<ResourceFacts, 'kind' | 'id'>): ResourceFacts | undefined {
    if (kind === 'node') return this.#nodes.get(id)
    return kind === 'database' ? this.#databases.get(id) : undefined
  }
  /** Of every kind. */
  *resources(): Iterable<ResourceFacts> {
    yield* this.#nodes.values()
    yield* this.#databases.values()
  }
  database(id: string): DatabaseRow | undefined {
    return this.#databases.get(id)
  }
  databaseNamed(name: string): DatabaseRow | undefined {
    return this.#databases.get(this.#databaseIdByName.get(name) ?? '')
  }
  databases(): Iterable<DatabaseRow> {
    return this.#databases.values()
  }
  nodes(): Iterable<NodeFacts> {
    return this.#nodes.values()
  }
  login(id: string): LoginSessionsTable | undefined {
    return this.#logins.get(id)
  }
  grant(id: string): StoredGrant | undefined {
    return this.#grants.get(id)
  }
  /** Not ended in the store; starts and ends must still be compared with the clock. */
  *grantsOf(userId: string): Iterable<StoredGrant> {
    for (const id of this.#grantsByUser.get(userId) ?? []) {
      const grant = this.#grants.get(id)
      if (grant) yield grant
    }
  }
  /** The lock that is in force on a thing, if any. */
  lockOn(kind: LocksTable['target_kind'], id: string, now: number): Lock | undefined {
    return this.#locks.on(kind, id, now)
  }
  locks(): Iterable<Lock> {
    return this.#locks.all()
  }

  /** The same as long as nothing changes that rolesAtWork() of this user depends on: no row, and nothing by the clock. */
  moment(userId: string, now: number): Moment {
    const known = this.#moments.get(userId)
    if (known && includes(known, now)) return known
    const instants = [...this.grantsOf(userId)].flatMap((grant) => [grant.starts_at, grant.ends_at, grant.use_by ?? []])
    const fresh = momentAround(now, [...instants.flat(), ...this.#locks.instants()])
    this.#moments.set(userId, fresh)
    return fresh
  }

  /** What has changed since this was asked last. */
  takeTouched(): Touched {
    const touched = this.#touched
    this.#touched = new Touched()
    return touched
  }

  /** Called in the same breath as each change. `user` undefined: it may concern anybody. */
  #touch(user: string | undefined): void {
    if (user === undefined) this.#moments.clear()
    else this.#moments.delete(user)
    this.#touched.user(user)
  }

  /**
   * Re-reads what a commit changed, and what the change log names since the position it was complete up to: commits before
   * it was fed, and rows that could not be read. One after the other: the position never runs ahead of rows still to be read.
   */
  apply(committed: Pick<Committed, 'position' | 'rows'>): Promise<void> {
    const mine = this.#turn.then(() => this.#apply(committed))
    this.#turn = mine.catch(() => {})
    return mine
  }

  async #apply(committed: Pick<Committed, 'position' | 'rows'>): Promise<void> {
    const changed = await changesBetween(this.#db, this.#position, committed.position)
    const rows = new Map(committed.rows.map((row) => [`${row.table}/${row.id}`, row]))
    for (const { table_name, row_id } of changed) {
      const table = POWER_TABLES.find((each) => each === table_name)
      if (table) rows.set(`${table}/${row_id}`, { table, id: row_id })
    }
    for (const row of rows.values()) await this.#read(row)
    this.#position = Math.max(this.#position, committed.position)
  }

  /** Takes power away in memory at once; the row follows when the store can write. */
  takeAway(taken: TakenAway, now: number): void {
    if (taken.kind !== 'lock') this.#taken.set(taken.id, { taken, now })
    if (taken.kind === 'lock') this.#setLock(taken.lock)
    if (taken.kind === 'login') {
      const login = this.#logins.get(taken.id)
      if (login) this.#setLogin({ ...login, ended_at: now, end_reason: 'ended' })
    }
    if (taken.kind === 'grant') {
      const grant = this.#grants.get(taken.id)
      if (!grant) return
      const { reason, by, comment } = taken
      const end = { ended_at: now, end_reason: reason, ended_by: by, end_comment: comment }
      this.#setGrant({ ...grant, state: 'ended', ...end })
    }
  }

  /** It was taken away and the store has not said so yet, or what it says is not kept here. */
  isTaken(id: string): boolean {
    return this.#taken.has(id)
  }

  #takeAgain(id: string, isStored: boolean): void {
    const { taken, now } = this.#taken.get(id) ?? {}
    if (isStored) this.#taken.delete(id)
    else if (taken && now !== undefined) this.takeAway(taken, now)
  }

  /** Drops what ended before `until` and is of no use for explaining an end any more. */
  forgetEnded(until: number): void {
    for (const [id, grant] of this.#grants) {
      if (grant.state !== 'ended' || (grant.ended_at ?? Infinity) >= until) continue
      this.#grants.delete(id)
      this.#grantsByUser.get(grant.user_id)?.delete(id)
      this.#touch(grant.user_id)
    }
    for (const [id, login] of this.#logins) {
      if ((login.ended_at ?? Infinity) >= until) continue
      this.#logins.delete(id)
      this.#touch(login.user_id)
    }
  }

  #setLogin(login: LoginSessionsTable): void {
    this.#logins.set(login.id, login)
    this.#touch(login.user_id)
  }

  #setGrant(grant: StoredGrant): void {
    this.#grants.set(grant.id, grant)
    const ofUser = this.#grantsByUser.get(grant.user_id) ?? new Set()
    this.#grantsByUser.set(grant.user_id, ofUser.add(grant.id))
    this.#touch(grant.user_id)
  }

  #setRevision(row: Pick<RoleRevisionsTable, 'role_id' | 'revision' | 'spec_json'>): void {
    const ofRole = this.#revisions.get(row.role_id) ?? new Map<number, RoleSpec>()
    this.#revisions.set(row.role_id, ofRole.set(row.revision, JSON.parse(row.spec_json) as RoleSpec))
    this.#touch(undefined)
  }

  #setLock(lock: Lock): void {
    const before = this.#locks.set(lock)
    for (const each of before ? [before, lock] : [lock]) this.#touch(this.#lockedUser(each))
  }

  #lockedUser({ target_kind: kind, target_id: id }: Lock): string | undefined {
    if (kind === 'user') return id
    return kind === 'login' ? this.#logins.get(id)?.user_id : undefined
  }

  async #read(row: RowRef): Promise<void> {
    switch (row.table) {
      case 'users':
        return this.#readUser(row.id)
      case 'roles':
        return this.#readRole(row.id)
      case 'role_revisions':
        return this.#readRevision(row.id)
      case 'nodes':
        return this.#readNode(row.id)
      case 'databases':
        return this.#readDatabase(row.id)
      case 'login_sessions':
        return this.#readLogin(row.id)
      case 'grants':
        return this.#readGrant(row.id)
      case 'locks':
        return this.#readLock(row.id)
      default:
        return
    }
  }

  /** Only once the row is read: nobody must miss the name meanwhile, or live sessions would be closed for it. */
  #unname(names: Map<string, string>, id: string, name: string | undefined): void {
    if (name !== undefined && names.get(name) === id) names.delete(name)
  }

  async #readUser(id: string): Promise<void> {
    const row = await this.#db.selectFrom('users').selectAll().where('id', '=', id).executeTakeFirst()
    this.#unname(this.#userIdByName, id, this.#users.get(id)?.name)
    this.#touch(id)
    if (!row || row.deleted_at !== null) {
      this.#users.delete(id)
      return
    }
    this.#users.set(id, {
      id,
      eventId: row.event_id,
      name: row.name,
      roleIds: JSON.parse(row.role_ids_json) as string[],
      traits: JSON.parse(row.traits_json) as Record<string, string[]>,
      disabled: row.disabled === 1,
      disabledAt: row.disabled_at,
    })
    this.#userIdByName.set(row.name, id)
  }

  async #readRevision(id: string): Promise<void> {
    const row = await this.#db.selectFrom('role_revisions').selectAll().where('id', '=', id).executeTakeFirst()
    if (row) this.#setRevision(row)
  }

  async #readRole(id: string): Promise<void> {
    const row = await this.#db.selectFrom('roles').selectAll().where('id', '=', id).executeTakeFirst()
    const isThere = row !== undefined && row.deleted_at === null
    if (isThere && !this.revision(id, row.revision)) await this.#readRevision(`${id}/${row.revision}`)
    this.#unname(this.#roleIdByName, id, this.#roles.get(id)?.name)
    this.#touch(undefined)
    if (!isThere) {
      this.#roles.delete(id)
      return
    }
    const spec = this.revision(id, row.revision)
    if (!spec) return
    this.#roles.set(id, { id, name: row.name, revision: row.revision, contentHash: row.content_hash, spec })
    this.#roleIdByName.set(row.name, id)
  }

  async #readNode(id: string): Promise<void> {
    const row = await this.#db.selectFrom('nodes').selectAll().where('id', '=', id).executeTakeFirst()
    this.#unname(this.#nodeIdByName, id, this.#nodes.get(id)?.name)
    this.#touched.resource(id)
    if (!row || row.deleted_at !== null) {
      this.#nodes.delete(id)
      return
    }
    this.#nodes.set(id, { ...row, ...nodeFacts(row) })
    this.#nodeIdByName.set(row.name, id)
  }

  async #readDatabase(id: string): Promise<void> {
    const row = await this.#db.selectFrom('databases').selectAll().where('id', '=', id).executeTakeFirst()
    this.#unname(this.#databaseIdByName, id, this.#databases.get(id)?.name)
    this.#touched.resource(id)
    if (!row || row.deleted_at !== null) {
      this.#databases.delete(id)
      return
    }
    this.#databases.set(id, { ...row, ...databaseFacts(row) })
    this.#databaseIdByName.set(row.name, id)
  }

  async #readLogin(id: string): Promise<void> {
    const row = await this.#db.selectFrom('login_sessions').selectAll().where('id', '=', id).executeTakeFirst()
    // Ended ones stay until restart: the reason of their end is shown to the sessions they close.
    if (row) this.#setLogin(row)
    this.#takeAgain(id, row?.ended_at !== null)
  }

  async #readGrant(id: string): Promise<void> {
    const row = await this.#db.selectFrom('grants').selectAll().where('id', '=', id).executeTakeFirst()
    if (!row) return
    this.#setGrant(storedGrant(row))
    this.#takeAgain(id, row.state === 'ended')
  }

  async #readLock(id: string): Promise<void> {
    const row = await this.#db.selectFrom('locks').selectAll().where('id', '=', id).executeTakeFirst()
    if (row && (row.removed_at === null || row.target_kind === 'request')) return this.#setLock(row)
    const gone = this.#locks.delete(id)
    if (gone) this.#touch(this.#lockedUser(gone))
  }
}
