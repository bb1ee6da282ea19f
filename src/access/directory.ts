import type { Kysely } from 'kysely'
import { NodeSqliteAdapter } from '../foundation/database/node-sqlite-dialect.ts'
import type { LocksTable, Tables } from '../foundation/database/tables.ts'
import type { Person, RoleContent } from '../identity/role-rules.ts'
import type { Delegation } from './delegation/delegation.ts'
import type { PolicyContent, RuleContent } from './automate/automation.ts'
import { readKnownRows } from './directory/known-rows.ts'
import { fitting, viewRows, type View } from './directory/view-rows.ts'

export type Reader = Kysely<Tables>

/** A user with what decides whether deeds and votes count. */
export interface Member extends Person {
  /** `locked` carries the lock's message */
  readonly standing:
    | { readonly kind: 'good' }
    | { readonly kind: 'disabled' }
    | { readonly kind: 'locked'; readonly message: string }
  /** Votes cast before this instant do not count (after an admin's reset) */
  readonly votesCountFrom: number | null
  /** When it was last disabled, kept when it is enabled again */
  readonly disabledAt: number | null
}

/** Users, roles, review rules, policies, locks and delegations as of one read. What was deleted is not in it. */
export interface Directory {
  readonly installation: string
  readonly members: ReadonlyMap<string, Member>
  /** Members in good standing whose own roles let them review anything at all, sorted by name */
  readonly reviewers: readonly Member[]
  readonly roles: ReadonlyMap<string, RoleContent>
  readonly rolesByName: ReadonlyMap<string, RoleContent>
  /** Not removed; those that reached their end a while ago are among them, since votes cast before it stay */
  readonly delegations: readonly Delegation[]
  /** By name */
  readonly reviewRules: readonly RuleContent[]
  /** By file */
  readonly policies: readonly PolicyContent[]
  /** Message of the lock in force on a thing; undefined = none */
  lockOn(kind: LocksTable['target_kind'], id: string): string | undefined
}

export function roleNamed(directory: Directory, name: string): RoleContent | undefined {
  return directory.rolesByName.get(name)
}

/** The last view of each connection: the dialect's adapter is what it and all of its transactions share. */
const views = new WeakMap<object, View>()
/** The last view of each store that several connections have open */
const lastViews = new WeakMap<object, View>()

/**
 * The directory as of this read, exactly: what is kept from the last one is brought up to the chain's head of this very
 * transaction, whoever wrote it. Call it before the deed itself writes any of them.
 */
export async function loadDirectory(tx: Reader, now: number): Promise<Directory> {
  const { adapter } = tx.getExecutor()
  const store = adapter instanceof NodeSqliteAdapter ? adapter.store : adapter
  const before = views.get(adapter) ?? null
  const other = lastViews.get(store) ?? null
  const rows = await readKnownRows(tx, before?.rows ?? null, other?.rows ?? null)
  const known = fitting(before, rows, now) ?? fitting(other, rows, now)
  const view = known ? { ...known, rows } : viewRows(rows, now, before)
  // Another read may have come further in the meantime; the next one catches up from either.
  views.set(adapter, view)
  lastViews.set(store, view)
  return view.directory
}
