import { confirmed } from '../audit/confirmation.ts'
import { createHash } from 'node:crypto'
import type { NewEvent, Tx } from '../audit/deed.ts'
import type { RoleDocument, RoleSpec } from '../contract/role.ts'
import { canonicalJson } from '../formats/canonical-json.ts'
import type { Database } from '../foundation/database/open-database.ts'
import { Refused } from '../foundation/errors.ts'
import { newId } from '../foundation/ids.ts'
import type { Doer, StoreParts } from './doer.ts'
import type { Reader } from './people.ts'
import { roleProblems } from './role-problems.ts'

/** SHA-256 of the canonical spec, hex: what requests and grants pin. */
export function roleContentHash(spec: RoleSpec): string {
  return createHash('sha256').update(canonicalJson(spec)).digest('hex')
}

/**
 * Writes a role: a new one, or with `replace` the next revision of the one with that name. Throws Refused: malformed (with
 * every problem), exists. `created` false: it was there before.
 */
export async function putRole(
  parts: StoreParts,
  doer: Doer,
  document: RoleDocument,
  replace: boolean,
): Promise<{ id: string; created: boolean }> {
  refuseProblems(document)
  return await parts.deeds.commitDeed(
    confirmed(doer, async (tx, now) => {
      const written = await writeRole(tx, doer, document, replace, now)
      return { result: { id: written.id, created: written.created }, events: [written.event] }
    }),
  )
}

export interface WrittenRole {
  readonly id: string
  readonly created: boolean
  readonly event: NewEvent
}

/** The same inside another deed. The document must have been checked for problems. */
export async function writeRole(
  tx: Tx,
  doer: Doer,
  document: RoleDocument,
  replace: boolean,
  now: number,
): Promise<WrittenRole> {
  const { name, description = null } = document.metadata
  const contentHash = roleContentHash(document.spec)
  const before = await findRole(tx, name)
  if (before && !replace)
    throw new Refused('exists', `there is a role "${name}"`, `to change it: sallyctl edit role/${name}`)
  const id = before?.id ?? newId('role', now)
  const revision = (before?.revision ?? 0) + 1
  const row = { name, revision, content_hash: contentHash }
  if (before) await tx.updateTable('roles').set(row).where('id', '=', id).execute()
  else
    await tx
      .insertInto('roles')
      .values({ id, event_id: '', ...row, deleted_at: null })
      .execute()
  await tx
    .insertInto('role_revisions')
    .values({
      id: `${id}/${revision}`,
      event_id: '',
      role_id: id,
      revision,
      description,
      created_at: now,
      spec_json: canonicalJson(document.spec),
      content_hash: contentHash,
    })
    .execute()
  const event: NewEvent = {
    type: before ? 'role.update' : 'role.create',
    actor: doer.actor,
    login: doer.loginId,
    outcome: 'success',
    details: { role: id, name, revision, contentHash, before: before?.content_hash ?? null },
    rows: [
      { table: 'roles', id },
      { table: 'role_revisions', id: `${id}/${revision}` },
    ],
  }
  return { id, created: !before, event }
}

function refuseProblems({ metadata, spec }: RoleDocument): void {
  const problems = roleProblems(spec)
  if (problems.length > 0)
    throw new Refused('malformed', `role ${metadata.name}: ${problems[0]}`, undefined, {
      problems: problems.slice(0, 20),
    })
}

async function findRole(
  tx: Reader,
  name: string,
): Promise<{ id: string; revision: number; content_hash: string } | undefined> {
  return await tx
    .selectFrom('roles')
    .select(['id', 'revision', 'content_hash'])
    .where('name', '=', name)
    .where('deleted_at', 'is', null)
    .executeTakeFirst()
}

/** The id never comes back: a role made under the old name later is another one. */
export async function removeRole(parts: StoreParts, doer: Doer, name: string): Promise<void> {
  await parts.deeds.commitDeed(
    confirmed(doer, async (tx, now) => {
      const role = await findRole(tx, name)
      if (!role) throw new Refused('not_found', `there is no role "${name}"`, 'run: sallyctl get role')
      await tx.updateTable('roles').set({ deleted_at: now }).where('id', '=', role.id).execute()
      const event: NewEvent = {
        type: 'role.delete',
        actor: doer.actor,
        login: doer.loginId,
        outcome: 'success',
        details: { role: role.id, name, revision: role.revision },
        rows: [{ table: 'roles', id: role.id }],
      }
      return { result: null, events: [event], evenIfAltered: true }
    }),
  )
}

export async function listRoles(database: Database): Promise<RoleDocument[]> {
  const rows = await database.reads
    .selectFrom('roles')
    .innerJoin('role_revisions', (join) =>
      join.onRef('role_revisions.role_id', '=', 'roles.id').onRef('role_revisions.revision', '=', 'roles.revision'),
    )
    .select(['roles.name', 'role_revisions.spec_json', 'role_revisions.description'])
    .where('roles.deleted_at', 'is', null)
    .orderBy('roles.name')
    .execute()
  return rows.map(({ name, spec_json, description }) => ({
    kind: 'role',
    version: 'v1',
    metadata: { name, ...(description === null ? {} : { description }) },
    spec: JSON.parse(spec_json) as RoleSpec,
  }))
}

/** Ids of roles by name, in the order given. Throws Refused('role_unknown'). */
export async function roleIdsOf(tx: Reader, names: readonly string[]): Promise<string[]> {
  const ids: string[] = []
  for (const name of new Set(names)) {
    const role = await findRole(tx, name)
    if (!role) throw new Refused('role_unknown', `there is no role "${name}"`, 'run: sallyctl get role')
    ids.push(role.id)
  }
  return ids
}
