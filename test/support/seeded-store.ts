import { createHash } from 'node:crypto'
import { sql } from 'kysely'
import { StoredDeedLog } from '../../src/audit/commit-deed.ts'
import type { RowRef, Tx } from '../../src/audit/deed.ts'
import { spillInMemory } from '../../src/audit/spill-file.ts'
import { RoleDocument } from '../../src/contract/role.ts'
import { openTemporaryDatabase } from '../../src/foundation/database/open-database.ts'
import type { Tables } from '../../src/foundation/database/tables.ts'
import { silentLog } from '../../src/foundation/log.ts'
import { Snapshot } from '../../src/grants/snapshot.ts'
import { ManualClock } from './manual-clock.ts'

const HOUR = 3_600_000
const SYSTEM = { kind: 'system', id: null, name: 'test' } as const

/**
 * A real store with rows put in by hand, one event each, and the snapshot fed by it. For tests of what reads those rows;
 * how they come to be is tested where they are made. `ada` (usr_ada) has the login session lgn_ada; node `db-box` has env=prod.
 */
export async function seededStore() {
  const clock = new ManualClock()
  const database = openTemporaryDatabase(clock)
  const deeds = new StoredDeedLog({ database, clock, log: silentLog, spill: spillInMemory() })
  const write = (rows: RowRef[], work: (tx: Tx) => Promise<unknown>): Promise<null> =>
    deeds.commitDeed(async (tx) => {
      await work(tx)
      return { result: null, events: [{ type: 'resource.update', actor: SYSTEM, outcome: 'success', rows }] }
    })
  const snapshot = await Snapshot.load(database.reads)
  const applied = { run: (): void => {} }
  deeds.onCommitted(async (committed) => {
    await snapshot.apply(committed)
    applied.run()
  })

  const store = {
    clock,
    database,
    deeds,
    snapshot,
    /** Runs after each commit, with the snapshot complete. */
    afterCommit: (run: () => void) => void (applied.run = run),
    role: (name: string, spec: object, revision = 1) => {
      const parsed = RoleDocument.parse({ kind: 'role', metadata: { name }, spec }).spec
      const spec_json = JSON.stringify(parsed)
      const content_hash = createHash('sha256').update(spec_json).digest('hex')
      const id = `rol_${name}`
      const rows: RowRef[] = [
        { table: 'roles', id },
        { table: 'role_revisions', id: `${id}/${revision}` },
      ]
      return write(rows, async (tx) => {
        await tx
          .insertInto('role_revisions')
          .values({
            id: `${id}/${revision}`,
            event_id: '',
            role_id: id,
            revision,
            spec_json,
            content_hash,
            created_at: clock.now(),
          })
          .execute()
        const row = { id, event_id: '', name, revision, content_hash, deleted_at: null }
        await put(tx, 'roles', row)
      })
    },
    removeRole: (name: string) =>
      write([{ table: 'roles', id: `rol_${name}` }], (tx) =>
        tx.updateTable('roles').set({ deleted_at: clock.now() }).where('id', '=', `rol_${name}`).execute(),
      ),
    user: (name: string, roles: readonly string[], changes: Partial<Tables['users']> = {}) => {
      const row: Tables['users'] = {
        id: `usr_${name}`,
        event_id: '',
        name,
        email: null,
        role_ids_json: JSON.stringify(roles.map((role) => `rol_${role}`)),
        traits_json: '{}',
        password_hash: null,
        disabled: 0,
        deleted_at: null,
        created_at: clock.now(),
        votes_count_from: null,
        service_owner_id: null,
        disabled_at: null,
        ...changes,
      }
      return write([{ table: 'users', id: row.id }], (tx) => put(tx, 'users', row))
    },
    login: (name: string, changes: Partial<Tables['login_sessions']> = {}) => {
      const row: Tables['login_sessions'] = {
        id: `lgn_${name}`,
        event_id: '',
        user_id: `usr_${name}`,
        token_hash: `hash-${name}`,
        device: 'laptop',
        factors_json: '["password"]',
        second_factor_at: null,
        key_fingerprint: `SHA256:${name}`,
        x509_fingerprint: null,
        address: '127.0.0.1',
        created_at: clock.now(),
        expires_at: clock.now() + 12 * HOUR,
        ended_at: null,
        end_reason: null,
        ...changes,
      }
      return write([{ table: 'login_sessions', id: row.id }], (tx) => put(tx, 'login_sessions', row))
    },
    node: (name: string, labels: Record<string, string>) => {
      const row: Tables['nodes'] = {
        id: `nod_${name}`,
        event_id: '',
        name,
        address: '127.0.0.1:22',
        labels_json: JSON.stringify(labels),
        host_key: 'ssh-ed25519 AAAA',
        host_authority: null,
        host_principal: null,
        created_at: clock.now(),
        deleted_at: null,
      }
      return write([{ table: 'nodes', id: row.id }], (tx) => put(tx, 'nodes', row))
    },
    postgres: (name: string, labels: Record<string, string>, changes: Partial<Tables['databases']> = {}) => {
      const row: Tables['databases'] = {
        ...{ id: `dtb_${name}`, event_id: '', name, protocol: 'postgres', address: 'db.internal:5432' },
        labels_json: JSON.stringify(labels),
        ...{ tls_mode: 'verify-full', tls_authorities: null, tls_server_name: null, auth_kind: 'certificate' },
        ...{
          password_users_json: '[]',
          passwords_sealed: null,
          just_in_time_json: null,
          created_at: clock.now(),
          deleted_at: null,
        },
        ...changes,
      }
      return write([{ table: 'databases', id: row.id }], (tx) => put(tx, 'databases', row))
    },
    /** A running grant of the role's given revision, from now for `ms`. */
    grant: (
      id: string,
      user: string,
      role: string,
      ms: number,
      changes: Partial<Tables['grants']> = {},
      revision = 1,
    ) => {
      const row: Tables['grants'] = {
        id: `grt_${id}`,
        event_id: '',
        request_id: `req_${id}`,
        user_id: `usr_${user}`,
        kind: 'role',
        roles_json: JSON.stringify([{ id: `rol_${role}`, name: role, revision, contentHash: '' }]),
        state: 'active',
        starts_at: clock.now(),
        ends_at: clock.now() + ms,
        ended_at: null,
        end_reason: null,
        ended_by: null,
        end_comment: null,
        login_id: null,
        suspended: null,
        resources_json: null,
        narrowing_json: null,
        use_by: null,
        use_length_ms: null,
        approved_at: clock.now(),
        moved_at: null,
        ...changes,
      }
      const request: Tables['access_requests'] = {
        id: row.request_id,
        event_id: '',
        kind: 'role',
        user_id: row.user_id,
        roles_json: row.roles_json,
        reason: '',
        duration_ms: ms,
        created_at: clock.now(),
        pending_until: clock.now() + ms,
        state: 'approved',
        decided_at: clock.now(),
        resolution: null,
        login_id: null,
        facts_json: '{}',
        facts_digest: '',
        request_digest: '',
        annotations_json: '{}',
        suggested_json: '[]',
        identity_hash: row.id,
        version: 1,
        resources_json: null,
        narrowing_json: null,
        start_json: null,
        extends_grant: null,
        settled_at: null,
        automation_json: null,
      }
      const rows: RowRef[] = [
        { table: 'grants', id: row.id },
        { table: 'access_requests', id: request.id },
      ]
      return write(rows, async (tx) => {
        const asked = await tx
          .selectFrom('access_requests')
          .select('id')
          .where('id', '=', request.id)
          .executeTakeFirst()
        if (!asked) await put(tx, 'access_requests', request)
        else await tx.updateTable('access_requests').set({ version: 2 }).where('id', '=', request.id).execute()
        await put(tx, 'grants', row)
      })
    },
    lock: (kind: Tables['locks']['target_kind'], target: string, message: string) => {
      const id = `lck_${kind}_${target}`
      return write([{ table: 'locks', id }], (tx) =>
        tx
          .insertInto('locks')
          .values({
            id,
            event_id: '',
            target_kind: kind,
            target_id: target,
            target_name: target,
            message,
            created_by: 'test',
            created_at: clock.now(),
            expires_at: null,
            removed_at: null,
          })
          .execute(),
      )
    },
    unlock: (kind: Tables['locks']['target_kind'], target: string) => {
      const id = `lck_${kind}_${target}`
      return write([{ table: 'locks', id }], (tx) =>
        tx.updateTable('locks').set({ removed_at: clock.now() }).where('id', '=', id).execute(),
      )
    },
    events: (type?: string) => {
      const all = database.reads.selectFrom('audit_events').selectAll().orderBy('seq')
      return (type ? all.where('type', '=', type) : all).execute()
    },
  }
  return store
}

/** Not an upsert: with ON CONFLICT, SQLite overrides the conflict rules of the store's own triggers. */
async function put<
  T extends 'users' | 'roles' | 'nodes' | 'databases' | 'login_sessions' | 'grants' | 'access_requests',
>(tx: Tx, table: T, row: Tables[T]): Promise<void> {
  const there = await sql`select 1 from ${sql.table(table)} where id = ${row.id}`.execute(tx)
  if (there.rows.length > 0) await sql`delete from ${sql.table(table)} where id = ${row.id}`.execute(tx)
  const columns = Object.keys(row)
  const values = Object.values(row) as unknown[]
  await sql`insert into ${sql.table(table)} (${sql.join(columns.map((c) => sql.ref(c)))}) values (${sql.join(values)})`.execute(
    tx,
  )
}

export type SeededStore = Awaited<ReturnType<typeof seededStore>>
