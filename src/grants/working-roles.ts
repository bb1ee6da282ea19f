import type { LoginSessionsTable } from '../foundation/database/tables.ts'
import { bindsToLogin, type WorkingRole } from '../identity/node-access.ts'
import { mayRequest, onlyDenies, type Person } from '../identity/role-rules.ts'
import type { Snapshot, UserFacts } from './snapshot.ts'
import { askedAs, confinementOf, type PinnedRole, type StoredGrant } from './stored-grant.ts'

export interface RolesAtWork {
  readonly roles: readonly WorkingRole[]
  /** Grants that would count but for a lock or a lost permission, with the reason */
  readonly suspended: readonly { readonly grant: StoredGrant; readonly why: string }[]
}

/** A user's own roles, and those of grants that are running, not suspended and bound to this login session where they must be. */
export function rolesAtWork(
  view: Snapshot,
  user: UserFacts,
  login: LoginSessionsTable | null,
  now: number,
): RolesAtWork {
  const person = personOf(view, user, now)
  const granted: WorkingRole[] = []
  const suspended: { grant: StoredGrant; why: string }[] = []
  for (const grant of view.grantsOf(user.id)) {
    if (grant.state === 'ended' || grant.starts_at > now || grant.ends_at <= now) continue
    const lock = view.lockOn('request', grant.request_id, now)
    if (lock) {
      suspended.push({ grant, why: lock.message === '' ? 'its request is locked' : lock.message })
      continue
    }
    for (const pinned of grant.roles) {
      const role = grantedRole(view, grant, pinned, now)
      if (!role || (bindsToLogin(role) && !worksFromLogin(grant, login))) continue
      const current = view.role(pinned.id)
      if (current && mayRequest(person, current, askedAs(grant)).ok) granted.push(role)
      else suspended.push({ grant, why: `${user.name} may not request ${pinned.name} any more` })
    }
  }
  return { roles: [...ownRoles(view, user, now), ...granted], suspended }
}

/** The user with own roles in their current revision, for the rules about asking and reviewing. A locked role only takes away. */
export function personOf(view: Snapshot, user: UserFacts, now: number): Person {
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

/** Pinned revision and current one, both of which must give what is used; null when the role is gone or locked. */
function grantedRole(view: Snapshot, grant: StoredGrant, pinned: PinnedRole, now: number): WorkingRole | null {
  const current = view.role(pinned.id)
  const revision = view.revision(pinned.id, pinned.revision)
  if (!current || !revision || view.lockOn('role', pinned.id, now)) return null
  return {
    id: pinned.id,
    name: pinned.name,
    origin: { kind: 'granted', grantId: grant.id },
    specs: current.revision === pinned.revision ? [current.spec] : [revision, current.spec],
    confinedTo: confinementOf(grant),
  }
}

function worksFromLogin(grant: StoredGrant, login: LoginSessionsTable | null): boolean {
  if (!login) return false
  if (grant.login_id === login.id) return true
  return login.created_at >= grant.starts_at && login.second_factor_at !== null
}
