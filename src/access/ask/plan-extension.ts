import { formatDuration } from '../../contract/duration.ts'
import { Refused } from '../../foundation/errors.ts'
import { clockEnd, lengthOf } from '../../grants/grant-clock.ts'
import type { StoredGrant } from '../../grants/stored-grant.ts'
import { resourceKey, type ResourceFacts } from '../../resources/resource.ts'
import type { Directory, Member } from '../directory.ts'
import { isGone } from '../end/grant-gone.ts'
import { LIMITS } from '../limits.ts'
import { planAsk, type AskHistory, type AskPlan } from './plan-ask.ts'
import { pendingEnd } from './plan-start.ts'

/** More time for a grant, counted from its end. */
export interface ExtensionAsked {
  readonly reason: string
  readonly durationMs: number
  readonly pendingForMs: number | null
  readonly reviewers: readonly string[]
}

/**
 * An extension is asked for by the same rules as what it extends: the roles are asked for anew, with the thresholds, caps and
 * contents of today, for what is left (`left`, by id) of the resources that it pins. Errors: those of planAsk, grant_ended, not_extendable, over_limit.
 */
export function planExtension(
  requester: Member,
  grant: StoredGrant,
  asked: ExtensionAsked,
  directory: Directory,
  history: AskHistory,
  left: ReadonlyMap<string, ResourceFacts>,
  now: number,
): AskPlan {
  if (isGone({ extended: grant, directory, resources: left, pinned: new Map() }, now))
    throw new Refused('grant_ended', 'the grant has ended', 'ask for the access anew: sally request create')
  if (grant.kind === 'break_glass') throw new Refused('not_extendable', 'break-glass access is never extended')
  const roles = grant.roles.map((pinned) => roleToday(pinned, directory))
  const { narrowing } = grant
  const content = { roles, resources: [...left.values()], narrowing }
  const found = new Map(content.resources.map((resource) => [resourceKey(resource), resource]))
  const plan = planAsk(requester, { ...asked, ...content, start: { at: 'approval' } }, directory, history, found, now)
  refuseTooLong(grant, plan.durationMs)
  const pendingUntil = pendingEnd(asked.pendingForMs, { at: clockEnd(grant).at, what: 'the end of the grant' }, now)
  return { ...plan, pendingUntil, extended: grant }
}

function roleToday({ id, name }: StoredGrant['roles'][number], directory: Directory): string {
  const role = directory.roles.get(id)
  if (role) return role.name
  throw new Refused('not_extendable', `the role ${name} was deleted`, 'ask anew for what is left of the access')
}

function refuseTooLong(grant: StoredGrant, byMs: number): void {
  const left = LIMITS.durationMs - lengthOf(grant)
  if (byMs <= left) return
  const most = `a grant lasts at most ${formatDuration(LIMITS.durationMs)} in all`
  throw new Refused(
    'over_limit',
    left > 0 ? `${most}; this one can have ${formatDuration(left)} more` : most,
    'ask for the access anew when it has ended',
  )
}
