import type { Narrowing } from '../../contract/request.ts'
import type { PinnedResource } from '../../grants/stored-grant.ts'
import { accountsGiven } from '../../identity/resource-access.ts'
import { asIfGranted, deniesOf, type Person, type RoleContent } from '../../identity/role-rules.ts'
import type { Labels } from '../../resources/label-matching.ts'
import type { ResourceFacts } from '../../resources/resource.ts'

/** A requested resource with everything that decides whether and by which roles it would be given now. */
export interface RoutedResource extends PinnedResource {
  /** What it is now; null = it was removed */
  readonly now: { readonly labels: Labels; readonly identity: string } | null
  /** Ids of the requested roles that give it to the requester, sorted; the roles count as those of one grant */
  readonly roleIds: readonly string[]
}

/** `current`: by id, those that still exist. */
export function routeResources(
  requester: Person | undefined,
  roles: readonly RoleContent[],
  { resources, narrowing }: Wanted,
  current: ReadonlyMap<string, ResourceFacts>,
): RoutedResource[] {
  if (resources.length === 0) return []
  const own = requester ? deniesOf(requester) : []
  const asked = requester ? roles.map((role) => asIfGranted(role, { resources: null, narrowing })) : []
  return resources.map(({ kind, id, name }) => {
    const facts = current.get(id)
    if (!facts) return { kind, id, name, now: null, roleIds: [] }
    const giving = [...accountsGiven([...own, ...asked], facts).keys()]
    const roleIds = giving.map((role) => role.id).sort()
    return { kind, id, name, now: { labels: facts.labels, identity: facts.identity }, roleIds }
  })
}

/** What a request names besides its roles. */
export interface Wanted {
  readonly resources: readonly PinnedResource[]
  readonly narrowing: Narrowing | null
}

/** As a grant pins them: what they are while it is decided. Those that are gone are left out. */
export function asPinned(routed: readonly RoutedResource[]): ResourceFacts[] {
  return routed.flatMap(({ kind, id, name, now }) => (now === null ? [] : [{ kind, id, name, ...now }]))
}
