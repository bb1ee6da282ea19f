import type { LocksTable } from '../../foundation/database/tables.ts'
import { onlyDenies, type RoleContent } from '../../identity/role-rules.ts'
import type { Directory, Member } from '../directory.ts'
import { LIMITS } from '../limits.ts'
import type { KnownRows, KnownUser } from './known-rows.ts'

/** The directory for a span of time in which no lock runs out. */
export interface View {
  readonly rows: KnownRows
  readonly directory: Directory
  /** It holds from here on ... */
  readonly from: number
  /** ... and not any more at this instant */
  readonly until: number
}

/** Null unless the view shows just these rows at this instant. */
export function fitting(view: View | null, rows: KnownRows, now: number): View | null {
  if (!view || now < view.from || now >= view.until) return null
  const { users, roles, locks, delegations, reviewRules, policies, installation } = view.rows
  const same =
    users === rows.users &&
    roles === rows.roles &&
    locks === rows.locks &&
    delegations === rows.delegations &&
    reviewRules === rows.reviewRules &&
    policies === rows.policies &&
    installation === rows.installation
  return same ? view : null
}

/** `before`: an earlier view; members that nothing has changed for are taken from it. */
export function viewRows(rows: KnownRows, now: number, before: View | null): View {
  const expiries = [...rows.locks.values()].flatMap((lock) => lock.expires_at ?? [])
  const from = Math.max(-Infinity, ...expiries.filter((at) => at <= now))
  const until = Math.min(Infinity, ...expiries.filter((at) => at > now))
  const locks = messagesInForce(rows.locks.values(), now)
  const lockOn: Directory['lockOn'] = (kind, id) => locks.get(`${kind}/${id}`)
  const roles = usable(rows.roles, lockOn)
  const reusable =
    before && fitting(before, { ...rows, users: before.rows.users, delegations: before.rows.delegations }, now)
      ? before
      : null
  const members = new Map<string, Member>()
  for (const user of rows.users.values()) {
    const isKnown = user.ownerId === null && reusable?.rows.users.get(user.id) === user
    const known = isKnown ? reusable.directory.members.get(user.id) : undefined
    members.set(user.id, known ?? memberOf(user, rows.users, roles, lockOn))
  }
  const rolesByName = new Map([...rows.roles.values()].map((role) => [role.name, role]))
  const directory = {
    installation: rows.installation,
    members,
    reviewers: [...members.values()].filter(mayReviewAnything).sort((a, b) => (a.name < b.name ? -1 : 1)),
    roles: rows.roles,
    rolesByName,
    // A request waits seven days at most: an older delegation decides about none that is pending.
    delegations: [...rows.delegations.values()].filter(({ endsAt }) => endsAt > now - LIMITS.pendingMs),
    reviewRules: [...rows.reviewRules.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
    policies: [...rows.policies.values()].sort((a, b) => (a.file < b.file ? -1 : 1)),
    lockOn,
  }
  return { rows, directory, from, until }
}

const mayReviewAnything = ({ standing, roles }: Member): boolean =>
  standing.kind === 'good' && roles.some(({ spec }) => (spec.allow.review_requests?.roles.length ?? 0) > 0)

function messagesInForce(locks: Iterable<LocksTable>, now: number): ReadonlyMap<string, string> {
  const inForce = [...locks].filter(
    (lock) => lock.target_kind === 'request' || lock.expires_at === null || lock.expires_at > now,
  )
  return new Map(inForce.map((lock) => [`${lock.target_kind}/${lock.target_id}`, lock.message]))
}

/** A locked role gives nothing to anybody, but what it denies stays denied. */
function usable(
  roles: ReadonlyMap<string, RoleContent>,
  lockOn: Directory['lockOn'],
): ReadonlyMap<string, RoleContent> {
  const held = [...roles.values()].map((role): [string, RoleContent] => {
    return [role.id, lockOn('role', role.id) === undefined ? role : { ...role, spec: onlyDenies(role.spec) }]
  })
  return new Map(held)
}

function memberOf(
  user: KnownUser,
  users: KnownRows['users'],
  roles: ReadonlyMap<string, RoleContent>,
  lockOn: Directory['lockOn'],
): Member {
  const { id, name, traits, votesCountFrom, disabledAt, disabled, ownerId } = user
  const ownersLock = ownerId === null ? undefined : lockOn('user', ownerId)
  return {
    id,
    name,
    traits,
    votesCountFrom,
    disabledAt,
    ownerId,
    roles: user.roleIds.flatMap((roleId) => roles.get(roleId) ?? []),
    standing:
      disabled || !isAnsweredFor(user, users) ? { kind: 'disabled' } : standingOf(lockOn('user', id) ?? ownersLock),
  }
}

/** A service account is worth nothing while its owner is gone or disabled. */
function isAnsweredFor({ ownerId }: KnownUser, users: KnownRows['users']): boolean {
  return ownerId === null || users.get(ownerId)?.disabled === false
}

function standingOf(lock: string | undefined): Member['standing'] {
  return lock === undefined ? { kind: 'good' } : { kind: 'locked', message: lock }
}
