import { accessEnd, asUsed, type AccessBasis, type AccessEnd } from './access-end.ts'
import type { AskWay } from '../contract/access-check.ts'
import type { RefusalCode } from '../contract/errors.ts'
import { formatDuration } from '../contract/duration.ts'
import type { RoleFacts, Snapshot, UserFacts } from '../grants/snapshot.ts'
import { placeTrouble } from '../grants/place-trouble.ts'
import type { StoredGrant } from '../grants/stored-grant.ts'
import { clockEnd } from '../grants/grant-clock.ts'
import { askableBy, personOf, rolesAtWork, waitingGrants, type RolesAtWork } from '../grants/working-roles.ts'
import { asIfGranted, capOf, deniesOf, rolesThatWouldHelp, type AllowingBlock } from '../identity/role-rules.ts'
import { mergeOptions, type MergedOptions, type WorkingRole } from '../identity/node-access.ts'
import type { LoginSessionsTable } from '../foundation/database/tables.ts'
import { resourceKey, type ResourceFacts } from '../resources/resource.ts'
import { targetOf, type Opened, type Resolved, type Target, type Wanted } from './target.ts'

// The rule of authorize(): pure over the snapshot. The same function decides a new connection and re-checks a live one.

export type AccessQuestion = Asker & Wanted

interface Asker {
  readonly userId: string
  readonly loginSessionId: string
  /** Null: asked for a login session that has made no key for it yet */
  readonly keyFingerprint: string | null
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
      readonly opened: Opened
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
  const target = targetOf(view, question)
  const { resource } = target
  const atWork = rolesAtWork(view, user, login, now, starts ? new Set([starts.id]) : undefined)
  // An absent resource and one the user may not know of: same answer, same path.
  const resolved = target.resolve(atWork.roles, user)
  const ways = resolved.ok || question.live ? [] : waysToAsk(view, user, target, now)
  const isKnown = resource !== undefined && (resolved.ok || resolved.isKnown || ways.length > 0)
  if (!isKnown) return unknownResource(view, question, user, atWork, target, now)
  const lock = view.lockOn(target.kind, resource.id, now)
  if (lock) return refusal('locked', lockText(`${resource.name} is locked`, lock.message))
  if (!resolved.ok) return refuseUse({ view, question, user, atWork, target, now }, resolved, ways)
  const grants = grantsBehind(view, resolved.roles)
  const clocked = grants.map((grant) => asUsed(grant, starts, now))
  const options = mergeOptions(resolved.roles)
  return {
    ok: true,
    user,
    opened: resolved.opened,
    roles: [...new Set(resolved.roles.map((role) => role.id))].flatMap((id) => view.role(id) ?? []),
    grants,
    options,
    starts,
    ...accessEnd({
      login,
      startedAt: question.live?.startedAt ?? now,
      sessionTtlMs: options.sessionTtlMs,
      grants: clocked,
      carriers: resolved.parts.flatMap((roles) => carrierOf(roles, clocked) ?? []),
    }),
  }
}

function identify(view: Snapshot, question: AccessQuestion, now: number): Refusal | Known {
  const login = view.login(question.loginSessionId)
  const user = view.user(question.userId)
  if (!login || !user || login.user_id !== user.id) return signInAgain('this login session is not known any more')
  if (keyOf(login, question) !== question.keyFingerprint) return otherKey(question)
  if (login.ended_at !== null) return signInAgain('your login session was ended')
  if (login.expires_at <= now) return signInAgain('your login session has expired')
  if (user.disabled) return refusal('user_disabled', `the account ${user.name} is disabled`)
  const userLock = view.lockOn('user', user.id, now)
  if (userLock) return refusal('locked', lockText(`the account ${user.name} is locked`, userLock.message))
  const loginLock = view.lockOn('login', login.id, now)
  if (loginLock) return refusal('locked', lockText('this login session is locked', loginLock.message))
  return { user, login }
}

function otherKey(question: AccessQuestion): Refusal {
  if (question.protocol === 'ssh') return signInAgain('this login session is not known any more')
  return signInAgain('this certificate is not the newest of its login session', `sally db login ${question.database}`)
}

/** The key that this login session signs in with. Another one for databases is made by signing in there anew. */
const keyOf = (login: LoginSessionsTable, { protocol }: AccessQuestion): string | null =>
  protocol === 'ssh' ? login.key_fingerprint : login.x509_fingerprint

/** What helps is said on a live terminal, too, which is shown one line alone. */
const signInAgain = (why: string, command = 'sally login'): Refusal => ({
  ...refusal('login_ended', why, `run: ${command}`),
  ended: `${why}; run: ${command}`,
})

const lockText = (text: string, message: string): string => (message === '' ? text : `${text}: ${message}`)

interface Way {
  readonly way: AskWay
  /** With the account that is wanted, or none was named */
  readonly opens: boolean
}

/** What would open the resource, with the account that is wanted or with another one. */
function waysToAsk(view: Snapshot, user: UserFacts, target: Target, now: number): Way[] {
  const person = personOf(view, user, now)
  const own = deniesOf(person)
  return rolesThatWouldHelp(person, askableBy(view, user, now), target.place, null).map(
    ({ role, blocks, accounts, asRole }) => ({
      way: {
        roles: [role.name],
        // A role that may be asked for as such opens everything it gives; any other one can be asked for this one alone.
        resources: asRole ? [] : [{ kind: target.kind, name: target.place.name }],
        narrowing: asRole ? null : target.narrowing,
        logins: [...accounts],
        longest: capOf(blocks).ms,
        reason: reasonFor(blocks),
      },
      opens: target.isGivenBy(asIfGranted(role), own),
    }),
  )
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

function unknownResource(
  view: Snapshot,
  question: AccessQuestion,
  user: UserFacts,
  atWork: RolesAtWork,
  target: Target,
  now: number,
): Refusal {
  if (question.live) return liveEnd(view, question.live, target, atWork, now)
  const { kind, name, list } = target
  return refusal(
    'resource_unknown',
    `there is no ${kind} ${name} that ${user.name} may use or ask for`,
    `  See: ${list}`,
  )
}

/** Why what a live session stood on is gone: a lock or lost permission, an end, or the resource that it was for. */
function liveEnd(
  view: Snapshot,
  live: { readonly grants: readonly string[] },
  target: Target,
  atWork: RolesAtWork,
  now: number,
): Refusal {
  const grants = live.grants.flatMap((id) => view.grant(id) ?? [])
  const suspended = suspendedHere(atWork, target).find(({ grant }) => live.grants.includes(grant.id))
  const troubles = placeTroubles(view, grants, target.resource)
  const why = suspended?.why ?? lastEnd(view, live.grants, now) ?? troubles[0] ?? GONE
  return refusal('access_denied', why)
}

/** Those that would give what is wanted. */
const suspendedHere = ({ suspended }: RolesAtWork, target: Target): RolesAtWork['suspended'] =>
  suspended.filter(({ roles }) => roles.some((role) => target.isGivenBy(role, [])))

/** What became of the resource as these grants pin it. One that is gone is found among those that are gone. */
function placeTroubles(view: Snapshot, grants: readonly StoredGrant[], resource: ResourceFacts | undefined): string[] {
  const pins = grants.flatMap(({ resources }) => resources)
  const meant = pins.filter((pin) => (resource ? pin.id === resource.id : view.resource(pin) === undefined))
  return meant.flatMap((pin) => placeTrouble(pin, resource) ?? [])
}

interface Refusing {
  readonly view: Snapshot
  readonly question: AccessQuestion
  readonly user: UserFacts
  readonly atWork: RolesAtWork
  readonly target: Target
  readonly now: number
}

function refuseUse(refusing: Refusing, resolved: Extract<Resolved, { ok: false }>, ways: readonly Way[]): Refusal {
  const { view, question, user, atWork, target, now } = refusing
  if (question.live) return liveEnd(view, question.live, target, atWork, now)
  const unlocked = ways.filter(({ way }) => way.roles.every((role) => !isLocked(view, role, now)))
  const open = unlocked.filter(({ opens }) => opens).map(({ way }) => way)
  const hint = open.length > 0 ? askHint(open, target) : otherAccounts(unlocked, target)
  const help = { ways: open, asksInside: open.length > 0 && asksInside(view, user, now) }
  if (resolved.why) {
    const [why, ...more] = resolved.why
    // What is ambiguous is answered by naming one of what is there.
    return more.length > 0 ? refusal(resolved.code, why, ...more) : { ...refusal(resolved.code, why, ...hint), ...help }
  }
  const active = [...view.grantsOf(user.id)].filter((grant) => grant.state === 'active')
  const whys = [...suspendedHere(atWork, target).map(({ why }) => why), ...placeTroubles(view, active, target.resource)]
  const coming = startsLater(refusing)
  const suspended = whys.map((why) => `  A grant is suspended: ${why}`).slice(0, 2)
  const lines = [`${user.name} may not use ${target.text}`, ...coming, ...suspended, ...hint] as const
  return { ...refusal('access_denied', ...lines), ...help }
}

function askHint(ways: readonly AskWay[], target: Target): string[] {
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
    `    sally request create ${whatToAsk(first, target, ways.length > 1)} --reason="why you need it" --duration=${duration}`,
  ]
}

/** Nothing gives the account that was named. */
function otherAccounts(ways: readonly Way[], { accountWord }: Target): string[] {
  const accounts = [...new Set(ways.flatMap(({ way }) => way.logins))].sort()
  return accounts.length === 0
    ? []
    : [`  Nothing that you may ask for gives it; ${accountWord} that may be asked for: ${accounts.join(', ')}`]
}

/** The roles of a request for resources are worked out by themselves; they are named where there is a choice. */
function whatToAsk({ roles, resources }: AskWay, { narrowingOption }: Target, isChoice: boolean): string {
  const byRole = `--roles=${roles.join(',')}`
  if (resources.length === 0) return byRole
  const named = resources.map((resource) => `--resource=${resourceKey(resource)}`).join(' ')
  return [named, ...(isChoice ? [byRole] : []), ...(narrowingOption === '' ? [] : [narrowingOption])].join(' ')
}

/** Milliseconds that are proposed: an hour, or less where less is allowed. */
export const usualDuration = (way: AskWay): number => Math.min(way.longest, 3_600_000)

/** Grants that will give this access from an instant on. */
function startsLater({ view, question, target, user, now }: Refusing): string[] {
  const login = view.login(question.loginSessionId) ?? null
  const coming = [...view.grantsOf(user.id)].filter((grant) => grant.state === 'scheduled' && grant.starts_at > now)
  return coming.slice(0, MOST_COMING).flatMap((grant) => {
    const then = rolesAtWork(view, user, login, grant.starts_at, new Set([grant.id]))
    const its = then.roles.filter((role) => role.origin.kind === 'granted' && role.origin.grantId === grant.id)
    if (!target.resolve(its, user).ok) return []
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

/** The grant that ends last where nothing else gives this part of the access. */
function carrierOf(
  roles: readonly WorkingRole[],
  grants: readonly StoredGrant[],
): AccessBasis['carriers'][number] | null {
  const ids = roles.map(({ origin }) => (origin.kind === 'granted' ? origin.grantId : null))
  if (ids.includes(null)) return null
  const grant = grants.filter(({ id }) => ids.includes(id)).reduce((a, b) => (b.ends_at > a.ends_at ? b : a))
  return { grant, name: whatOf({ roles, resources: grant.resources }) }
}

function grantsBehind(view: Snapshot, roles: readonly WorkingRole[]): StoredGrant[] {
  const ids = new Set(roles.flatMap((role) => (role.origin.kind === 'granted' ? [role.origin.grantId] : [])))
  return [...ids].flatMap((id) => view.grant(id) ?? [])
}
