import type { Transaction } from 'kysely'
import type { Kysely } from 'kysely'
import type { RoleSpec } from '../contract/role.ts'
import { Bug } from '../foundation/errors.ts'
import type { LocksTable, Tables, UsersTable } from '../foundation/database/tables.ts'
import { onlyDenies, type Person, type RoleContent } from '../identity/role-rules.ts'

export type Reader = Kysely<Tables> | Transaction<Tables>

/** A user with what decides whether deeds and votes count. */
export interface Member extends Person {
  /** `locked` carries the lock's message */
  readonly standing:
    | { readonly kind: 'good' }
    | { readonly kind: 'disabled' }
    | { readonly kind: 'locked'; readonly message: string }
  /** Votes cast before this instant do not count (after an admin's reset) */
  readonly votesCountFrom: number | null
}

/** Users, roles and locks as of one read. Deleted users and roles are not in it. */
export interface Directory {
  readonly installation: string
  readonly members: ReadonlyMap<string, Member>
  readonly roles: ReadonlyMap<string, RoleContent>
  /** Message of the lock in force on a thing; undefined = none */
  lockOn(kind: LocksTable['target_kind'], id: string): string | undefined
}

export function roleNamed(directory: Directory, name: string): RoleContent | undefined {
  for (const role of directory.roles.values()) if (role.name === name) return role
  return undefined
}

// A revision never changes once written, so its parsed spec may be kept for good.
const specs = new Map<string, RoleSpec>()

export async function loadDirectory(tx: Reader, now: number): Promise<Directory> {
  const installation = await tx.selectFrom('installation').select('id').executeTakeFirst()
  const locks = await loadLocks(tx, now)
  const roles = await loadRoles(tx)
  const users = await tx.selectFrom('users').selectAll().where('deleted_at', 'is', null).execute()
  const lockOn: Directory['lockOn'] = (kind, id) => locks.get(`${kind}/${id}`)
  const members = users.map((user): [string, Member] => [user.id, memberOf(user, roles, lockOn)])
  return { installation: installation?.id ?? '', members: new Map(members), roles, lockOn }
}

async function loadLocks(tx: Reader, now: number): Promise<ReadonlyMap<string, string>> {
  const rows = await tx.selectFrom('locks').selectAll().where('removed_at', 'is', null).execute()
  const inForce = rows.filter((lock) => lock.expires_at === null || lock.expires_at > now)
  return new Map(inForce.map((lock) => [`${lock.target_kind}/${lock.target_id}`, lock.message]))
}

async function loadRoles(tx: Reader): Promise<ReadonlyMap<string, RoleContent>> {
  const rows = await tx.selectFrom('roles').selectAll().where('deleted_at', 'is', null).execute()
  const contents = await Promise.all(
    rows.map(async ({ id, name, revision, content_hash: contentHash }): Promise<[string, RoleContent]> => {
      return [id, { id, name, revision, contentHash, spec: await specOf(tx, `${id}/${revision}`, contentHash) }]
    }),
  )
  return new Map(contents)
}

async function specOf(tx: Reader, revisionId: string, contentHash: string): Promise<RoleSpec> {
  const key = `${revisionId} ${contentHash}`
  const known = specs.get(key)
  if (known) return known
  const row = await tx
    .selectFrom('role_revisions')
    .select(['spec_json', 'content_hash'])
    .where('id', '=', revisionId)
    .executeTakeFirst()
  if (row?.content_hash !== contentHash)
    throw new Bug(`role revision ${revisionId} is missing or is not what its role says`)
  const spec = JSON.parse(row.spec_json) as RoleSpec
  specs.set(key, spec)
  return spec
}

function memberOf(user: UsersTable, roles: ReadonlyMap<string, RoleContent>, lockOn: Directory['lockOn']): Member {
  const held = (JSON.parse(user.role_ids_json) as string[]).flatMap((id) => roles.get(id) ?? [])
  const lock = lockOn('user', user.id)
  return {
    id: user.id,
    name: user.name,
    traits: JSON.parse(user.traits_json) as Member['traits'],
    // A locked role gives nothing to anybody, but what it denies stays denied.
    roles: held.map((role) =>
      lockOn('role', role.id) === undefined ? role : { ...role, spec: onlyDenies(role.spec) },
    ),
    standing:
      user.disabled === 1
        ? { kind: 'disabled' }
        : lock === undefined
          ? { kind: 'good' }
          : { kind: 'locked', message: lock },
    votesCountFrom: user.votes_count_from,
  }
}
