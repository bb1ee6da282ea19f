import { formatDuration } from '../../contract/duration.ts'
import type { Start } from '../../contract/request.ts'
import { Refused } from '../../foundation/errors.ts'
import { normaliseName } from '../../formats/name.ts'
import type { NamedResource, Narrowing } from '../../contract/request.ts'
import { askedAs, type StoredGrant } from '../../grants/stored-grant.ts'
import {
  mayRequest,
  requestableRoles,
  type AllowingBlock,
  type Asking,
  type RoleContent,
} from '../../identity/role-rules.ts'
import type { ResourceFacts } from '../../resources/resource.ts'
import { roleNamed, type Directory, type Member } from '../directory.ts'
import { LIMITS } from '../limits.ts'
import { planResources, type ResourcePlan } from './plan-resources.ts'
import { instantOf, pendingEnd, refuseBadStart } from './plan-start.ts'
import { longestDuration, routeRequest, type LongestDuration, type RequestFacts } from '../route/route-request.ts'

export interface Asked {
  /** Names as typed; `*` stands for all that may be asked for */
  readonly roles: readonly string[]
  readonly resources: readonly NamedResource[]
  readonly narrowing: Narrowing | null
  readonly reason: string
  readonly durationMs: number | null
  readonly pendingForMs: number | null
  readonly start: Start
  readonly reviewers: readonly string[]
}

/** What this requester did lately. */
export interface AskHistory {
  readonly asksInLastHour: number
  readonly denials: readonly Denial[]
}

export interface Denial {
  readonly roleIds: readonly string[]
  /** Empty: the roles as a whole */
  readonly resourceIds: readonly string[]
  readonly narrowing: Narrowing | null
  readonly decidedAt: number
}

export interface AskPlan extends ResourcePlan {
  /** Left out: a request that waits for reviewers */
  readonly kind?: 'break_glass'
  readonly narrowing: Narrowing | null
  readonly reason: string
  readonly facts: RequestFacts
  readonly durationMs: number
  readonly longestMs: number
  readonly pendingUntil: number
  readonly start: Start
  /** The grant whose end it would move; null: it asks for one of its own */
  readonly extended: StoredGrant | null
  readonly annotations: Readonly<Record<string, readonly string[]>>
  readonly suggested: readonly string[]
  readonly earlierDenial: boolean
}

/**
 * Everything that an ask must satisfy, in one place; the dry run is this and nothing more.
 * Errors: Refused with user_disabled, locked, over_limit, malformed, role_not_requestable, role_already_held,
 * nothing_requestable, reason_required, duration_over_cap, cooling_down, and those of planResources. `found`: the resources
 * asked for that exist, by `kind/name`.
 */
export function planAsk(
  requester: Member,
  asked: Asked,
  directory: Directory,
  history: AskHistory,
  found: ReadonlyMap<string, ResourceFacts>,
  now: number,
): AskPlan {
  refuseBadStanding(requester)
  refuseBadReason(asked.reason)
  const startAt = instantOf(asked.start)
  if (startAt !== null) refuseBadStart(startAt, now)
  const wanted = contentAskedFor(requester, asked, directory, found)
  const { roles, resources, narrowing } = wanted
  const blocks = roles.flatMap((role) => blocksFor(requester, role, askedAs(wanted)))
  refuseMissingReason(asked.reason, blocks)
  const current = new Map(resources.map((resource) => [resource.id, resource]))
  const facts = routeRequest(requester, wanted, directory, current)
  const longest = longestDuration(facts)
  if (!longest) throw new Refused('nothing_requestable', 'the request names neither roles nor resources')
  refuseCoolingDown(wanted, history, now)
  return {
    roles,
    resources,
    narrowing,
    reason: asked.reason,
    facts,
    durationMs: durationAskedFor(asked.durationMs, longest),
    longestMs: Math.min(longest.ms, LIMITS.durationMs),
    pendingUntil: pendingAskedFor(asked, now),
    start: asked.start,
    extended: null,
    annotations: mergedAnnotations(blocks),
    suggested: [...new Set([...asked.reviewers, ...blocks.flatMap(({ block }) => block.suggested_reviewers)])],
    earlierDenial: history.denials.some(
      (denial) => overlaps(denial, wanted) && now - denial.decidedAt < LIMITS.denialRememberedMs,
    ),
  }
}

/** Errors: Refused('user_disabled' | 'locked'). */
export function refuseBadStanding({ standing }: Member): void {
  if (standing.kind === 'disabled') throw new Refused('user_disabled', 'your account is disabled')
  if (standing.kind === 'locked')
    throw new Refused('locked', `your account is locked${standing.message ? `: ${standing.message}` : ''}`)
}

/** Texts are kept byte for byte, so they must be text: no lone surrogates. Errors: malformed, over_limit. */
export function refuseBadReason(reason: string): void {
  if (!reason.isWellFormed()) throw new Refused('malformed', 'the reason is not valid Unicode text')
  const bytes = Buffer.byteLength(reason)
  if (bytes > LIMITS.reasonBytes)
    throw new Refused(
      'over_limit',
      `the reason has ${bytes} bytes; ${LIMITS.reasonBytes} is the limit`,
      'shorten it, or name a ticket',
    )
}

type Content = Pick<AskPlan, 'roles' | 'resources' | 'narrowing'>

function contentAskedFor(
  requester: Member,
  asked: Asked,
  directory: Directory,
  found: ReadonlyMap<string, ResourceFacts>,
): Content {
  const narrowing = storedForm(asked.narrowing)
  if (asked.resources.length === 0) {
    if (narrowing?.login !== undefined)
      throw new Refused('malformed', 'a login narrows a request for resources', 'name them: --resource=node/NAME')
    if (narrowing)
      throw new Refused('malformed', 'a db user narrows a request for databases', 'name them: --resource=database/NAME')
    return { roles: limited(rolesAskedFor(requester, asked.roles, directory, 'role')), resources: [], narrowing }
  }
  // With resources `*` has nothing to add: whatever gives them is worked out.
  const names = asked.roles.filter((name) => name !== '*')
  const named = rolesAskedFor(requester, names, directory, 'resource')
  const plan = planResources(requester, { ...asked, narrowing, roles: [...named.values()] }, directory, found)
  return { ...plan, roles: limited(new Map(plan.roles.map((role) => [role.id, role]))), narrowing }
}

/** Null where nothing is narrowed, and no member that is undefined: digests are made of it. */
export function storedForm(narrowing: Narrowing | null): Narrowing | null {
  const { login, dbUser } = narrowing ?? {}
  if (login === undefined && dbUser === undefined) return null
  return { ...(login === undefined ? {} : { login }), ...(dbUser === undefined ? {} : { dbUser }) }
}

function rolesAskedFor(
  requester: Member,
  names: readonly string[],
  directory: Directory,
  asking: Asking,
): ReadonlyMap<string, RoleContent> {
  const roles = new Map<string, RoleContent>()
  for (const name of names) {
    for (const role of name === '*'
      ? everythingRequestable(requester, directory)
      : [roleAskedFor(requester, name, directory, asking)]) {
      roles.set(role.id, role)
    }
  }
  return roles
}

/** Sorted by id. Errors: over_limit. */
function limited(roles: ReadonlyMap<string, RoleContent>): RoleContent[] {
  if (roles.size > LIMITS.roles) {
    const overflow = [...roles.values()].slice(LIMITS.roles).map((role) => role.name)
    throw new Refused(
      'over_limit',
      `a request names at most ${LIMITS.roles} roles; too many are: ${overflow.join(', ')}`,
      'name the roles you need',
    )
  }
  return [...roles.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
}

function everythingRequestable(requester: Member, directory: Directory): RoleContent[] {
  const usable = [...directory.roles.values()].filter((role) => directory.lockOn('role', role.id) === undefined)
  const roles = requestableRoles(requester, usable)
  if (roles.length === 0)
    throw new Refused('nothing_requestable', 'there is no role that you may ask for and do not hold already')
  return roles
}

/** A role that must not be known and one that does not exist get the same answer. */
function roleAskedFor(requester: Member, text: string, directory: Directory, asking: Asking): RoleContent {
  const normalised = normaliseName(text)
  if (!normalised.ok) throw new Refused('malformed', `"${text.slice(0, 63)}" is no role name: ${normalised.message}`)
  const role = roleNamed(directory, normalised.name)
  if (role && requester.roles.some((own) => own.id === role.id))
    throw new Refused('role_already_held', `you hold the role "${role.name}" already`, 'leave it out')
  if (!role || !mayRequest(requester, role, asking).ok)
    throw new Refused(
      'role_not_requestable',
      `you may not ask for a role "${normalised.name}"${asking === 'resource' ? ' to get at resources' : ''}`,
      asking === 'resource'
        ? 'leave --roles out: the roles are worked out'
        : "sally request create --roles='*' --dry-run shows what you may ask for",
    )
  const lock = directory.lockOn('role', role.id)
  if (lock !== undefined) throw new Refused('locked', `the role "${role.name}" is locked${lock ? `: ${lock}` : ''}`)
  return role
}

function blocksFor(requester: Member, role: RoleContent, asking: Asking): readonly AllowingBlock[] {
  const answer = mayRequest(requester, role, asking)
  return answer.ok ? answer.blocks : []
}

function refuseMissingReason(reason: string, blocks: readonly AllowingBlock[]): void {
  const asking = blocks.find(({ block }) => block.reason.mode === 'required')
  if (!asking || reason.trim() !== '') return
  const prompt = asking.block.reason.prompt
  throw new Refused(
    'reason_required',
    `a reason is required${prompt ? `: ${prompt}` : ''}`,
    'give --reason="..."',
    prompt ? { prompt } : {},
  )
}

function durationAskedFor(wanted: number | null, longest: LongestDuration): number {
  const allowed = Math.min(longest.ms, LIMITS.durationMs)
  if (wanted === null) return allowed
  refuseBadLength(wanted, 'duration', LIMITS.durationMs)
  if (wanted <= allowed) return wanted
  const by = longest.setBy === null ? 'by default' : `by your role "${longest.setBy}"`
  throw new Refused(
    'duration_over_cap',
    `the role "${longest.role}" is given for at most ${formatDuration(allowed)} (${by})`,
    `ask with --duration=${formatDuration(allowed)}`,
    { role: longest.role, longestMs: allowed },
  )
}

function pendingAskedFor({ pendingForMs, start }: Asked, now: number): number {
  if (pendingForMs !== null) refuseBadLength(pendingForMs, 'time to wait for a decision', LIMITS.pendingMs)
  const at = instantOf(start)
  return pendingEnd(pendingForMs, at === null ? null : { at, what: 'its start' }, now)
}

/** Errors: malformed for what is no length, over_limit above `limit`. */
export function refuseBadLength(ms: number, what: string, limit: number): void {
  if (!Number.isSafeInteger(ms) || ms <= 0)
    throw new Refused('malformed', `the ${what} must be a positive number of milliseconds`)
  if (ms > limit) throw new Refused('over_limit', `the ${what} is at most ${formatDuration(limit)}`)
}

/** Asking again for what was just refused, or for more that contains it, waits. */
function refuseCoolingDown(asked: Content, history: AskHistory, now: number): void {
  const recent = history.denials.filter(
    (denial) => now - denial.decidedAt < LIMITS.coolDownMs && containsDenied(asked, denial),
  )
  if (recent.length === 0) return
  const wait = Math.max(...recent.map((denial) => denial.decidedAt)) + LIMITS.coolDownMs - now
  throw new Refused(
    'cooling_down',
    `this was denied a moment ago; it may be asked for again in ${formatDuration(wait + 999)}`,
    'talk to the reviewers',
  )
}

/** Errors: Refused('ask_rate'). */
export function refuseTooManyAsks(history: AskHistory): void {
  if (history.asksInLastHour >= LIMITS.asksPerHour)
    throw new Refused(
      'ask_rate',
      `at most ${LIMITS.asksPerHour} requests per hour; you have made ${history.asksInLastHour}`,
    )
}

/** The same or more: a role as a whole is more than any resource it gives, and all accounts are more than one. */
function containsDenied({ roles, resources, narrowing }: Content, denial: Denial): boolean {
  const has = (ids: readonly string[], all: readonly { readonly id: string }[]): boolean =>
    ids.every((id) => all.some((each) => each.id === id))
  if (!has(denial.roleIds, roles)) return false
  if (resources.length === 0) return true
  const { login, dbUser } = denial.narrowing ?? {}
  const sameAccount = narrowing === null || (narrowing.login === login && narrowing.dbUser === dbUser)
  return denial.resourceIds.length > 0 && sameAccount && has(denial.resourceIds, resources)
}

function overlaps(denial: Denial, { roles, resources }: Content): boolean {
  const shares = (ids: readonly string[], all: readonly { readonly id: string }[]): boolean =>
    all.some((each) => ids.includes(each.id))
  const apart = resources.length > 0 && denial.resourceIds.length > 0 && !shares(denial.resourceIds, resources)
  return shares(denial.roleIds, roles) && !apart
}

function mergedAnnotations(blocks: readonly AllowingBlock[]): Record<string, string[]> {
  const merged = new Map<string, Set<string>>()
  for (const { block } of blocks) {
    for (const [key, values] of Object.entries(block.annotations)) {
      const known = merged.get(key) ?? new Set()
      for (const value of values) known.add(value)
      merged.set(key, known)
    }
  }
  return Object.fromEntries([...merged].map(([key, values]) => [key, [...values]]))
}
