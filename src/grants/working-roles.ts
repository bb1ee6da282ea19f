import type { LoginSessionsTable } from '../foundation/database/tables.ts'
import { bindsToLogin, type WorkingRole } from '../identity/node-access.ts'
import { askableRoles, mayRequest, onlyDenies, type AskableRole, type Person } from '../identity/role-rules.ts'
import { approvedAt, clockEnd, hasStarted, mayStartAt } from './grant-clock.ts'
import { wasDisabledSince } from './grant-standing.ts'
import { RememberedByMoment } from './moment.ts'
import type { Snapshot, UserFacts } from './snapshot.ts'
import { askedAs, confinementOf, type PinnedRole, type StoredGrant } from './stored-grant.ts'

export interface RolesAtWork {
  readonly roles: readonly WorkingRole[]
  /** Grants that would count but for a lock or a lost permission, with the reason */
  readonly suspended: readonly Suspended[]
}

export interface Suspended {
  readonly grant: StoredGrant
  /** What it would give */
  readonly roles: readonly WorkingRole[]
  readonly why: string
}

/**
 * A user's own roles, and those of grants that are running, not suspended and bound to this login session where they must be.
 * `using`: as if these grants, which wait for their first use, were used now.
 */
export function rolesAtWork(
  view: Snapshot,
  user: UserFacts,
  login: LoginSessionsTable | null,
  now: number,
  using: ReadonlySet<string> = NOTHING,
): RolesAtWork {
  const workOut = (): RolesAtWork => workOutRoles(view, user, login, now, using)
  const isCurrent = view.user(user.id) === user && (login === null || view.login(login.id) === login)
  return isCurrent && using.size === 0 ? atWork.of(view.moment(user.id, now), login?.id ?? '', workOut) : workOut()
}

const atWork = new RememberedByMoment<RolesAtWork>()

function workOutRoles(
  view: Snapshot,
  user: UserFacts,
  login: LoginSessionsTable | null,
  now: number,
  using: ReadonlySet<string>,
): RolesAtWork {
  const person = personOf(view, user, now)
  const granted: WorkingRole[] = []
  const suspended: Suspended[] = []
  for (const grant of view.grantsOf(user.id)) {
    if (!isRunning(grant, user, using, now)) continue
    const lock = view.lockOn('request', grant.request_id, now)
    if (lock) {
      const roles = grant.roles.flatMap((pinned) => grantedRole(view, grant, pinned) ?? [])
      suspended.push({ grant, roles, why: lock.message === '' ? 'its request is locked' : lock.message })
      continue
    }
    for (const pinned of grant.roles) {
      const role = grantedRole(view, grant, pinned)
      const roleLock = view.role(pinned.id) && view.lockOn('role', pinned.id, now)
      if (roleLock) {
        const message = roleLock.message === '' ? '' : `: ${roleLock.message}`
        suspended.push({ grant, roles: role ? [role] : [], why: `the role ${pinned.name} is locked${message}` })
        continue
      }
      if (!role || (bindsToLogin(role) && !worksFromLogin(grant, login))) continue
      const current = view.role(pinned.id)
      if (current && mayRequest(person, current, askedAs(grant)).ok) granted.push(role)
      else suspended.push({ grant, roles: [role], why: `${user.name} may not request ${pinned.name} any more` })
    }
  }
  return { roles: [...ownRoles(view, user, now), ...granted], suspended }
}

const NOTHING: ReadonlySet<string> = new Set()

function isRunning(grant: StoredGrant, user: UserFacts, using: ReadonlySet<string>, now: number): boolean {
  if (grant.state === 'ended' || clockEnd(grant).at <= now || wasDisabledSince(user.disabledAt, grant)) return false
  return hasStarted(grant, now) || (using.has(grant.id) && mayStartAt(grant, now))
}

/** Grants that would start now if they were used: those that lapse first come first, of these the one that was approved first. */
export function waitingGrants(view: Snapshot, user: UserFacts, now: number): StoredGrant[] {
  return [...view.grantsOf(user.id)]
    .filter((grant) => mayStartAt(grant, now))
    .sort((a, b) => clockEnd(a).at - clockEnd(b).at || (a.id < b.id ? -1 : 1))
}

/** Those of rolesAtWork and, as a connection would start their clocks, of grants that wait for their first use. */
export function rolesUsable(
  view: Snapshot,
  user: UserFacts,
  login: LoginSessionsTable | null,
  now: number,
): readonly WorkingRole[] {
  const waiting = waitingGrants(view, user, now)
  return rolesAtWork(view, user, login, now, new Set(waiting.map(({ id }) => id))).roles
}

/** The user with own roles in their current revision, for the rules about asking and reviewing. A locked role only takes away. */
export function personOf(view: Snapshot, user: UserFacts, now: number): Person {
  const workOut = (): Person => workOutPerson(view, user, now)
  return view.user(user.id) === user ? people.of(view.moment(user.id, now), '', workOut) : workOut()
}

const people = new RememberedByMoment<Person>()

/** What the user may ask for, of all roles there are. */
export function askableBy(view: Snapshot, user: UserFacts, now: number): readonly AskableRole[] {
  const workOut = (): readonly AskableRole[] => askableRoles(personOf(view, user, now), view.roles())
  return view.user(user.id) === user ? askable.of(view.moment(user.id, now), '', workOut) : workOut()
}

const askable = new RememberedByMoment<readonly AskableRole[]>()

function workOutPerson(view: Snapshot, user: UserFacts, now: number): Person {
  const { id, name, traits } = user
  const roles = user.roleIds.flatMap((roleId) => {
    const role = view.role(roleId)
    if (!role) return []
    return [view.lockOn('role', roleId, now) ? { ...role, spec: onlyDenies(role.spec) } : role]
  })
  return { id, name, traits, roles }
}

function ownRoles(view: Snapshot, user: UserFacts, now: number): WorkingRole[] {
  return personOf(view, user, now).roles.map(({ id, name, spec }) => ({
    id,
    name,
    origin: { kind: 'own' as const },
    specs: [spec],
    confinedTo: null,
  }))
}

/** Pinned revision and current one, both of which must give what is used; null when the role is gone. */
function grantedRole(view: Snapshot, grant: StoredGrant, pinned: PinnedRole): WorkingRole | null {
  const current = view.role(pinned.id)
  const revision = view.revision(pinned.id, pinned.revision)
  if (!current || !revision) return null
  return {
    id: pinned.id,
    name: pinned.name,
    origin: { kind: 'granted', grantId: grant.id, ...(grant.kind === 'break_glass' ? { unasked: true } : {}) },
    specs: current.revision === pinned.revision ? [current.spec] : [revision, current.spec],
    confinedTo: confinementOf(grant),
  }
}

function worksFromLogin(grant: StoredGrant, login: LoginSessionsTable | null): boolean {
  if (!login) return false
  if (grant.login_id === login.id) return true
  return login.created_at >= approvedAt(grant) && login.second_factor_at !== null
}
