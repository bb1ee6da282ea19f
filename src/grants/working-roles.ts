import type { RoleSpec } from '../contract/role.ts'
import { bindsToLogin, type WorkingRole } from '../identity/node-access.ts'
import type { LoginSessionsTable } from '../foundation/database/tables.ts'
import type { GrantFacts, PinnedRole, Snapshot, UserFacts } from './snapshot.ts'

/** Pure rule of role-rules.ts, given in so that this file needs no more than the snapshot. */
export type MayRequest = (user: UserFacts, ownSpecs: readonly RoleSpec[], roleName: string) => boolean

export interface RolesAtWork {
  readonly roles: readonly WorkingRole[]
  /** Grants that would count but for a lock or a lost permission, with the reason */
  readonly suspended: readonly { readonly grant: GrantFacts; readonly why: string }[]
}

/** A user's own roles, and those of grants that are running, not suspended and bound to this login session where they must be. */
export function rolesAtWork(
  view: Snapshot,
  user: UserFacts,
  login: LoginSessionsTable | null,
  now: number,
  mayRequest: MayRequest,
): RolesAtWork {
  const own = ownRoles(view, user, now)
  const ownSpecs = own.flatMap((role) => role.specs)
  const granted: WorkingRole[] = []
  const suspended: { grant: GrantFacts; why: string }[] = []
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
      if (mayRequest(user, ownSpecs, pinned.name)) granted.push(role)
      else suspended.push({ grant, why: `${user.name} may not request ${pinned.name} any more` })
    }
  }
  return { roles: [...own, ...granted], suspended }
}

export function ownRoles(view: Snapshot, user: UserFacts, now: number): WorkingRole[] {
  return user.roleIds.flatMap((id) => {
    const role = view.role(id)
    if (!role || view.lockOn('role', id, now)) return []
    return [{ id, name: role.name, origin: { kind: 'own' as const }, specs: [role.spec] }]
  })
}

/** Pinned revision and current one, both of which must give what is used; null when the role is gone or locked. */
function grantedRole(view: Snapshot, grant: GrantFacts, pinned: PinnedRole, now: number): WorkingRole | null {
  const current = view.role(pinned.id)
  const revision = view.revision(pinned.id, pinned.revision)
  if (!current || !revision || view.lockOn('role', pinned.id, now)) return null
  return {
    id: pinned.id,
    name: pinned.name,
    origin: { kind: 'granted', grantId: grant.id },
    specs: current.revision === pinned.revision ? [current.spec] : [revision, current.spec],
  }
}

function worksFromLogin(grant: GrantFacts, login: LoginSessionsTable | null): boolean {
  if (!login) return false
  if (grant.login_id === login.id) return true
  return login.created_at >= grant.starts_at && login.second_factor_at !== null
}
