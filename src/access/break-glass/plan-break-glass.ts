import { formatDuration } from '../../contract/duration.ts'
import { normaliseName } from '../../formats/name.ts'
import { Refused } from '../../foundation/errors.ts'
import { breakGlassCapMs, mayRequest, type RoleContent } from '../../identity/role-rules.ts'
import { refuseBadLength, refuseBadReason, refuseBadStanding, type AskPlan } from '../ask/plan-ask.ts'
import { roleNamed, type Directory, type Member } from '../directory.ts'
import { LIMITS } from '../limits.ts'
import { routeRequest } from '../route/route-request.ts'

export interface BreakGlassAsked {
  /** Names as typed */
  readonly roles: readonly string[]
  readonly reason: string
  /** null = as long as it may be */
  readonly durationMs: number | null
  /** The names of the roles, typed again */
  readonly confirm: string
}

/**
 * What taking these roles at once would be. No threshold, denial or rule is asked; locks, disabled accounts and denies are.
 * Errors: Refused with user_disabled, locked, malformed, over_limit, reason_required, role_already_held,
 * role_not_requestable, confirmation_required, duration_over_cap.
 */
export function planBreakGlass(requester: Member, asked: BreakGlassAsked, directory: Directory, now: number): AskPlan {
  refuseBadStanding(requester)
  refuseBadReason(asked.reason)
  const found = new Map(asked.roles.map((name) => roleTaken(requester, name, directory)).map((role) => [role.id, role]))
  const roles = [...found.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
  if (roles.length === 0) throw new Refused('malformed', 'name the roles to take')
  if (roles.length > LIMITS.roles) throw new Refused('over_limit', `at most ${LIMITS.roles} roles at a time`)
  if (asked.reason.trim() === '')
    throw new Refused('reason_required', 'say why: everybody who reviews these roles is told', 'give --reason="..."')
  refuseUnconfirmed(roles, asked.confirm)
  const longestMs = Math.min(...roles.map((role) => capFor(requester, role)))
  return {
    kind: 'break_glass',
    roles,
    resources: [],
    narrowing: null,
    reason: asked.reason,
    facts: routeRequest(
      requester,
      { kind: 'break_glass', roles, resources: [], narrowing: null },
      directory,
      new Map(),
    ),
    durationMs: durationTaken(asked.durationMs, longestMs),
    longestMs,
    pendingUntil: now,
    start: { at: 'approval' },
    annotations: {},
    suggested: [],
    earlierDenial: false,
    extended: null,
  }
}

/** A role that may not be taken and one that does not exist get the same answer. */
function roleTaken(requester: Member, text: string, directory: Directory): RoleContent {
  const normalised = normaliseName(text)
  if (!normalised.ok) throw new Refused('malformed', `"${text.slice(0, 63)}" is no role name: ${normalised.message}`)
  const role = roleNamed(directory, normalised.name)
  if (role && requester.roles.some((own) => own.id === role.id))
    throw new Refused('role_already_held', `you hold the role "${role.name}" already`, 'leave it out')
  if (!role || !mayRequest(requester, role, 'break_glass').ok)
    throw new Refused(
      'role_not_requestable',
      `you may not take a role "${normalised.name}" without being asked`,
      `ask for it: sally request create --roles=${normalised.name}`,
    )
  const lock = directory.lockOn('role', role.id)
  if (lock !== undefined) throw new Refused('locked', `the role "${role.name}" is locked${lock ? `: ${lock}` : ''}`)
  return role
}

function refuseUnconfirmed(roles: readonly RoleContent[], confirm: string): void {
  const wanted = roles.map((role) => role.name).sort()
  const typed = confirm
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .sort()
  if (typed.join(',') === wanted.join(',')) return
  throw new Refused(
    'confirmation_required',
    'taking access without asking must be confirmed by typing the names of the roles',
    `give --confirm=${wanted.join(',')}`,
    { confirm: wanted.join(',') },
  )
}

function capFor(requester: Member, role: RoleContent): number {
  const answer = mayRequest(requester, role, 'break_glass')
  return answer.ok ? breakGlassCapMs(answer.blocks) : 0
}

function durationTaken(wanted: number | null, longestMs: number): number {
  if (wanted === null) return longestMs
  refuseBadLength(wanted, 'duration', LIMITS.durationMs)
  if (wanted <= longestMs) return wanted
  throw new Refused(
    'duration_over_cap',
    `without asking these roles may be taken for at most ${formatDuration(longestMs)}`,
    `take them with --duration=${formatDuration(longestMs)}`,
    { longestMs },
  )
}
