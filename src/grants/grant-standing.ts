import type { GrantsTable } from '../foundation/database/tables.ts'
import { mayRequest, type Person, type RoleContent } from '../identity/role-rules.ts'
import { approvedAt, clockEnd, hasStarted } from './grant-clock.ts'

/** A grant with everything that decides what it gives now. Undefined members are gone. */
export interface GrantNow {
  readonly grant: Pick<GrantsTable, 'state' | 'starts_at' | 'ends_at' | 'use_by' | 'use_length_ms' | 'approved_at'>
  /** `disabledAt`: kept when enabled again */
  readonly owner:
    | {
        readonly person: Person
        readonly disabled: boolean
        readonly disabledAt: number | null
        readonly locked: boolean
      }
    | undefined
  readonly requestLocked: boolean
  readonly roles: readonly {
    readonly id: string
    readonly name: string
    readonly current: RoleContent | undefined
    readonly locked: boolean
  }[]
}

export type GrantStanding =
  | {
      readonly kind: 'over'
      readonly reason: 'ended' | 'expired' | 'lapsed' | 'user_removed' | 'role_deleted' | 'locked'
    }
  | { readonly kind: 'not_started' }
  | { readonly kind: 'suspended'; readonly why: string }
  /** `roleIds`: those that give something; `why`: what the others lack */
  | { readonly kind: 'gives'; readonly roleIds: readonly string[]; readonly why: string | null }

/**
 * What a grant is worth at `now`. For good: its end, a removed or disabled owner, no role left, a lock on its request. For the
 * moment, while its clock runs on: a lock on the owner or a role, and a role that the owner may no longer ask for.
 */
export function grantStanding(grant: GrantNow, now: number): GrantStanding {
  const over = overFor(grant, now)
  if (over) return { kind: 'over', reason: over }
  if (!hasStarted(grant.grant, now) || !grant.owner) return { kind: 'not_started' }
  if (grant.owner.locked) return { kind: 'suspended', why: 'the user is locked' }
  const { person } = grant.owner
  const judged = grant.roles.map((role) => ({ id: role.id, why: whyRoleGivesNothing(role, person) }))
  const roleIds = judged.flatMap(({ id, why }) => (why === null ? [id] : []))
  const why = judged.flatMap((role) => role.why ?? []).join('; ')
  return roleIds.length === 0 ? { kind: 'suspended', why } : { kind: 'gives', roleIds, why: why || null }
}

function overFor(grant: GrantNow, now: number): Extract<GrantStanding, { kind: 'over' }>['reason'] | null {
  if (grant.grant.state === 'ended') return 'ended'
  const end = clockEnd(grant.grant)
  if (now >= end.at) return end.reason
  if (!grant.owner || grant.owner.disabled || wasDisabledSince(grant.owner.disabledAt, grant.grant))
    return 'user_removed'
  if (grant.requestLocked) return 'locked'
  return grant.roles.every((role) => !role.current) ? 'role_deleted' : null
}

/** Disabling ends for good what was given before, however soon the account is enabled again. */
export function wasDisabledSince(disabledAt: number | null, grant: Parameters<typeof approvedAt>[0]): boolean {
  return disabledAt !== null && approvedAt(grant) <= disabledAt
}

function whyRoleGivesNothing({ name, current, locked }: GrantNow['roles'][number], owner: Person): string | null {
  if (!current) return `the role ${name} was deleted`
  if (locked) return `the role ${name} is locked`
  return mayRequest(owner, current).ok ? null : `the role ${name} may no longer be asked for`
}
