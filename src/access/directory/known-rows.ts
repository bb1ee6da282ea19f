import { sql } from 'kysely'
import type { RoleSpec } from '../../contract/role.ts'
import { Bug } from '../../foundation/errors.ts'
import { fixedStatement } from '../../foundation/database/fixed-statement.ts'
import type { ReviewRuleSpec } from '../../contract/review-rule.ts'
import type {
  DelegationsTable,
  LocksTable,
  PoliciesTable,
  ReviewRulesTable,
  RolesTable,
  Tables,
  UsersTable,
} from '../../foundation/database/tables.ts'
import type { RoleContent } from '../../identity/role-rules.ts'
import { storedDelegation, type Delegation } from '../delegation/delegation.ts'
import type { PolicyContent, RuleContent } from '../automate/automation.ts'
import type { Reader } from '../directory.ts'

export interface KnownUser {
  readonly id: string
  readonly name: string
  readonly roleIds: readonly string[]
  readonly traits: Readonly<Record<string, readonly string[]>>
  readonly disabled: boolean
  readonly votesCountFrom: number | null
  readonly disabledAt: number | null
  readonly ownerId: string | null
}

/**
 * Users, roles, locks and delegations (none deleted or removed) as of the event `seq`, whose chain hash is `hash`. The hash commits to
 * everything before it, so what is known stays right for whatever store has this hash at this place.
 */
export interface KnownRows {
  readonly installation: string
  readonly seq: number
  readonly hash: string
  /** Chain hash of the last event that changed any of them; empty = none has */
  readonly content: string
  readonly users: ReadonlyMap<string, KnownUser>
  readonly roles: ReadonlyMap<string, RoleContent>
  readonly locks: ReadonlyMap<string, LocksTable>
  readonly delegations: ReadonlyMap<string, Delegation>
  readonly reviewRules: ReadonlyMap<string, RuleContent>
  readonly policies: ReadonlyMap<string, PolicyContent>
}

/** Above it, reading everything anew is cheaper. */
const MOST_CHANGES = 1000
/** Parameters of one statement */
const CHUNK = 500

/** A change of any other table leaves the directory as it is. */
const KNOWN_TABLES = ['users', 'roles', 'locks', 'delegations', 'review_rules', 'policies'] as const
const NAMED = KNOWN_TABLES.map((table) => `'${table}'`).join(', ')

interface Head {
  readonly seq: number
  readonly hash: string
  /** Chain hash where our knowledge ends; null = there is no such event here */
  readonly anchor: string | null
  /** Seq of the last change of a known table since then; null = none */
  readonly changed: number | null
}

// Joined to nothing, the name of the table is in no index: the few rows behind `seq` are looked at, not all of a table's.
const headSince = fixedStatement<Head>(
  `select seq, hash, (select e.hash from audit_events e where e.seq = ?) as anchor,
     (select max(c.seq) from change_log c where c.seq > ? and c.table_name || '' in (${NAMED})) as changed
   from chain_head where id = 1`,
)
const headNow = fixedStatement<Pick<Head, 'seq' | 'hash'>>('select seq, hash from chain_head where id = 1')
const changesSince = fixedStatement<{ table_name: string; row_id: string }>(
  `select distinct table_name, row_id from change_log where seq > ? and table_name || '' in (${NAMED})`,
)

const hashAt = fixedStatement<{ hash: string }>('select hash from audit_events where seq = ?')
const lastContent = fixedStatement<{ hash: string }>(
  `select hash from audit_events where seq = (select max(seq) from change_log where table_name in (${NAMED}))`,
)

/**
 * What the store holds as of this read, from what is known already and the rows that the change log names since. `known` may
 * come from another store, or from one that was rolled back: then all is read. Not for a deed that has written such rows itself.
 * `other`: what another connection to the store knows; where its content is the same, its very objects are taken.
 */
export async function readKnownRows(
  tx: Reader,
  known: KnownRows | null,
  other: KnownRows | null = null,
): Promise<KnownRows> {
  // A deed nearly always finds the head moved, by the deed before it.
  if (tx.isTransaction || !known) return readAfter(tx, known, other)
  const [now] = await headNow(tx)
  if (now && now.seq === known.seq && now.hash === known.hash) return known
  const running = catchingUp.get(known)
  if (now && running?.hash === now.hash) return running.rows
  const rows = readAfter(tx, known, other)
  if (now) catchingUp.set(known, { hash: now.hash, rows })
  return rows.catch((error: unknown) => {
    catchingUp.delete(known)
    throw error
  })
}

/** Many look at once after a commit: one of them reads what it brought. By what is known, and the chain's hash that was found. */
const catchingUp = new WeakMap<KnownRows, { readonly hash: string; readonly rows: Promise<KnownRows> }>()

async function readAfter(tx: Reader, known: KnownRows | null, other: KnownRows | null): Promise<KnownRows> {
  const [head] = await headSince(tx, known?.seq ?? 0, known?.seq ?? Number.MAX_SAFE_INTEGER)
  if (!head || !known || head.anchor !== known.hash) return readAll(tx, head, other)
  const { seq, hash } = head
  if (head.changed === null) return seq === known.seq ? known : { ...known, seq, hash }
  const [{ hash: content } = { hash: '' }] = await hashAt(tx, head.changed)
  if (other && other.content === content) return { ...other, seq, hash }
  const changes = await changesSince(tx, known.seq)
  if (changes.length >= MOST_CHANGES) return readAll(tx, head, null)
  const changed = (table: string): string[] => [
    ...new Set(changes.flatMap((row) => (row.table_name === table ? [row.row_id] : []))),
  ]
  return {
    installation: known.installation,
    seq,
    hash,
    content,
    users: await replaced(known.users, changed('users'), async (ids) => knownUsers(await rowsOf(tx, 'users', ids))),
    roles: await replaced(known.roles, changed('roles'), async (ids) => knownRoles(tx, await rowsOf(tx, 'roles', ids))),
    locks: await replaced(known.locks, changed('locks'), async (ids) => standingLocks(await rowsOf(tx, 'locks', ids))),
    delegations: await replaced(known.delegations, changed('delegations'), async (ids) =>
      standingDelegations(await rowsOf(tx, 'delegations', ids)),
    ),
    reviewRules: await replaced(known.reviewRules, changed('review_rules'), async (ids) =>
      standingRules(await rowsOf(tx, 'review_rules', ids)),
    ),
    policies: await replaced(known.policies, changed('policies'), async (ids) =>
      policiesInForce(await rowsOf(tx, 'policies', ids)),
    ),
  }
}

async function readAll(tx: Reader, head: Head | undefined, other: KnownRows | null): Promise<KnownRows> {
  const [{ hash: content } = { hash: '' }] = await lastContent(tx)
  if (head && other && content !== '' && other.content === content) return { ...other, seq: head.seq, hash: head.hash }
  const installation = await tx.selectFrom('installation').select('id').executeTakeFirst()
  const users = await tx.selectFrom('users').selectAll().where('deleted_at', 'is', null).execute()
  const roles = await tx.selectFrom('roles').selectAll().where('deleted_at', 'is', null).execute()
  const locks = await tx
    .selectFrom('locks')
    .selectAll()
    .where((where) => where.or([where('removed_at', 'is', null), where('target_kind', '=', 'request')]))
    .execute()
  const delegations = await tx.selectFrom('delegations').selectAll().where('removed_at', 'is', null).execute()
  const rules = await tx.selectFrom('review_rules').selectAll().where('deleted_at', 'is', null).execute()
  const policies = await tx.selectFrom('policies').selectAll().where('removed_at', 'is', null).execute()
  return {
    installation: installation?.id ?? '',
    seq: head?.seq ?? 0,
    hash: head?.hash ?? '',
    content,
    users: byId(knownUsers(users)),
    roles: byId(await knownRoles(tx, roles)),
    locks: byId(standingLocks(locks)),
    delegations: byId(standingDelegations(delegations)),
    reviewRules: byId(standingRules(rules)),
    policies: byId(policiesInForce(policies)),
  }
}

/** The same map when nothing changed; else another one, since the old may be in use. */
async function replaced<T extends { readonly id: string }>(
  known: ReadonlyMap<string, T>,
  ids: readonly string[],
  read: (ids: readonly string[]) => Promise<readonly T[]>,
): Promise<ReadonlyMap<string, T>> {
  if (ids.length === 0) return known
  const now = new Map(known)
  for (const id of ids) now.delete(id)
  for (let at = 0; at < ids.length; at += CHUNK)
    for (const row of await read(ids.slice(at, at + CHUNK))) now.set(row.id, row)
  return now
}

async function rowsOf<T extends (typeof KNOWN_TABLES)[number]>(
  tx: Reader,
  table: T,
  ids: readonly string[],
): Promise<readonly Tables[T][]> {
  const found = await sql<Tables[T]>`select * from ${sql.table(table)} where id in (${sql.join([...ids])})`.execute(tx)
  return found.rows
}

function knownUsers(rows: readonly UsersTable[]): KnownUser[] {
  return rows
    .filter((row) => row.deleted_at === null)
    .map((row) => ({
      id: row.id,
      name: row.name,
      roleIds: JSON.parse(row.role_ids_json) as string[],
      traits: JSON.parse(row.traits_json) as Record<string, string[]>,
      disabled: row.disabled === 1,
      votesCountFrom: row.votes_count_from,
      disabledAt: row.disabled_at,
      ownerId: row.service_owner_id,
    }))
}

/** One on a request ends it for good: it stands although it was taken away before anybody swept. */
const standingLocks = (rows: readonly LocksTable[]): LocksTable[] =>
  rows.filter((row) => row.removed_at === null || row.target_kind === 'request')

const standingDelegations = (rows: readonly DelegationsTable[]): Delegation[] =>
  rows.filter((row) => row.removed_at === null).map(storedDelegation)
function standingRules(rows: readonly ReviewRulesTable[]): RuleContent[] {
  return rows
    .filter((row) => row.deleted_at === null)
    .map(({ id, name, content_hash: contentHash, spec_json }) => {
      return { id, name, contentHash, spec: JSON.parse(spec_json) as ReviewRuleSpec }
    })
}

function policiesInForce(rows: readonly PoliciesTable[]): PolicyContent[] {
  return rows
    .filter((row) => row.removed_at === null)
    .map(({ id, file, content_hash: contentHash, approve_only, zone }) => {
      return { id, file, contentHash, approveOnly: approve_only === 1, zone }
    })
}

async function knownRoles(tx: Reader, rows: readonly RolesTable[]): Promise<RoleContent[]> {
  const contents: RoleContent[] = []
  for (const { id, name, revision, content_hash: contentHash, deleted_at } of rows) {
    if (deleted_at !== null) continue
    contents.push({ id, name, revision, contentHash, spec: await specOf(tx, `${id}/${revision}`, contentHash) })
  }
  return contents
}

// A revision never changes once written, so its parsed spec may be kept for good.
const specs = new Map<string, RoleSpec>()

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

function byId<T extends { readonly id: string }>(rows: readonly T[]): Map<string, T> {
  return new Map(rows.map((row) => [row.id, row]))
}
