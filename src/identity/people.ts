import type { Kysely } from 'kysely'
import type { RoleSpec } from '../contract/role.ts'
import type { LocksTable, Tables } from '../foundation/database/tables.ts'
import { mayDo, onlyDenies } from './role-rules.ts'
import type { Person, RoleContent } from './role-rules.ts'

export type Reader = Kysely<Tables>

/** A user with own roles as they stand in the store; a locked role only takes away. null: unknown or deleted. */
export async function loadPerson(reader: Reader, userId: string, now: number): Promise<Person | null> {
  const user = await reader
    .selectFrom('users')
    .select(['id', 'name', 'role_ids_json', 'traits_json', 'service_owner_id'])
    .where('id', '=', userId)
    .where('deleted_at', 'is', null)
    .executeTakeFirst()
  if (!user) return null
  const roles = await loadRoles(reader, JSON.parse(user.role_ids_json) as string[], now)
  return {
    id: user.id,
    name: user.name,
    traits: JSON.parse(user.traits_json) as Person['traits'],
    roles,
    ownerId: user.service_owner_id,
  }
}

async function loadRoles(reader: Reader, ids: readonly string[], now: number): Promise<RoleContent[]> {
  if (ids.length === 0) return []
  const rows = await reader
    .selectFrom('roles')
    .innerJoin('role_revisions', (join) =>
      join.onRef('role_revisions.role_id', '=', 'roles.id').onRef('role_revisions.revision', '=', 'roles.revision'),
    )
    .select(['roles.id', 'roles.name', 'roles.revision', 'roles.content_hash', 'role_revisions.spec_json'])
    .where('roles.id', 'in', ids)
    .where('roles.deleted_at', 'is', null)
    .execute()
  return await Promise.all(
    rows.map(async ({ id, name, revision, content_hash: contentHash, spec_json }) => {
      const spec = JSON.parse(spec_json) as RoleSpec
      const isLocked = (await lockMessage(reader, 'role', id, now)) !== null
      return { id, name, revision, contentHash, spec: isLocked ? onlyDenies(spec) : spec }
    }),
  )
}

/** Message of a lock in force, or null. */
export async function lockMessage(
  reader: Reader,
  kind: LocksTable['target_kind'],
  id: string,
  now: number,
): Promise<string | null> {
  const lock = await reader
    .selectFrom('locks')
    .select('message')
    .where('target_kind', '=', kind)
    .where('target_id', '=', id)
    .where('removed_at', 'is', null)
    .where((where) => where.or([where('expires_at', 'is', null), where('expires_at', '>', now)]))
    .executeTakeFirst()
  return lock?.message ?? null
}

/** Whoever may review, administer or play recordings needs a second factor. */
export function needsSecondFactor(person: Person): boolean {
  return person.roles.some(
    ({ spec }) => spec.allow.rules.length > 0 || (spec.allow.review_requests?.roles.length ?? 0) > 0,
  )
}

/** For the API's one access check: rules of own roles, deny wins. */
export async function mayOperate(
  reader: Reader,
  userId: string,
  resource: string,
  verb: string,
  now: number,
): Promise<boolean> {
  const person = await loadPerson(reader, userId, now)
  return person !== null && mayDo(person, resource, verb)
}
