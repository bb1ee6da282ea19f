import type { NamedResource, Narrowing } from '../../contract/request.ts'
import { Refused } from '../../foundation/errors.ts'
import type { WorkingRole } from '../../identity/node-access.ts'
import { matchesAny } from '../../identity/patterns.ts'
import { accountsGiven } from '../../identity/resource-access.ts'
import { askableRoles, rolesThatWouldHelp, type HelpfulRole, type RoleContent } from '../../identity/role-rules.ts'
import { absentResource, resourceKey, type ResourceFacts } from '../../resources/resource.ts'
import type { Directory, Member } from '../directory.ts'
import { lockOnResource } from '../lock-on-resource.ts'
import { LIMITS } from '../limits.ts'
import { routeResources } from '../route/route-resources.ts'

export interface ResourcesAsked {
  readonly resources: readonly NamedResource[]
  readonly narrowing: Narrowing | null
  /** Roles that were named; empty = they are worked out */
  readonly roles: readonly RoleContent[]
}

export interface ResourcePlan {
  readonly roles: readonly RoleContent[]
  /** Each once, sorted by id */
  readonly resources: readonly ResourceFacts[]
}

export type GiversOf = (resource: ResourceFacts) => HelpfulRole[]

/**
 * Which resources are meant, and which roles would give them. Roles that were named must be searchable and each must be
 * needed; else every searchable role that gives one of the resources is taken, and with a login for each resource the one
 * that gives it with the fewest others.
 * Errors: Refused with over_limit, resource_unknown, resource_not_requestable, login_not_allowed, db_user_not_allowed, locked.
 */
export function planResources(
  requester: Member,
  asked: ResourcesAsked,
  directory: Directory,
  found: ReadonlyMap<string, ResourceFacts>,
): ResourcePlan {
  const wanted = new Map(asked.resources.map((resource) => [resourceKey(resource), resource]))
  refuseTooMany([...wanted.keys()])
  const askable = askableRoles(requester, directory.roles.values())
  const giversOf: GiversOf = (resource) => rolesThatWouldHelp(requester, askable, resource, null)
  const known = [...wanted.values()].map((named) => knownResource(requester, named, directory, found, giversOf))
  const roles = asked.roles.length > 0 ? asked.roles : workedOut(known, asked.narrowing, directory)
  const resources = known.map(({ resource }) => resource).sort((a, b) => (a.id < b.id ? -1 : 1))
  refuseNotGiven(requester, roles, { resources, narrowing: asked.narrowing }, asked.roles.length > 0)
  return { roles, resources }
}

function refuseTooMany(keys: readonly string[]): void {
  const overflow = keys.slice(LIMITS.resources)
  if (overflow.length === 0) return
  const some = overflow.slice(0, 10).join(', ')
  throw new Refused(
    'over_limit',
    `a request names at most ${LIMITS.resources} resources; too many are: ${some}${overflow.length > 10 ? ' and more' : ''}`,
    'ask for fewer at once, or for a role',
  )
}

interface Known {
  readonly resource: ResourceFacts
  readonly givers: readonly HelpfulRole[]
}

/**
 * An absent resource and one that this user must not know of get the same answer by the same path. Whatever a grant gives
 * that works, its role still gives and may still be asked for: such a resource is known without a look at the grants.
 */
function knownResource(
  requester: Member,
  named: NamedResource,
  directory: Directory,
  found: ReadonlyMap<string, ResourceFacts>,
  giversOf: GiversOf,
): Known {
  const there = found.get(resourceKey(named))
  const resource = there ?? absentResource(named.kind, named.name)
  const givers = giversOf(resource)
  if (!there || !isKnownTo(requester, resource, givers))
    throw new Refused(
      'resource_unknown',
      `there is no ${resourceKey(named)} that you may use or ask for`,
      'sally request search shows what you may ask for',
      { resource: resourceKey(named) },
    )
  const lock = lockOnResource(directory, there)
  if (lock !== undefined) throw new Refused('locked', `${resourceKey(there)} is locked${lock ? `: ${lock}` : ''}`)
  return { resource: there, givers }
}

/** Nobody is told of a resource that they could neither use nor get at. */
export function isKnownTo(requester: Member, resource: ResourceFacts, givers: readonly HelpfulRole[]): boolean {
  return givers.length > 0 || accountsGiven(ownRoles(requester), resource).size > 0
}

function ownRoles(requester: Member): WorkingRole[] {
  return requester.roles.map(({ id, name, spec }) => {
    return { id, name, origin: { kind: 'own' }, specs: [spec], confinedTo: null }
  })
}

function workedOut(known: readonly Known[], narrowing: Narrowing | null, directory: Directory): RoleContent[] {
  const roles = new Map<string, RoleContent>()
  for (const { resource, givers } of known) {
    const searchable = givers.filter(({ asResource }) => asResource)
    if (searchable.length === 0) throw notRequestable(resource, givers)
    const usable = searchable.filter(({ role }) => directory.lockOn('role', role.id) === undefined)
    if (usable.length === 0)
      throw new Refused('locked', `what gives ${resourceKey(resource)} is locked: ${namesOf(searchable)}`)
    const account = accountFor(resource, narrowing)
    const taken = account === undefined ? usable : [narrowest(resource, usable, account)]
    for (const { role } of taken) roles.set(role.id, role)
  }
  return [...roles.values()]
}

/** What the request is narrowed to on a resource of this kind. */
const accountFor = ({ kind }: ResourceFacts, narrowing: Narrowing | null): string | undefined =>
  kind === 'database' ? narrowing?.dbUser : narrowing?.login

/** The givers come with the smallest first. */
function narrowest(resource: ResourceFacts, givers: readonly HelpfulRole[], account: string): HelpfulRole {
  const first = givers.find(({ accounts }) => matchesAny(accounts, account))
  if (first) return first
  const accounts = [...new Set(givers.flatMap((giver) => giver.accounts))].sort()
  const isDatabase = resource.kind === 'database'
  const word = isDatabase ? 'db user' : 'login'
  throw new Refused(
    isDatabase ? 'db_user_not_allowed' : 'login_not_allowed',
    `nothing that you may ask for gives the ${word} "${account}" on ${resourceKey(resource)}; ${word}s: ${accounts.join(', ')}`,
    `ask with --${isDatabase ? 'db-user' : 'login'}=${accounts[0]}, or without`,
  )
}

function notRequestable(resource: ResourceFacts, givers: readonly HelpfulRole[]): Refused {
  const whole = givers.filter(({ asRole }) => asRole)
  const key = resourceKey(resource)
  if (whole[0] === undefined)
    return new Refused('resource_not_requestable', `your own roles give ${key}; there is nothing to ask for`)
  return new Refused(
    'resource_not_requestable',
    `${key} cannot be asked for by itself, only with a role that gives it: ${namesOf(whole)}`,
    `sally request create --roles=${whole[0].role.name}`,
  )
}

const namesOf = (givers: readonly HelpfulRole[]): string => givers.map(({ role }) => role.name).join(', ')

/** Roles that were named are not pruned: one that gives nothing of it is an error. */
function refuseNotGiven(requester: Member, roles: readonly RoleContent[], wanted: Given, wereNamed: boolean): void {
  const current = new Map(wanted.resources.map((resource) => [resource.id, resource]))
  const routed = routeResources(requester, roles, wanted, current)
  const { login, dbUser } = wanted.narrowing ?? {}
  const narrowed = [
    ...(login === undefined ? [] : [`the login "${login}"`]),
    ...(dbUser === undefined ? [] : [`the db user "${dbUser}"`]),
  ]
  const within = narrowed.length === 0 ? '' : ` with ${narrowed.join(' and ')}`
  const hint = wereNamed ? 'leave --roles out: the roles are worked out' : 'ask for them one by one'
  const missing = routed.find(({ roleIds }) => roleIds.length === 0)
  if (missing) {
    const text = `none of these roles gives ${resourceKey(missing)}${within}: ${roles.map(({ name }) => name).join(', ')}`
    throw new Refused('resource_not_requestable', text, hint, { resource: resourceKey(missing) })
  }
  const idle = roles.find((role) => !routed.some(({ roleIds }) => roleIds.includes(role.id)))
  if (!idle) return
  const text = `the role "${idle.name}" gives none of these resources${within}`
  throw new Refused('resource_not_requestable', text, hint, { role: idle.name })
}

interface Given {
  readonly resources: readonly ResourceFacts[]
  readonly narrowing: Narrowing | null
}
