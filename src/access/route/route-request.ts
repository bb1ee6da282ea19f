import { factsDigest } from '../../formats/request-digest.ts'
import { rolesOfRule } from '../automate/judge-rules.ts'
import type { Directory } from '../directory.ts'
import {
  capOf,
  mayRequest,
  thresholdSetsOf,
  type Person,
  type RoleContent,
  type Asking,
  type ThresholdSet,
} from '../../identity/role-rules.ts'
import { askedAs } from '../../grants/stored-grant.ts'
import type { ResourceFacts } from '../../resources/resource.ts'
import { routeResources, type RoutedResource, type Wanted } from './route-resources.ts'

/** A requested role with everything that decides about it now. */
export interface RoutedRole {
  readonly id: string
  readonly name: string
  /** Current revision; 0 = the role is gone */
  readonly revision: number
  readonly contentHash: string
  /** Whether the requester may ask for it now: without that nothing approves it */
  readonly requestable: boolean
  readonly capMs: number
  /** Own role of the requester that sets the cap; null = the default */
  readonly cappedBy: string | null
  /** Each of them must be met */
  readonly sets: readonly ThresholdSet[]
}

/** The facts document: what decides about the request, with the rules that speak about it and the policies by hash. */
export interface RequestFacts {
  readonly roles: readonly RoutedRole[]
  /** Sorted by id */
  readonly resources: readonly RoutedResource[]
  readonly rules: readonly { readonly id: string; readonly contentHash: string }[]
  readonly policies: readonly { readonly file: string; readonly contentHash: string }[]
}

export interface RoutedContent extends Wanted {
  /** Left out: whatever the resources say */
  readonly kind?: string
  readonly roles: readonly { readonly id: string; readonly name: string }[]
}

/**
 * Works out, for each requested role, which thresholds the requester's own roles bring along, and by which roles each
 * requested resource would be given. Undefined: person or role gone. `current`: requested resources that still exist, by id.
 */
export function routeRequest(
  requester: Person | undefined,
  requested: RoutedContent,
  directory: Known,
  current: ReadonlyMap<string, ResourceFacts>,
): RequestFacts {
  if (!requester || requested.resources.length > 0) return routeAnew(requester, requested, directory, current)
  const key = `${askedAs(requested)} ${requested.roles.map(({ id, name }) => `${id} ${name}`).join('\n')}`
  const ofDirectory = routed.get(directory) ?? new WeakMap<Person, Map<string, RequestFacts>>()
  const ofPerson = ofDirectory.get(requester) ?? new Map<string, RequestFacts>()
  const known = ofPerson.get(key)
  if (known) return known
  const facts = routeAnew(requester, requested, directory, current)
  if (ofPerson.size >= MOST_ROUTED) ofPerson.clear()
  routed.set(directory, ofDirectory.set(requester, ofPerson.set(key, facts)))
  return facts
}

type Known = Pick<Directory, 'roles' | 'reviewRules' | 'policies'>

/** Of requests for roles alone. Directory, person and facts are never changed: while the first two stay, the last does. */
const routed = new WeakMap<Known, WeakMap<Person, Map<string, RequestFacts>>>()
/** Kept for one person */
const MOST_ROUTED = 100

function routeAnew(
  requester: Person | undefined,
  requested: RoutedContent,
  { roles, reviewRules, policies }: Known,
  current: ReadonlyMap<string, ResourceFacts>,
): RequestFacts {
  const asking = askedAs(requested)
  const contents = requested.roles.flatMap(({ id }) => roles.get(id) ?? [])
  return {
    roles: requested.roles.map((role) => routeRole(requester, role, roles.get(role.id), asking)),
    resources: routeResources(requester, contents, requested, current),
    rules: reviewRules
      .filter((rule) => rolesOfRule(rule, requested.roles).length > 0)
      .map(({ id, contentHash }) => ({ id, contentHash })),
    policies: policies.map(({ file, contentHash }) => ({ file, contentHash })),
  }
}

function routeRole(
  requester: Person | undefined,
  { id, name }: { readonly id: string; readonly name: string },
  current: RoleContent | undefined,
  asking: Asking,
): RoutedRole {
  const answer = requester && current ? mayRequest(requester, current, asking) : null
  const now = {
    id,
    name: current?.name ?? name,
    revision: current?.revision ?? 0,
    contentHash: current?.contentHash ?? '',
  }
  if (!answer?.ok) return { ...now, requestable: false, capMs: 0, cappedBy: null, sets: [] }
  const cap = capOf(answer.blocks)
  return { ...now, requestable: true, capMs: cap.ms, cappedBy: cap.setBy, sets: thresholdSetsOf(answer.blocks) }
}

/** Changes with thresholds, caps, role contents, and what the resources are and by which roles they are given; not with who may vote, which is looked up anew at each count. */
export function digestOfFacts(facts: RequestFacts): string {
  const known = digests.get(facts)
  if (known !== undefined) return known
  const digest = digestAnew(facts)
  digests.set(facts, digest)
  return digest
}

const digests = new WeakMap<RequestFacts, string>()

function digestAnew(facts: RequestFacts): string {
  const roles = facts.roles.map(({ id, contentHash, requestable, capMs, sets }) => ({
    id,
    contentHash,
    requestable,
    capMs,
    sets,
  }))
  const resources = facts.resources.map(({ kind, id, now, roleIds }) => ({ kind, id, now, roleIds }))
  return factsDigest({
    roles,
    ...(resources.length === 0 ? {} : { resources }),
    rules: facts.rules,
    policies: facts.policies,
  })
}

export interface LongestDuration {
  readonly ms: number
  /** Requested role that caps, and the own role that says so (null = default) */
  readonly role: string
  readonly setBy: string | null
}

/** The smallest cap over the requested roles, whatever their order. */
export function longestDuration(facts: RequestFacts): LongestDuration | null {
  return facts.roles.reduce<LongestDuration | null>(
    (least, role) =>
      least && least.ms <= role.capMs ? least : { ms: role.capMs, role: role.name, setBy: role.cappedBy },
    null,
  )
}
