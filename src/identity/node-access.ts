import type { Narrowing } from '../contract/request.ts'
import type { RoleSpec } from '../contract/role.ts'
import type { RefusalCode } from '../contract/errors.ts'
import { selectsLabels, type Labels } from '../resources/label-matching.ts'
import type { ResourceFacts } from '../resources/resource.ts'
import { mergeDatabaseOptions, type MergedDatabaseOptions } from './database-options.ts'
import { matchesPattern } from './patterns.ts'
import { shortest } from './shortest.ts'

/** Where a role comes from decides how far its denies reach. */
export type RoleOrigin =
  | { readonly kind: 'own' }
  /** `unasked`: taken in an emergency */
  | { readonly kind: 'granted'; readonly grantId: string; readonly unasked?: true }

/**
 * A role as it works now. A granted role has two specs, the pinned revision and the current one: whatever it gives must be
 * given by every spec, so an edit can narrow a live grant and never widen it. A role without specs gives nothing.
 */
export interface WorkingRole {
  readonly id: string
  readonly name: string
  readonly origin: RoleOrigin
  readonly specs: readonly RoleSpec[]
  /** Null: wherever its labels say, with all its logins */
  readonly confinedTo: Confinement | null
}

/** What a grant was narrowed to when it was asked for. */
export interface Confinement {
  /** As they were at approval; null = not confined to resources */
  readonly resources: readonly ResourceFacts[] | null
  readonly narrowing: Narrowing | null
}

/** The logins of one node, each with the roles that give it alone. */
export interface NodeAccess {
  readonly logins: ReadonlyMap<string, readonly WorkingRole[]>
}

/** Which logins each single role gives on a node, after all denies. Parts of roles never combine. */
export function nodeAccess(roles: readonly WorkingRole[], node: ResourceFacts): NodeAccess {
  const logins = new Map<string, WorkingRole[]>()
  for (const role of roles) {
    const seen = labelsSeen(role, node)
    const given = loginsGivenAlone(role, seen)
    if (given.length === 0) continue
    const denying = roles.filter((other) => deniesReach(other.origin, role.origin))
    if (denying.some((other) => other.specs.some((spec) => selectsOneOf(spec.deny.node_labels, seen)))) continue
    const deniedLogins = new Set(denying.flatMap((other) => other.specs.flatMap((spec) => spec.deny.logins)))
    for (const login of given) {
      if (!deniedLogins.has(login)) logins.set(login, [...(logins.get(login) ?? []), role])
    }
  }
  return { logins: new Map([...logins].sort(([a], [b]) => (a < b ? -1 : 1))) }
}

/**
 * The labels under which the role must give the resource: those it has, and for a pinned one also those it had at approval. So
 * a resource labelled anew is given by no role that did not give it then. None: the role is confined to other things.
 */
export function labelsSeen({ confinedTo }: WorkingRole, resource: ResourceFacts): readonly Labels[] {
  if (!confinedTo?.resources) return [resource.labels]
  const pin = confinedTo.resources.find(({ kind, id }) => kind === resource.kind && id === resource.id)
  return pin && pin.identity === resource.identity ? [resource.labels, pin.labels] : []
}

type Selector = RoleSpec['allow']['node_labels']

export const selectsEach = (selector: Selector, seen: readonly Labels[]): boolean =>
  seen.length > 0 && seen.every((labels) => selectsLabels(selector, labels, matchesPattern))

export const selectsOneOf = (selector: Selector, seen: readonly Labels[]): boolean =>
  seen.some((labels) => selectsLabels(selector, labels, matchesPattern))

/** Denies of own roles apply to everything; denies of a granted role only to what that very grant gives. */
export function deniesReach(denying: RoleOrigin, given: RoleOrigin): boolean {
  if (denying.kind === 'own') return true
  return given.kind === 'granted' && given.grantId === denying.grantId
}

function loginsGivenAlone(role: WorkingRole, seen: readonly Labels[]): readonly string[] {
  const [first, ...others] = role.specs
  if (!first || !role.specs.every((spec) => selectsEach(spec.allow.node_labels, seen))) return []
  const narrowing = role.confinedTo?.narrowing ?? null
  // What was narrowed to a db user is for databases alone.
  if (narrowing !== null && narrowing.login === undefined && narrowing.dbUser !== undefined) return []
  const only = narrowing?.login
  return [...new Set(first.allow.logins)].filter(
    (login) => (only === undefined || only === login) && others.every((spec) => spec.allow.logins.includes(login)),
  )
}

export type LoginResolution =
  | { readonly ok: true; readonly login: string; readonly roles: readonly WorkingRole[] }
  | {
      readonly ok: false
      readonly code: Extract<RefusalCode, 'access_denied' | 'login_not_allowed' | 'login_ambiguous'>
      /** What would be allowed, sorted */
      readonly logins: readonly string[]
    }

/**
 * The login to use. None named (null): the default login of the roles that let the user in, else the only login, else the
 * user's own name if allowed, else a refusal that lists the logins.
 */
export function resolveLogin(access: NodeAccess, wanted: string | null, userName: string): LoginResolution {
  const logins = [...access.logins.keys()]
  if (logins.length === 0) return { ok: false, code: 'access_denied', logins }
  const login = wanted ?? defaultLogin(access, userName)
  if (login === null) return { ok: false, code: 'login_ambiguous', logins }
  const roles = access.logins.get(login)
  return roles ? { ok: true, login, roles } : { ok: false, code: 'login_not_allowed', logins }
}

/** Null: nothing decides between several. */
export function defaultLogin(access: NodeAccess, userName: string): string | null {
  const named = new Set<string>()
  for (const [login, roles] of access.logins) {
    if (roles.some((role) => role.specs.at(-1)?.allow.default_login === login)) named.add(login)
  }
  const candidates = named.size > 0 ? [...named] : [...access.logins.keys()]
  if (candidates.length === 1) return candidates[0] ?? null
  return access.logins.has(userName) ? userName : null
}

export interface MergedOptions {
  readonly portForwarding: boolean
  readonly agentForwarding: boolean
  readonly recordInput: boolean
  readonly recordSession: 'strict' | 'strict_sync' | 'best_effort'
  /** Milliseconds; null = no limit by a role */
  readonly sessionTtlMs: number | null
  readonly idleMs: number | null
  readonly offlineGraceMs: number | null
  /** Of connections to databases */
  readonly database: MergedDatabaseOptions
}

const STRICTNESS = ['best_effort', 'strict', 'strict_sync'] as const

/** Permissions hold if one of the giving roles allows them (in all its specs); of restrictions the strictest holds. */
export function mergeOptions(roles: readonly WorkingRole[]): MergedOptions {
  const [role] = roles
  if (!role || roles.length > 1) return merge(roles)
  // One role gives most accesses, and it stays the same object while nothing changes.
  const known = optionsOfOne.get(role) ?? merge(roles)
  optionsOfOne.set(role, known)
  return known
}

const optionsOfOne = new WeakMap<WorkingRole, MergedOptions>()

function merge(roles: readonly WorkingRole[]): MergedOptions {
  const options = roles.flatMap((role) => role.specs.map((spec) => spec.options))
  const oneAllows = (name: 'port_forwarding' | 'agent_forwarding'): boolean =>
    roles.some((role) => role.specs.length > 0 && role.specs.every((spec) => spec.options[name]))
  // Access that nobody was asked for is never recorded on a best-effort basis, whatever its roles say.
  const floor = roles.some(({ origin }) => origin.kind === 'granted' && origin.unasked) ? 1 : 0
  const strictness = options.map((o) => Math.max(floor, STRICTNESS.indexOf(o.record_session)))
  return {
    portForwarding: oneAllows('port_forwarding'),
    agentForwarding: oneAllows('agent_forwarding'),
    recordInput: options.some((o) => o.record_input),
    recordSession: STRICTNESS[Math.max(...strictness)] ?? 'strict',
    sessionTtlMs: shortest(options.map((o) => o.max_session_ttl)),
    idleMs: shortest(options.map((o) => o.client_idle_timeout)),
    offlineGraceMs: shortest(options.map((o) => o.offline_grace)),
    database: mergeDatabaseOptions(roles),
  }
}

/** With `bind: login` the grant works only from the login session that asked, or one opened later with a second factor. */
export const bindsToLogin = (role: WorkingRole): boolean => role.specs.some((spec) => spec.options.bind === 'login')
