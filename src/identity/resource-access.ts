import type { ResourceKind } from '../contract/common.ts'
import type { ResourceFacts } from '../resources/resource.ts'
import { databaseAccess } from './database-access.ts'
import { nodeAccess, type WorkingRole } from './node-access.ts'

/** What each role gives on a resource: logins of a node, db users of a database as the role names them. Roles that give nothing are not in it. */
export type AccountsGiven = ReadonlyMap<WorkingRole, readonly string[]>
type Rule = (roles: readonly WorkingRole[], resource: ResourceFacts) => AccountsGiven

/** One entry a kind; a kind without one is given by nobody. */
const RULES: Readonly<Record<ResourceKind, Rule | null>> = {
  node: loginsGiven,
  database: dbUsersGiven,
  kube_cluster: null,
  app: null,
}

/** After all denies, and within what each role is confined to. Each role gives it alone: parts of roles never combine. */
export function accountsGiven(roles: readonly WorkingRole[], resource: ResourceFacts): AccountsGiven {
  return RULES[resource.kind]?.(roles, resource) ?? new Map<WorkingRole, readonly string[]>()
}

function loginsGiven(roles: readonly WorkingRole[], resource: ResourceFacts): AccountsGiven {
  const given = new Map<WorkingRole, string[]>()
  for (const [login, giving] of nodeAccess(roles, resource).logins)
    for (const role of giving) given.set(role, [...(given.get(role) ?? []), login])
  return given
}

function dbUsersGiven(roles: readonly WorkingRole[], resource: ResourceFacts): AccountsGiven {
  return new Map(databaseAccess(roles, resource).map(({ role, users }) => [role, users]))
}
