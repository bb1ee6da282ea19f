import type { ResourceFacts } from '../resources/resource.ts'
import type { WorkingRole } from './node-access.ts'

const MOST_PER_ROLES = 200

/**
 * Remembers what these very roles give on this very resource: both are replaced as objects when anything of them changes. What
 * gives nothing is worked out each time, so that how long a refusal takes does not tell whether there is such a resource.
 */
export function rememberAccess<A>(
  work: (roles: readonly WorkingRole[], resource: ResourceFacts) => A,
  givesSomething: (access: A) => boolean,
): (roles: readonly WorkingRole[], resource: ResourceFacts) => A {
  const known = new WeakMap<readonly WorkingRole[], Map<ResourceFacts, A>>()
  return (roles, resource) => {
    const ofRoles = known.get(roles)
    const remembered = ofRoles?.get(resource)
    if (remembered !== undefined) return remembered
    const access = work(roles, resource)
    if (!givesSomething(access)) return access
    if (!ofRoles || ofRoles.size >= MOST_PER_ROLES) known.set(roles, new Map([[resource, access]]))
    else ofRoles.set(resource, access)
    return access
  }
}
