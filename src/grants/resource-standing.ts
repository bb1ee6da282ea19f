import type { LoginSessionsTable } from '../foundation/database/tables.ts'
import type { WorkingRole } from '../identity/node-access.ts'
import { accountsGiven } from '../identity/resource-access.ts'
import { rolesThatWouldHelp, type HelpfulRole } from '../identity/role-rules.ts'
import type { ResourceFacts } from '../resources/resource.ts'
import type { StoredGrant } from './stored-grant.ts'
import type { Snapshot, UserFacts } from './snapshot.ts'
import { lengthOf, waitsForUse } from './grant-clock.ts'
import { askableBy, personOf, rolesUsable } from './working-roles.ts'

/** What a user has of a resource and could have by asking. */
export interface ResourceStanding {
  /** What works now (logins of a node), sorted */
  readonly accounts: readonly string[]
  /** End of the last grant that gives something of it, if only grants do */
  readonly accessUntil: number | null
  readonly helpful: readonly HelpfulRole[]
}

/** For looking at many resources: what depends on the user alone is worked out once. Null: the user may not know of it. */
export function resourceStandings(
  view: Snapshot,
  user: UserFacts,
  login: LoginSessionsTable | null,
  now: number,
): (resource: ResourceFacts) => ResourceStanding | null {
  const roles = rolesUsable(view, user, login, now)
  const person = personOf(view, user, now)
  const askable = askableBy(view, user, now)
  return (resource) => {
    const given = accountsGiven(roles, resource)
    const helpful = rolesThatWouldHelp(person, askable, resource, null)
    if (given.size === 0 && helpful.length === 0) return null
    const accounts = [...new Set([...given.values()].flat())].sort()
    return { accounts, accessUntil: accessUntil(view, [...given.keys()], now), helpful }
  }
}

function accessUntil(view: Snapshot, giving: readonly WorkingRole[], now: number): number | null {
  const ends = giving.map(({ origin }) =>
    origin.kind === 'granted' ? endOf(view.grant(origin.grantId), now) : undefined,
  )
  const known = ends.filter((end) => end !== undefined)
  return known.length > 0 && known.length === giving.length ? Math.max(...known) : null
}

const endOf = (grant: StoredGrant | undefined, now: number): number | undefined =>
  grant && (waitsForUse(grant) ? now + lengthOf(grant) : grant.ends_at)
