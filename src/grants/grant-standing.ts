import type { GrantsTable } from '../foundation/database/tables.ts'
import type { RoleSpec } from '../contract/role.ts'
import type { Confinement, WorkingRole } from '../identity/node-access.ts'
import { accountsGiven } from '../identity/resource-access.ts'
import { deniesOf, mayRequest, type Asking, type Person, type RoleContent } from '../identity/role-rules.ts'
import { resourceKey, type ResourceFacts } from '../resources/resource.ts'
import { placeTrouble } from './place-trouble.ts'
import { askedAs } from './stored-grant.ts'
import { approvedAt, clockEnd, hasStarted } from './grant-clock.ts'

/** A grant with everything that decides what it gives now. Undefined members are gone. */
export interface GrantNow {
  readonly grant: Pick<
    GrantsTable,
    'kind' | 'state' | 'starts_at' | 'ends_at' | 'use_by' | 'use_length_ms' | 'approved_at'
  >
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
    /** The revision it pins; asked for where there are places */
    readonly pinned: RoleSpec | undefined
  }[]
  readonly confinedTo: Confinement | null
  /** Of a resource grant: each resource as it was pinned and as it is. Null: whatever the roles give */
  readonly places: readonly Place[] | null
}

export interface Place {
  readonly pin: ResourceFacts
  readonly current: ResourceFacts | undefined
  readonly locked: boolean
}

export type GrantStanding =
  | {
      readonly kind: 'over'
      readonly reason: 'ended' | 'expired' | 'lapsed' | 'user_removed' | 'role_deleted' | 'resource_deleted' | 'locked'
    }
  | { readonly kind: 'not_started' }
  | { readonly kind: 'suspended'; readonly why: string }
  /** `roleIds`: those that give something; `why`: what the others lack */
  | { readonly kind: 'gives'; readonly roleIds: readonly string[]; readonly why: string | null }

/**
 * What a grant is worth at `now`. For good: its end, a removed or disabled owner, no role or no resource left, a lock on its
 * request. For the moment, while its clock runs on: a lock on the owner, a role or a resource, a role that the owner may no
 * longer ask for, a resource that is not what it was.
 */
export function grantStanding(grant: GrantNow, now: number): GrantStanding {
  const over = overFor(grant, now)
  if (over) return { kind: 'over', reason: over }
  if (!hasStarted(grant.grant, now) || !grant.owner) return { kind: 'not_started' }
  if (grant.owner.locked) return { kind: 'suspended', why: 'the user is locked' }
  const { person } = grant.owner
  const asking = askedAs({ kind: grant.grant.kind, resources: grant.places ?? [] })
  const judged = grant.roles.map((role) => ({ role, why: whyRoleGivesNothing(role, person, asking) }))
  const able = judged.flatMap(({ role, why }) => (why === null ? [role] : []))
  const atPlaces = grant.places === null ? null : judgePlaces(grant, able, grant.places, person)
  const roleIds = atPlaces?.roleIds ?? able.map(({ id }) => id)
  const why = [...judged.flatMap((role) => role.why ?? []), ...(atPlaces?.whys ?? [])].join('; ')
  return roleIds.length === 0 ? { kind: 'suspended', why } : { kind: 'gives', roleIds, why: why || null }
}

function overFor(grant: GrantNow, now: number): Extract<GrantStanding, { kind: 'over' }>['reason'] | null {
  if (grant.grant.state === 'ended') return 'ended'
  const end = clockEnd(grant.grant)
  if (now >= end.at) return end.reason
  if (!grant.owner || grant.owner.disabled || wasDisabledSince(grant.owner.disabledAt, grant.grant))
    return 'user_removed'
  if (grant.requestLocked) return 'locked'
  if (grant.roles.every((role) => !role.current)) return 'role_deleted'
  return grant.places?.every(({ current }) => !current) ? 'resource_deleted' : null
}

const WHYS_AT_MOST = 3

/** Which of the roles give something at one of the places, and what ails the places that get nothing. */
function judgePlaces(
  { confinedTo }: GrantNow,
  roles: GrantNow['roles'],
  places: readonly Place[],
  owner: Person,
): { readonly roleIds: readonly string[]; readonly whys: readonly string[] } {
  const working = roles.map(({ id, name, current, pinned }): WorkingRole => {
    const specs = current && pinned ? [pinned, current.spec] : []
    return { id, name, origin: { kind: 'granted', grantId: '' }, specs, confinedTo }
  })
  const all = [...deniesOf(owner), ...working]
  const judged = places.map((place) => ({ place, giving: place.current && accountsGiven(all, place.current) }))
  const giving = new Set(judged.flatMap((each) => [...(each.giving?.keys() ?? [])].map(({ id }) => id)))
  const whys = judged.flatMap((each) => whyPlaceGivesNothing(each.place, each.giving?.size ?? 0) ?? [])
  const more = whys.length - WHYS_AT_MOST
  return {
    roleIds: roles.flatMap(({ id }) => (giving.has(id) ? [id] : [])),
    whys: more > 0 ? [...whys.slice(0, WHYS_AT_MOST), `and ${more} more`] : whys,
  }
}

function whyPlaceGivesNothing({ pin, current, locked }: Place, giving: number): string | null {
  if (locked) return `${resourceKey(pin)} is locked`
  if (giving > 0) return null
  return placeTrouble(pin, current) ?? `${resourceKey(pin)} is given by none of its roles any more`
}

/** Disabling ends for good what was given before, however soon the account is enabled again. */
export function wasDisabledSince(disabledAt: number | null, grant: Parameters<typeof approvedAt>[0]): boolean {
  return disabledAt !== null && approvedAt(grant) <= disabledAt
}

function whyRoleGivesNothing(
  { name, current, locked }: GrantNow['roles'][number],
  owner: Person,
  asking: Asking,
): string | null {
  if (!current) return `the role ${name} was deleted`
  if (locked) return `the role ${name} is locked`
  return mayRequest(owner, current, asking).ok ? null : `the role ${name} may no longer be asked for`
}
