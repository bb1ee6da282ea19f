import { parseDuration } from '../contract/duration.ts'
import type { AllowReviewBlock, RequestBlock, ReviewBlock, RoleSpec, Threshold } from '../contract/role.ts'
import type { TimeWindow } from '../contract/time-window.ts'
import type { ResourceFacts } from '../resources/resource.ts'
import { evaluateCondition, type ConditionFacts } from './conditions.ts'
import type { WorkingRole } from './node-access.ts'
import { captureGroups, matchesAny } from './patterns.ts'
import { accountsGiven } from './resource-access.ts'

// What a person's own roles permit. Pure, and the only place where these rules stand; rights from a grant never enter here.

export interface RoleContent {
  readonly id: string
  readonly name: string
  readonly revision: number
  /** SHA-256 of the canonical spec, hex */
  readonly contentHash: string
  readonly spec: RoleSpec
}

export interface Person {
  readonly id: string
  readonly name: string
  readonly traits: Readonly<Record<string, readonly string[]>>
  /** Own roles in their current revision; none that is deleted */
  readonly roles: readonly RoleContent[]
  /** Of a service account: the id of the user it belongs to */
  readonly ownerId?: string | null
}

/** The same human: the user, or a service account of theirs. */
export const isSameHuman = (person: Pick<Person, 'id' | 'ownerId'>, userId: string): boolean =>
  person.id === userId || person.ownerId === userId

/** `allow.request` of one own role, as far as it speaks about one requested role. */
export interface AllowingBlock {
  readonly source: string
  readonly block: RequestBlock
}

export type MayRequest =
  | { readonly ok: true; readonly blocks: readonly AllowingBlock[] }
  | { readonly ok: false; readonly why: 'denied' | 'escalating' | 'not_allowed' }

/**
 * For the role as a whole (`roles`, `claims_to_roles`), for named resources that it gives (`search_as_roles`), or to take the
 * role in an emergency without asking anybody (`break_glass`).
 */
export type Asking = 'role' | 'resource' | 'break_glass'

/**
 * May this person ask for the role, and which blocks say so. Deny wins. `blocks` holds every block that names the role in
 * any of the three ways: their thresholds, caps and reasons apply however it is asked for.
 */
export function mayRequest(person: Person, role: RoleContent, asking: Asking = 'role'): MayRequest {
  if (person.roles.some((own) => matchesAny(deniedNames(own.spec, asking), role.name)))
    return { ok: false, why: 'denied' }
  const naming = person.roles.flatMap((own): AllowingBlock[] => {
    const block = own.spec.allow.request
    const names =
      block &&
      (asking === 'break_glass' ? breaksGlassFor(block, role.name) : blockNames(block, role.name, person.traits))
    return block && names ? [{ source: own.name, block }] : []
  })
  const blocks = isEscalating(role.spec) ? naming.filter(({ block }) => block.escalating) : naming
  const allows = ({ block }: AllowingBlock): boolean => {
    if (asking === 'break_glass') return true
    return asking === 'role'
      ? blockNamesAsRole(block, role.name, person.traits)
      : matchesAny(block.search_as_roles, role.name)
  }
  if (blocks.some(allows)) return { ok: true, blocks }
  return { ok: false, why: naming.length > 0 && blocks.length === 0 ? 'escalating' : 'not_allowed' }
}

function deniedNames({ deny }: RoleSpec, asking: Asking): readonly string[] {
  const names = deny.request?.roles ?? []
  return asking !== 'resource' ? names : [...names, ...(deny.request?.search_as_roles ?? [])]
}

const breaksGlassFor = (block: RequestBlock, role: string): boolean => matchesAny(block.break_glass?.roles ?? [], role)

function blockNames(block: RequestBlock, role: string, traits: Person['traits']): boolean {
  return blockNamesAsRole(block, role, traits) || matchesAny(block.search_as_roles, role)
}

function blockNamesAsRole(block: RequestBlock, role: string, traits: Person['traits']): boolean {
  return matchesAny(block.roles, role) || rolesFromClaims(block, traits).includes(role)
}

/** Role names that the traits give: `$1` and `${1}` are the captures of `value`. The result is a name, never a pattern. */
function rolesFromClaims(block: RequestBlock, traits: Person['traits']): readonly string[] {
  return block.claims_to_roles.flatMap(({ claim, value, roles }) =>
    (Object.hasOwn(traits, claim) ? (traits[claim] ?? []) : []).flatMap((trait) => {
      const groups = captureGroups(value, trait)
      return groups ? roles.map((role) => expand(role, groups)) : []
    }),
  )
}

function expand(template: string, groups: readonly string[]): string {
  return template.replace(/\$(?:\{(\d)\}|(\d))/g, (_whole, braced, bare) => groups[Number(braced ?? bare)] ?? '')
}

const ESCALATING_RESOURCES = new Set([
  ...['role', 'user', 'token', 'integration', 'lock', 'authority', 'review_rule', 'deciding_rule', 'policy', '*'],
])

/** It writes what gives power, or it may review: holding it could widen what its holder may do. */
export function isEscalating(spec: RoleSpec): boolean {
  const writes = spec.allow.rules.some(
    (rule) =>
      rule.resources.some((resource) => ESCALATING_RESOURCES.has(resource)) &&
      rule.verbs.some((verb) => verb !== 'list' && verb !== 'read'),
  )
  return writes || (spec.allow.review_requests?.roles.length ?? 0) > 0
}

/** What `--roles='*'` stands for: may be asked for, not held, not escalating. Sorted by name. */
export function requestableRoles(person: Person, all: readonly RoleContent[]): RoleContent[] {
  const held = new Set(person.roles.map((own) => own.id))
  return all
    .filter((role) => !held.has(role.id) && !isEscalating(role.spec) && mayRequest(person, role).ok)
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** A role that may be asked for as a whole, as part of a resource request, or both. */
export interface AskableRole {
  readonly role: RoleContent
  readonly asRole: boolean
  readonly asResource: boolean
  readonly blocks: readonly AllowingBlock[]
}

/** Those that the person does not hold. */
export function askableRoles(person: Person, all: Iterable<RoleContent>): AskableRole[] {
  const held = new Set(person.roles.map((own) => own.id))
  return [...all].flatMap((role): AskableRole[] => {
    if (held.has(role.id)) return []
    const asRole = mayRequest(person, role, 'role')
    const asResource = mayRequest(person, role, 'resource')
    const blocks = asRole.ok ? asRole.blocks : asResource.ok ? asResource.blocks : null
    return blocks ? [{ role, asRole: asRole.ok, asResource: asResource.ok, blocks }] : []
  })
}

export interface HelpfulRole extends AskableRole {
  /** What it would give (logins of a node) after the denies of own roles; sorted */
  readonly accounts: readonly string[]
}

/**
 * Which of the askable roles would open the resource (with this account, if one is named). Those that give the fewest
 * accounts come first: the smallest help is named first.
 */
export function rolesThatWouldHelp(
  person: Person,
  askable: readonly AskableRole[],
  resource: ResourceFacts,
  account: string | null,
): HelpfulRole[] {
  const own = deniesOf(person)
  return askable
    .flatMap((each): HelpfulRole[] => {
      const asked = asIfGranted(each.role)
      const accounts = accountsGiven([...own, asked], resource).get(asked) ?? []
      const helps = account === null ? accounts.length > 0 : matchesAny(accounts, account)
      return helps ? [{ ...each, accounts }] : []
    })
    .sort((a, b) => a.accounts.length - b.accounts.length || (a.role.name < b.role.name ? -1 : 1))
}

/** What own roles say about whatever is asked for: their denies. */
export function deniesOf(person: Person): WorkingRole[] {
  return person.roles.map(({ id, name, spec }) => ({
    id,
    name,
    origin: { kind: 'own' },
    specs: [onlyDenies(spec)],
    confinedTo: null,
  }))
}

/** The role as it would work once granted; roles that are asked for together would come from one grant. */
export function asIfGranted(
  { id, name, spec }: RoleContent,
  confinedTo: WorkingRole['confinedTo'] = null,
): WorkingRole {
  return { id, name, origin: { kind: 'granted', grantId: 'asked' }, specs: [spec], confinedTo }
}

/** A role whose allowing half is switched off: what remains of a locked one, and what own roles say about what is asked. */
export function onlyDenies(spec: RoleSpec): RoleSpec {
  return { ...spec, allow: { logins: [], node_labels: {}, rules: [] } }
}

export const BREAK_GLASS_LIMIT_MS = 3_600_000

/** For how long the blocks let a role be taken without asking: the largest of them, never over an hour. */
export function breakGlassCapMs(blocks: readonly AllowingBlock[]): number {
  const lengths = blocks.flatMap(({ block }) => {
    const parsed = parseDuration(block.break_glass?.max_duration ?? '')
    return parsed.ok ? [parsed.ms] : []
  })
  return Math.min(BREAK_GLASS_LIMIT_MS, Math.max(0, ...lengths))
}

export const DEFAULT_CAP_MS = 8 * 3_600_000

export interface Cap {
  readonly ms: number
  /** Own role that set it; null = the default of 8 h */
  readonly setBy: string | null
}

/** The largest `max_duration` that the blocks set for the role, else 8 h. */
export function capOf(blocks: readonly AllowingBlock[]): Cap {
  const caps = blocks.flatMap(({ source, block }): Cap[] => {
    if (block.max_duration === undefined) return []
    const parsed = parseDuration(block.max_duration)
    return parsed.ok ? [{ ms: parsed.ms, setBy: source }] : []
  })
  return (
    caps.reduce<Cap | null>((best, cap) => (best && best.ms >= cap.ms ? best : cap), null) ?? {
      ms: DEFAULT_CAP_MS,
      setBy: null,
    }
  )
}

/** Thresholds that one own role of the requester contributes for one requested role; one of them must be met. */
export interface ThresholdSet {
  readonly source: string
  readonly thresholds: readonly NamedThreshold[]
}
export interface NamedThreshold {
  readonly name: string
  /** null: every reviewer counts */
  readonly filter: string | null
  readonly approve: number
  readonly deny: number
  readonly distinct: boolean
}

/** Every block that names the role contributes one set, without exception; a block without any means one of each. */
export function thresholdSetsOf(blocks: readonly AllowingBlock[]): ThresholdSet[] {
  return blocks.map(({ source, block }) => ({
    source,
    thresholds: block.thresholds.length === 0 ? [ONE_OF_EACH] : block.thresholds.map(named),
  }))
}

const ONE_OF_EACH: NamedThreshold = { name: 'any reviewer', filter: null, approve: 1, deny: 1, distinct: false }

function named(threshold: Threshold, index: number): NamedThreshold {
  const { name, filter, approve, deny, distinct } = threshold
  return { name: name ?? `threshold ${index + 1}`, filter: filter ?? null, approve, deny, distinct }
}

export interface MayReview {
  readonly may: boolean
  /** When: one of them must be open; null = at any time */
  readonly windows: readonly TimeWindow[] | null
  /** Conditions that failed to evaluate: each becomes an event */
  readonly problems: readonly string[]
}

/**
 * May this person review a request for the role. A failing `where` is false in an allow and true in a deny. Nobody reviews
 * a request of their own, nor of the owner of their service account: compared by `requesterId`, whatever the roles say.
 */
export function mayReview(
  person: Person,
  role: string,
  requesterId: string,
  request: ConditionFacts['request'],
): MayReview {
  if (isSameHuman(person, requesterId)) return NEVER
  const blocks = reviewBlocks(person, role)
  return blocks.whatever ?? judgedBlocks(blocks, { reviewer: reviewerFacts(person), request, review: null })
}

const NEVER: MayReview = { may: false, windows: null, problems: [] }

/** What a person's own roles say about reviewing requests for one role. */
interface ReviewBlocks {
  readonly allowing: readonly AllowReviewBlock[]
  readonly denying: readonly ReviewBlock[]
  /** What follows whatever the request says; null: that depends on conditions */
  readonly whatever: MayReview | null
}

/** By person and role: neither is ever changed, and the same reviewers are looked at for each request. */
const knownReviewBlocks = new WeakMap<Person, Map<string, ReviewBlocks>>()
const MOST_ROLES = 2000

function reviewBlocks(person: Person, role: string): ReviewBlocks {
  const known = knownReviewBlocks.get(person) ?? new Map<string, ReviewBlocks>()
  const before = known.get(role)
  if (before) return before
  const naming = <B extends ReviewBlock>(block: B | undefined): B[] =>
    block && matchesAny(block.roles, role) ? [block] : []
  const allowing = person.roles.flatMap((own) => naming(own.spec.allow.review_requests))
  const denying = person.roles.flatMap((own) => naming(own.spec.deny.review_requests))
  const depends = [...allowing, ...denying].some((block) => block.where !== undefined)
  const blocks = { allowing, denying, whatever: depends ? null : reviewBy(allowing, denying.length > 0, []) }
  if (known.size >= MOST_ROLES) known.clear()
  knownReviewBlocks.set(person, known.set(role, blocks))
  return blocks
}

function judgedBlocks({ allowing, denying }: ReviewBlocks, facts: ConditionFacts): MayReview {
  const problems: string[] = []
  const applies = (block: ReviewBlock, ifItFails: boolean): boolean => {
    if (block.where === undefined) return true
    const result = evaluateCondition('where', block.where, facts)
    if (!result.ok) problems.push(result.problem)
    return result.ok ? result.value : ifItFails
  }
  const applying = allowing.filter((block) => applies(block, false))
  return reviewBy(
    applying,
    denying.some((block) => applies(block, true)),
    problems,
  )
}

function reviewBy(allowing: readonly AllowReviewBlock[], denied: boolean, problems: readonly string[]): MayReview {
  const windows = allowing.flatMap((block) => block.window ?? [])
  return {
    may: allowing.length > 0 && !denied,
    windows: windows.length < allowing.length ? null : windows,
    problems,
  }
}

/** Whether own roles speak of reviewing requests for the role at all, whatever their conditions and hours. */
export function reviewsRole(person: Person, role: string): boolean {
  return person.roles.some((own) => matchesAny(own.spec.allow.review_requests?.roles ?? [], role))
}

export function reviewerFacts(person: Person): ConditionFacts['reviewer'] {
  return { name: person.name, roles: person.roles.map((own) => own.name), traits: person.traits }
}

/** Own roles let them write what gives power, or take access away from others. */
export function administers(person: Person): boolean {
  const writable = [...ESCALATING_RESOURCES].filter((resource) => resource !== '*')
  return (
    mayDo(person, 'request', 'delete') ||
    writable.some((resource) => ['create', 'update', 'delete'].some((verb) => mayDo(person, resource, verb)))
  )
}

/** May this person, as an operator, do `verb` on `resource`: rules of own roles, deny wins. */
export function mayDo(person: Person, resource: string, verb: string): boolean {
  const covers = (names: readonly string[], name: string): boolean => names.includes(name) || names.includes('*')
  const matches = (rules: RoleSpec['allow']['rules']): boolean =>
    rules.some((rule) => covers(rule.resources, resource) && covers(rule.verbs, verb))
  if (person.roles.some((own) => matches(own.spec.deny.rules))) return false
  return person.roles.some((own) => matches(own.spec.allow.rules))
}
