import { accessEnd, asUsed, type AccessBasis, type AccessEnd } from './access-end.ts'
import type { AskWay } from '../contract/access-check.ts'
import type { RefusalCode } from '../contract/errors.ts'
import { formatDuration } from '../contract/duration.ts'
import type { NodeFacts, RoleFacts, Snapshot, UserFacts } from '../grants/snapshot.ts'
import { placeTrouble } from '../grants/place-trouble.ts'
import type { StoredGrant } from '../grants/stored-grant.ts'
import { clockEnd } from '../grants/grant-clock.ts'
import { personOf, rolesAtWork, waitingGrants, type RolesAtWork } from '../grants/working-roles.ts'
import { askableRoles, capOf, rolesThatWouldHelp, type AllowingBlock } from '../identity/role-rules.ts'
import {
  mergeOptions,
  nodeAccess,
  resolveLogin,
  type MergedOptions,
  type WorkingRole,
} from '../identity/node-access.ts'
import type { LoginSessionsTable } from '../foundation/database/tables.ts'
import { absentResource, resourceKey, type ResourceFacts } from '../resources/resource.ts'

// The rule of authorize(): pure over the snapshot. The same function decides a new connection and re-checks a live one.

export interface AccessQuestion {
  readonly userId: string
  readonly loginSessionId: string
  readonly keyFingerprint: string
  readonly node: string
  readonly login: string | null
  /** Null for a new connection */
  readonly live: {
    readonly startedAt: number
    readonly grants: readonly string[]
    /** Bytes pass: from then on it starts no grant that waits for its first use */
    readonly isUsed: boolean
  } | null
}

export type AccessDecision =
  | ({
      readonly ok: true
      readonly user: UserFacts
      readonly node: NodeFacts
      readonly login: string
      /** Roles that give it, in their current revision */
      readonly roles: readonly RoleFacts[]
      readonly grants: readonly StoredGrant[]
      readonly options: MergedOptions
      /** Grant whose clock starts with this use, because nothing else permits it */
      readonly starts: StoredGrant | null
    } & AccessEnd)
  | {
      readonly ok: false
      readonly code: RefusalCode
      /** For a new connection: at most ten lines, what to do included */
      readonly lines: readonly string[]
      /** For a live one: why it ends, one line */
      readonly ended: string
      /** What could be asked for that would give it; the first gives the least */
      readonly ways: readonly AskWay[]
      /** An own role of the user offers to ask within the refused connection */
      readonly asksInside: boolean
    }

type Refusal = Extract<AccessDecision, { ok: false }>

const refusal = (code: RefusalCode, ended: string, ...more: string[]): Refusal => ({
  ok: false,
  code,
  lines: [`sallyport: ${ended}`, ...more].slice(0, 10).map(oneLine),
  ended: oneLine(ended),
  ways: [],
  asksInside: false,
})

/** Words that a person wrote (why a lock, why revoked) get no line of their own, which could pass for ours. */
const oneLine = (text: string): string => text.replace(/[\r\n\v\f\u0085\u2028\u2029]+/g, ' ')

export function decideAccess(view: Snapshot, question: AccessQuestion, now: number): AccessDecision {
  const who = identify(view, question, now)
  if ('ok' in who) return who
  const decision = decideFor(view, question, who, null, now)
  if (decision.ok || question.live?.isUsed === true) return decision
  // Only when nothing else permits it: what waits for its first use is used up by it.
  for (const grant of waitingGrants(view, who.user, now)) {
    const used = decideFor(view, question, who, grant, now)
    if (used.ok) return used
  }
  return decision
}

interface Known {
  readonly user: UserFacts
  readonly login: LoginSessionsTable
}

function decideFor(
  view: Snapshot,
  question: AccessQuestion,
  { user, login }: Known,
  starts: StoredGrant | null,
  now: number,
): AccessDecision {
  const node = view.nodeNamed(question.node)
  const atWork = rolesAtWork(view, user, login, now, new Set(starts ? [starts.id] : []))
  // An absent node and one the user may not know of: same answer, same path.
  const place = node ?? absentResource('node', question.node)
  const access = nodeAccess(atWork.roles, place)
  const resolved = resolveLogin(access, question.login, user.name)
  const ways = resolved.ok || question.live ? [] : waysToAsk(view, user, place, question.login, now)
  const known = node !== undefined && (access.logins.size > 0 || ways.length > 0)
  if (!known) return unknownNode(view, question, user, atWork, node, now)
  const lock = view.lockOn('node', node.id, now)
  if (lock) return refusal('locked', lockText(`${node.name} is locked`, lock.message))
  if (!resolved.ok) return refuseLogin(view, question, user, atWork, node, resolved, ways, now)
  const grants = grantsBehind(view, resolved.roles)
  const clocked = grants.map((grant) => asUsed(grant, starts, now))
  const options = mergeOptions(resolved.roles)
  return {
    ok: true,
    user,
    node,
    login: resolved.login,
    roles: [...new Set(resolved.roles.map((role) => role.id))].flatMap((id) => view.role(id) ?? []),
    grants,
    options,
    starts,
    ...accessEnd({
      login,
      startedAt: question.live?.startedAt ?? now,
      sessionTtlMs: options.sessionTtlMs,
      grants: clocked,
      carrier: carrierOf(resolved.roles, clocked),
    }),
  }
}

function identify(view: Snapshot, question: AccessQuestion, now: number): Refusal | Known {
  const login = view.login(question.loginSessionId)
  const user = view.user(question.userId)
  if (!login || !user || login.user_id !== user.id || login.key_fingerprint !== question.keyFingerprint) {
    return signInAgain('this login session is not known any more')
  }
  if (login.ended_at !== null) return signInAgain('your login session was ended')
  if (login.expires_at <= now) return signInAgain('your login session has expired')
  if (user.disabled) return refusal('user_disabled', `the account ${user.name} is disabled`)
  const userLock = view.lockOn('user', user.id, now)
  if (userLock) return refusal('locked', lockText(`the account ${user.name} is locked`, userLock.message))
  const loginLock = view.lockOn('login', login.id, now)
  if (loginLock) return refusal('locked', lockText('this login session is locked', loginLock.message))
  return { user, login }
}

/** What helps is said on a live terminal, too, which is shown one line alone. */
const signInAgain = (why: string): Refusal => ({
  ...refusal('login_ended', why, 'run: sally login'),
  ended: `${why}; run: sally login`,
})

const lockText = (text: string, message: string): string => (message === '' ? text : `${text}: ${message}`)

/** What would open the node, with the login that is wanted or with another one. */
function waysToAsk(view: Snapshot, user: UserFacts, node: ResourceFacts, login: string | null, now: number): AskWay[] {
  const person = personOf(view, user, now)
  const askable = askableRoles(person, view.roles())
  return rolesThatWouldHelp(person, askable, node, null).map(({ role, blocks, accounts, asRole }) => ({
    roles: [role.name],
    // A role that may be asked for as such opens everything it gives; any other one can be asked for this node alone.
    resources: asRole ? [] : [{ kind: node.kind, name: node.name }],
    narrowing: asRole || login === null ? null : { login },
    logins: [...accounts],
    longest: capOf(blocks).ms,
    reason: reasonFor(blocks),
  }))
}

function reasonFor(blocks: readonly AllowingBlock[]): AskWay['reason'] {
  const reasons = blocks.map(({ block }) => block.reason)
  const required = reasons.find(({ mode }) => mode === 'required')
  const prompt = (required ?? reasons.find((reason) => reason.prompt !== undefined))?.prompt
  return { required: required !== undefined, prompt: prompt ?? null }
}

const isLocked = (view: Snapshot, role: string, now: number): boolean =>
  view.lockOn('role', view.roleNamed(role)?.id ?? '', now) !== undefined

/** `request_on_denied` of an own role that is not locked. */
const asksInside = (view: Snapshot, user: UserFacts, now: number): boolean =>
  user.roleIds.some((id) => view.role(id)?.spec.options.request_on_denied === true && !view.lockOn('role', id, now))

const GONE = 'nothing gives this access any more'

function unknownNode(
  view: Snapshot,
  question: AccessQuestion,
  user: UserFacts,
  atWork: RolesAtWork,
  node: NodeFacts | undefined,
  now: number,
): Refusal {
  if (question.live) return liveEnd(view, question.live, node, atWork.suspended, now)
  return refusal(
    'resource_unknown',
    `there is no node ${question.node} that ${user.name} may use or ask for`,
    '  See: sally ls',
  )
}

/** Why what a live session stood on is gone: a lock or lost permission, an end, or the resource that it was for. */
function liveEnd(
  view: Snapshot,
  live: { readonly grants: readonly string[] },
  node: NodeFacts | undefined,
  suspended: RolesAtWork['suspended'],
  now: number,
): Refusal {
  const grants = live.grants.flatMap((id) => view.grant(id) ?? [])
  const why = suspended[0]?.why ?? lastEnd(view, live.grants, now) ?? placeTroubles(view, grants, node)[0] ?? GONE
  return refusal('access_denied', why)
}

/** What became of the node as these grants pin it. A node that is gone is found among those that are gone. */
function placeTroubles(view: Snapshot, grants: readonly StoredGrant[], node: NodeFacts | undefined): string[] {
  const pins = grants.flatMap(({ resources }) => resources)
  const meant = pins.filter((pin) => (node ? pin.id === node.id : view.resource(pin) === undefined))
  return meant.flatMap((pin) => placeTrouble(pin, node) ?? [])
}

function refuseLogin(
  view: Snapshot,
  question: AccessQuestion,
  user: UserFacts,
  atWork: RolesAtWork,
  node: NodeFacts,
  resolved: { code: RefusalCode; logins: readonly string[] },
  ways: readonly AskWay[],
  now: number,
): Refusal {
  if (question.live) return liveEnd(view, question.live, node, atWork.suspended, now)
  const { name } = user
  const { login } = question
  const unlocked = ways.filter(({ roles }) => roles.every((role) => !isLocked(view, role, now)))
  const open = unlocked.filter(({ logins }) => login === null || logins.includes(login))
  const wanted = login === null ? node.name : `${login}@${node.name}`
  const hint = open.length > 0 ? askHint(open, login) : otherLogins(unlocked)
  const help = { ways: open, asksInside: open.length > 0 && asksInside(view, user, now) }
  if (resolved.code === 'login_ambiguous') {
    return refusal(
      'login_ambiguous',
      `${node.name} has several logins for ${name}: ${resolved.logins.join(', ')}`,
      `  Name one: ssh ${resolved.logins[0]}@${node.name}`,
    )
  }
  if (resolved.code === 'login_not_allowed') {
    const why = `${name} may not use ${wanted}; allowed logins: ${resolved.logins.join(', ')}`
    return { ...refusal('login_not_allowed', why, ...hint), ...help }
  }
  const active = [...view.grantsOf(user.id)].filter((grant) => grant.state === 'active')
  const whys = [...atWork.suspended.map(({ why }) => why), ...placeTroubles(view, active, node)]
  const coming = startsLater(view, question, node, user, now)
  const suspended = whys.map((why) => `  A grant is suspended: ${why}`).slice(0, 2)
  return { ...refusal('access_denied', `${name} may not use ${wanted}`, ...coming, ...suspended, ...hint), ...help }
}

function askHint(ways: readonly AskWay[], login: string | null): string[] {
  const [first] = ways
  if (!first) return []
  const names = ways
    .slice(0, 4)
    .map(
      ({ roles, logins, longest }) =>
        `${roles.join('+')} (${logins.slice(0, 4).join(', ')}; up to ${formatDuration(longest)})`,
    )
  const duration = formatDuration(usualDuration(first))
  return [
    `  ${ways.length === 1 ? 'This role would help' : 'One of these roles would help'}: ${names.join(', ')}`,
    '  Ask for it:',
    `    sally request create ${whatToAsk(first, login, ways.length > 1)} --reason="why you need it" --duration=${duration}`,
  ]
}

/** Nothing gives the login that was named. */
function otherLogins(ways: readonly AskWay[]): string[] {
  const logins = [...new Set(ways.flatMap((way) => way.logins))].sort()
  return logins.length === 0
    ? []
    : [`  Nothing that you may ask for gives it; logins that may be asked for: ${logins.join(', ')}`]
}

/** The roles of a request for resources are worked out by themselves; they are named where there is a choice. */
function whatToAsk({ roles, resources }: AskWay, login: string | null, isChoice: boolean): string {
  const byRole = `--roles=${roles.join(',')}`
  if (resources.length === 0) return byRole
  const named = resources.map((resource) => `--resource=${resourceKey(resource)}`).join(' ')
  return [named, ...(isChoice ? [byRole] : []), ...(login === null ? [] : [`--login=${login}`])].join(' ')
}

/** Milliseconds that are proposed: an hour, or less where less is allowed. */
export const usualDuration = (way: AskWay): number => Math.min(way.longest, 3_600_000)

/** Grants that will give this access from an instant on. */
function startsLater(
  view: Snapshot,
  question: AccessQuestion,
  node: NodeFacts,
  user: UserFacts,
  now: number,
): string[] {
  const login = view.login(question.loginSessionId) ?? null
  const coming = [...view.grantsOf(user.id)].filter((grant) => grant.state === 'scheduled' && grant.starts_at > now)
  return coming.slice(0, MOST_COMING).flatMap((grant) => {
    const then = rolesAtWork(view, user, login, grant.starts_at, new Set([grant.id]))
    const its = then.roles.filter((role) => role.origin.kind === 'granted' && role.origin.grantId === grant.id)
    if (!resolveLogin(nodeAccess(its, node), question.login, user.name).ok) return []
    return [`  Your access (${whatOf(grant)}) starts ${utcMinute(grant.starts_at)}`]
  })
}

const MOST_COMING = 2
const utcMinute = (at: number): string => `${new Date(at).toISOString().slice(0, 16).replace('T', ' ')} UTC`

/** Why the last of these grants ended, in words for the terminal that closes. */
function lastEnd(view: Snapshot, grantIds: readonly string[], now: number): string | null {
  const ended = grantIds
    .flatMap((id) => view.grant(id) ?? [])
    .filter((grant) => grant.state === 'ended' || clockEnd(grant).at <= now)
    .sort((a, b) => (b.ended_at ?? clockEnd(b).at) - (a.ended_at ?? clockEnd(a).at))
  const [last] = ended
  if (!last) return null
  const what = whatOf(last)
  if (last.state !== 'ended' || last.end_reason === 'expired') return `your access (${what}) has expired`
  const by = last.ended_by === null ? '' : ` by ${last.ended_by}`
  const comment = last.end_comment ? `: ${last.end_comment}` : ''
  return `your access (${what}) was ${last.end_reason ?? 'ended'}${by}${comment}`
}

const NAMED_AT_MOST = 3

/** `dba`, or `dba on node/db-box`. */
function whatOf(grant: { roles: readonly { name: string }[]; resources: StoredGrant['resources'] }): string {
  const names = [...new Set(grant.roles.map((role) => role.name))].join(', ')
  if (grant.resources.length === 0) return names
  const more = grant.resources.length - NAMED_AT_MOST
  const some = grant.resources.slice(0, NAMED_AT_MOST).map(resourceKey)
  return `${names} on ${some.join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}

/** The grant that ends last where nothing else gives the access. */
function carrierOf(roles: readonly WorkingRole[], grants: readonly StoredGrant[]): AccessBasis['carrier'] {
  if (roles.some((role) => role.origin.kind !== 'granted')) return null
  const grant = grants.reduce((a, b) => (b.ends_at > a.ends_at ? b : a))
  return { grant, name: whatOf({ roles, resources: grant.resources }) }
}

function grantsBehind(view: Snapshot, roles: readonly WorkingRole[]): StoredGrant[] {
  const ids = new Set(roles.flatMap((role) => (role.origin.kind === 'granted' ? [role.origin.grantId] : [])))
  return [...ids].flatMap((id) => view.grant(id) ?? [])
}
