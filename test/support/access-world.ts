import { hash } from 'node:crypto'
import { AccessRequests } from '../../src/access/access-requests.ts'
import { NO_SANDBOX } from '../../src/access/automate/ask-policies.ts'
import { storedForm } from '../../src/access/ask/plan-ask.ts'
import type { PolicyAsker } from '../../src/access/automate/judge.ts'
import type { Caller } from '../../src/access/caller.ts'
import { Sweeper } from '../../src/access/sweeper.ts'
import { takingAwayReplays } from '../../src/access/end/take-back.ts'
import { StoredDeedLog } from '../../src/audit/commit-deed.ts'
import type { NewEvent, Tx } from '../../src/audit/deed.ts'
import { spillInMemory } from '../../src/audit/spill-file.ts'
import type { AccessRequest, Start } from '../../src/contract/request.ts'
import { ResourceName } from '../../src/contract/common.ts'
import { RoleDocument } from '../../src/contract/role.ts'
import { canonicalJson } from '../../src/formats/canonical-json.ts'
import type { Database } from '../../src/foundation/database/open-database.ts'
import { silentLog } from '../../src/foundation/log.ts'
import type { DatabasesTable } from '../../src/foundation/database/tables.ts'
import { Snapshot, type TakenAway } from '../../src/grants/snapshot.ts'
import { rolesAtWork } from '../../src/grants/working-roles.ts'
import { allOf, databaseAccess } from '../../src/identity/database-access.ts'
import { nodeAccess } from '../../src/identity/node-access.ts'
import { Refused } from '../../src/foundation/errors.ts'
import { storedGrant } from '../../src/grants/stored-grant.ts'
import { rowsUsed, useGrant } from '../../src/grants/use-grant.ts'
import type { Clock } from '../../src/foundation/clock.ts'
import { ManualClock } from './manual-clock.ts'
import { pooledStore } from './pooled-store.ts'

export const MINUTE = 60_000
export const HOUR = 60 * MINUTE

const ADMIN = { kind: 'local-admin', id: null, name: 'local-admin' } as const

export interface Person {
  readonly roles?: readonly string[]
  readonly traits?: Readonly<Record<string, readonly string[]>>
  readonly disabled?: boolean
  readonly votesCountFrom?: number | null
  /** Makes it a service account of this user */
  readonly owner?: string
}

/** The request engine on a store of its own with a clock that stands still. Ids are made from names: `usr_alice`, `rol_dba`. */
export class AccessWorld<C extends Clock = ManualClock> {
  readonly clock: C
  readonly database: Database
  readonly deeds: StoredDeedLog
  readonly requests: AccessRequests
  readonly sweeper: Sweeper
  readonly taken: TakenAway[] = []
  /** Runs policies */
  asker: PolicyAsker = NO_SANDBOX

  constructor(database: Database, clock: C) {
    this.clock = clock
    this.database = database
    this.deeds = new StoredDeedLog({ database, clock, log: silentLog, spill: spillInMemory() })
    for (const [name, replay] of Object.entries(takingAwayReplays)) this.deeds.registerReplay(name, replay)
    const parts = { reads: database.reads, deeds: this.deeds, clock, log: silentLog }
    const policies: PolicyAsker = { ask: (question) => this.asker.ask(question) }
    this.requests = new AccessRequests({ ...parts, policies, takeAway: (taken) => void this.taken.push(taken) })
    this.sweeper = new Sweeper(parts)
  }

  static open(): Promise<AccessWorld>
  static open<C extends Clock>(clock: C, database?: Database): Promise<AccessWorld<C>>
  static async open(clock: Clock = new ManualClock(), database = pooledStore()): Promise<AccessWorld<Clock>> {
    const world = new AccessWorld(database, clock)
    await world.database.transact((tx) =>
      tx.insertInto('installation').values({ id: 'ins_test', name: 'test', created_at: clock.now() }).execute(),
    )
    return world
  }

  async close(): Promise<void> {
    await this.stop()
    await this.database.close()
  }

  /** The engine alone: its store stays open. */
  async stop(): Promise<void> {
    await this.sweeper.stop()
    await this.deeds.close()
  }

  /** Writes or replaces a role; `spec` as in YAML. */
  async role(name: string, spec: object = {}, id = `rol_${name}`): Promise<void> {
    const parsed = RoleDocument.parse({ kind: 'role', metadata: { name }, spec }).spec
    const spec_json = canonicalJson(JSON.parse(JSON.stringify(parsed)))
    const content_hash = hash('sha256', spec_json)
    await this.#deed('role.update', async (tx, now) => {
      const before = await tx.selectFrom('roles').selectAll().where('id', '=', id).executeTakeFirst()
      const revision = (before?.revision ?? 0) + 1
      const row = { id, event_id: '', name, revision, content_hash, deleted_at: null }
      if (before) await tx.updateTable('roles').set(row).where('id', '=', id).execute()
      else await tx.insertInto('roles').values(row).execute()
      const revisionId = `${id}/${revision}`
      await tx
        .insertInto('role_revisions')
        .values({ id: revisionId, event_id: '', role_id: id, revision, spec_json, content_hash, created_at: now })
        .execute()
      return [
        { table: 'roles', id },
        { table: 'role_revisions', id: revisionId },
      ]
    })
  }

  async deleteRole(id: string): Promise<void> {
    await this.#deed('role.delete', async (tx, now) => {
      await tx.updateTable('roles').set({ deleted_at: now }).where('id', '=', id).execute()
      return [{ table: 'roles', id }]
    })
  }

  /** Writes a node, or labels it anew. `hostKey` says which machine it is. */
  async node(
    name: string,
    labels: Readonly<Record<string, string>> = {},
    { id = `nod_${name}`, hostKey = 'ssh-ed25519 AAAA' }: { id?: string; hostKey?: string } = {},
  ): Promise<void> {
    await this.#deed('resource.update', async (tx, now) => {
      const row = {
        name,
        address: '127.0.0.1:22',
        labels_json: canonicalJson(labels),
        host_key: hostKey,
        host_authority: null,
        host_principal: null,
        deleted_at: null,
      }
      const updated = await tx.updateTable('nodes').set(row).where('id', '=', id).executeTakeFirst()
      if (updated.numUpdatedRows === 0n)
        await tx
          .insertInto('nodes')
          .values({ id, event_id: '', created_at: now, ...row })
          .execute()
      return [{ table: 'nodes', id }]
    })
  }

  /** Writes a PostgreSQL server, or labels it anew. `server` says which one it is. */
  async postgres(name: string, labels: Readonly<Record<string, string>> = {}, server = 'db.internal'): Promise<void> {
    await this.#deed('resource.update', async (tx, now) => {
      const id = `dtb_${name}`
      const row: Omit<DatabasesTable, 'id' | 'event_id' | 'created_at'> = {
        ...{ name, protocol: 'postgres', address: `${server}:5432`, labels_json: canonicalJson(labels) },
        ...{ tls_mode: 'verify-full', tls_authorities: null, tls_server_name: null, auth_kind: 'certificate' },
        ...{ password_users_json: '[]', passwords_sealed: null, just_in_time_json: null, deleted_at: null },
      }
      const updated = await tx.updateTable('databases').set(row).where('id', '=', id).executeTakeFirst()
      if (updated.numUpdatedRows === 0n)
        await tx
          .insertInto('databases')
          .values({ id, event_id: '', created_at: now, ...row })
          .execute()
      return [{ table: 'databases', id }]
    })
  }

  /** Db users that work for the user on this database, as connections are decided. */
  async dbUsers(user: string, name: string): Promise<string[]> {
    const view = await Snapshot.load(this.database.reads)
    const person = view.user(`usr_${user}`)
    const database = view.databaseNamed(name)
    if (!person || !database) return []
    return allOf(databaseAccess(rolesAtWork(view, person, null, this.clock.now()).roles, database), 'users')
  }

  async removeNode(id: string): Promise<void> {
    await this.#deed('resource.delete', async (tx, now) => {
      await tx.updateTable('nodes').set({ deleted_at: now }).where('id', '=', id).execute()
      return [{ table: 'nodes', id }]
    })
  }

  /** Logins that work for the user on the node with this id, as connections are decided. */
  async logins(user: string, nodeId: string): Promise<string[]> {
    const view = await Snapshot.load(this.database.reads)
    const person = view.user(`usr_${user}`)
    const node = view.node(nodeId)
    if (!person || !node) return []
    return [...nodeAccess(rolesAtWork(view, person, null, this.clock.now()).roles, node).logins.keys()]
  }

  /** Writes or replaces a user; roles by name. */
  async user(
    name: string,
    { roles = [], traits = {}, disabled = false, votesCountFrom = null, owner }: Person = {},
    id = `usr_${name}`,
  ): Promise<void> {
    await this.#deed('user.update', async (tx, now) => {
      const row = {
        id,
        event_id: '',
        name,
        email: null,
        role_ids_json: canonicalJson(roles.map((role) => `rol_${role}`)),
        ...{
          traits_json: canonicalJson(traits),
          password_hash: null,
          disabled: disabled ? (1 as const) : (0 as const),
        },
        deleted_at: null,
        created_at: now,
        votes_count_from: votesCountFrom,
        service_owner_id: owner === undefined ? null : `usr_${owner}`,
        ...(disabled ? { disabled_at: now } : {}),
      }
      const updated = await tx.updateTable('users').set(row).where('id', '=', id).executeTakeFirst()
      if (updated.numUpdatedRows === 0n) await tx.insertInto('users').values(row).execute()
      return [{ table: 'users', id }]
    })
  }

  async deleteUser(id: string): Promise<void> {
    await this.#deed('user.delete', async (tx, now) => {
      await tx.updateTable('users').set({ deleted_at: now }).where('id', '=', id).execute()
      return [{ table: 'users', id }]
    })
  }

  async lock(
    kind: 'user' | 'role' | 'request' | 'node',
    target: string,
    expiresAt: number | null = null,
  ): Promise<string> {
    const id = `lck_${kind}_${target}_${AccessWorld.#counter++}`
    await this.#deed('lock.create', async (tx, now) => {
      const row = { id, event_id: '', target_kind: kind, target_id: target, target_name: target, message: 'held' }
      await tx
        .insertInto('locks')
        .values({ ...row, created_by: 'local-admin', created_at: now, expires_at: expiresAt, removed_at: null })
        .execute()
      return [{ table: 'locks', id }]
    })
    return id
  }

  async unlock(id: string): Promise<void> {
    await this.#deed('lock.delete', async (tx, now) => {
      await tx.updateTable('locks').set({ removed_at: now }).where('id', '=', id).execute()
      return [{ table: 'locks', id }]
    })
  }

  // Of all worlds: one may be opened on the store of another.
  static #counter = 0

  async #deed(
    type: NewEvent['type'],
    change: (tx: Tx, now: number) => Promise<NonNullable<NewEvent['rows']>>,
  ): Promise<void> {
    await this.deeds.commitDeed(async (tx, now) => {
      const rows = await change(tx, now)
      return { result: null, events: [{ type, actor: ADMIN, outcome: 'success', rows }] }
    })
    // Consequences of the change follow in deeds of their own.
    await this.sweeper.sweep()
  }

  /** What the first connection does to a grant that waits for one; its request's id names it. Throws Refused('grant_ended'). */
  async use(requestId: string): Promise<void> {
    await this.deeds.commitDeed(async (tx, now) => {
      const row = await tx.selectFrom('grants').selectAll().where('request_id', '=', requestId).executeTakeFirst()
      const grant = row && storedGrant(row)
      if (!grant || !(await useGrant(tx, grant, now))) throw new Refused('grant_ended', 'nothing waits for a use')
      const about = { actor: ADMIN, request: requestId, grants: [grant.id] }
      return { result: null, events: [{ type: 'grant.start', outcome: 'success', ...about, rows: rowsUsed(grant) }] }
    })
  }

  // What people do.

  async ask(user: string, roles: readonly string[], more: More = {}): Promise<AccessRequest> {
    const { request } = await this.requests.ask(callerNamed(user), asked(roles, more))
    return request
  }

  /** Votes with the digests that are current, as somebody does who has just looked and just proven a second factor. */
  async vote(
    user: string,
    id: string,
    decision: 'approve' | 'deny',
    more: { reason?: string; duration?: number; startAt?: number; onBehalfOf?: string; seen?: AccessRequest } = {},
  ): Promise<AccessRequest> {
    const seen = more.seen ?? (await this.show(id))
    const { requestDigest, factsDigest, grantedDuration, grantedStart } = seen
    const ballot = {
      decision,
      reason: more.reason ?? '',
      durationMs: more.duration ?? null,
      startAt: more.startAt ?? null,
      onBehalfOf: more.onBehalfOf ?? null,
      shown: { durationMs: grantedDuration, startAt: grantedStart },
      requestDigest,
      factsDigest,
    }
    return this.requests.review(callerNamed(user), id, ballot, null)
  }

  approve(
    user: string,
    id: string,
    more: { reason?: string; duration?: number; startAt?: number; onBehalfOf?: string; seen?: AccessRequest } = {},
  ): Promise<AccessRequest> {
    return this.vote(user, id, 'approve', more)
  }

  deny(
    user: string,
    id: string,
    more: { reason?: string; onBehalfOf?: string; seen?: AccessRequest } = {},
  ): Promise<AccessRequest> {
    return this.vote(user, id, 'deny', more)
  }

  /** As the local admin sees it. */
  show(id: string): Promise<AccessRequest> {
    return this.requests.show(LOCAL_ADMIN, id)
  }

  async events(): Promise<
    { type: string; details: Record<string, unknown>; outcome: string; actor: { name: string } }[]
  > {
    const rows = await this.database.reads.selectFrom('audit_events').selectAll().orderBy('seq').execute()
    return rows.map(({ type, outcome, details_json, actor_json }) => {
      const details = JSON.parse(details_json ?? '{}') as Record<string, unknown>
      return { type, outcome, details, actor: JSON.parse(actor_json) as { name: string } }
    })
  }

  async eventTypes(): Promise<string[]> {
    return (await this.events()).map((event) => event.type)
  }

  async outbox(): Promise<{ topic: string; body: Record<string, unknown> }[]> {
    const rows = await this.database.reads.selectFrom('outbox').selectAll().orderBy('position').execute()
    return rows.map(({ topic, body_json }) => ({ topic, body: JSON.parse(body_json) as Record<string, unknown> }))
  }
}

export const LOCAL_ADMIN: Caller = { actor: ADMIN, userId: null, loginId: null, local: true }

/** `alice` signed in: user `usr_alice`, login `lgn_alice`. */
export function callerNamed(name: string, id = `usr_${name}`): Caller {
  return { actor: { kind: 'user', id, name }, userId: id, loginId: `lgn_${name}`, local: false }
}

interface More {
  readonly reason?: string
  readonly duration?: number
  readonly pendingFor?: number
  readonly start?: Start
  readonly reviewers?: string[]
  /** `node/box` */
  readonly resources?: readonly string[]
  readonly login?: string
  readonly dbUser?: string
}

export function asked(roles: readonly string[], more: More = {}) {
  return {
    roles,
    resources: (more.resources ?? []).map((text) => ResourceName.parse(text)),
    narrowing: storedForm({ login: more.login, dbUser: more.dbUser }),
    reason: more.reason ?? 'because',
    durationMs: more.duration ?? null,
    pendingForMs: more.pendingFor ?? null,
    start: more.start ?? ({ at: 'approval' } as const),
    reviewers: more.reviewers ?? [],
  }
}
