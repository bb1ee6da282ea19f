import type { Deed, NewEvent, Tx } from '../../audit/deed.ts'
import { formatDuration } from '../../contract/duration.ts'
import { canonicalJson } from '../../formats/canonical-json.ts'
import type { DelegationsTable } from '../../foundation/database/tables.ts'
import { Refused } from '../../foundation/errors.ts'
import { newId } from '../../foundation/ids.ts'
import { reviewsRole } from '../../identity/role-rules.ts'
import { refuseBadReason, refuseBadStanding } from '../ask/plan-ask.ts'
import { requireMember, type Caller } from '../caller.ts'
import { loadDirectory, roleNamed, type Directory, type Member } from '../directory.ts'
import { LIMITS } from '../limits.ts'
import { delegationMade } from '../messages.ts'

export interface DelegationAsked {
  /** Name of the delegate */
  readonly to: string
  readonly until: number
  /** Names of requested roles; null = all that the caller may review */
  readonly roles: readonly string[] | null
  readonly reason: string
}

/**
 * The caller lets somebody vote for them. The delegate needs no right of their own, and gets none that could be handed on.
 * Errors: Refused with not_allowed, user_disabled, locked, not_found, malformed, over_limit, not_a_reviewer, exists.
 */
export async function addDelegationDeed(
  tx: Tx,
  now: number,
  caller: Caller,
  asked: DelegationAsked,
): Promise<Deed<string>> {
  const directory = await loadDirectory(tx, now)
  const absent = requireMember(caller, directory, 'name somebody to vote for them')
  refuseBadStanding(absent)
  refuseBadReason(asked.reason)
  const delegate = delegateNamed(asked.to, absent, directory)
  refuseBadEnd(asked.until, now)
  const roleIds = rolesNamed(asked.roles, absent, directory)
  refuseTooMany(absent, delegate, roleIds, directory, now)
  const row: DelegationsTable = {
    id: newId('delegation', now),
    event_id: '',
    absent_id: absent.id,
    delegate_id: delegate.id,
    role_ids_json: roleIds && canonicalJson(roleIds),
    reason: asked.reason,
    created_at: now,
    ends_at: asked.until,
    removed_at: null,
    removed_by: null,
    removed_why: null,
  }
  await tx.insertInto('delegations').values(row).execute()
  const told = { absent: absent.name, delegate: delegate.name, until: asked.until, reason: asked.reason }
  return { result: row.id, events: [madeEvent(row, caller)], outbox: [delegationMade(row.id, told)] }
}

function delegateNamed(name: string, absent: Member, directory: Directory): Member {
  const delegate = [...directory.members.values()].find((member) => member.name === name)
  if (!delegate) throw new Refused('not_found', `there is no user "${name}"`)
  if (delegate.id === absent.id) throw new Refused('malformed', 'nobody stands in for themselves', 'name somebody else')
  if (delegate.ownerId) throw new Refused('malformed', 'a service account stands in for nobody', 'name a person')
  if (delegate.standing.kind === 'disabled') throw new Refused('user_disabled', `the account ${name} is disabled`)
  if (delegate.standing.kind === 'locked') throw new Refused('locked', `the account ${name} is locked`)
  return delegate
}

function refuseBadEnd(until: number, now: number): void {
  if (until <= now) throw new Refused('malformed', 'the end of a delegation lies ahead', 'give --until=DATE')
  if (until - now > LIMITS.delegationMs)
    throw new Refused(
      'over_limit',
      `a delegation lasts ${formatDuration(LIMITS.delegationMs)} at most`,
      'name an earlier end, and make it again when you are still away',
    )
}

/** A role that does not exist and one that the caller does not review get the same answer. */
function rolesNamed(names: readonly string[] | null, absent: Member, directory: Directory): string[] | null {
  if (names === null) {
    if (absent.roles.some(({ spec }) => (spec.allow.review_requests?.roles.length ?? 0) > 0)) return null
    throw new Refused('not_a_reviewer', 'your roles let you review nothing, so there is nothing to hand over')
  }
  const ids = names.map((name) => {
    const role = roleNamed(directory, name)
    if (role && reviewsRole(absent, name)) return role.id
    throw new Refused('not_a_reviewer', `your roles do not let you review requests for "${name}"`)
  })
  return [...new Set(ids)].sort()
}

function refuseTooMany(
  absent: Member,
  delegate: Member,
  roleIds: readonly string[] | null,
  directory: Directory,
  now: number,
): void {
  const live = directory.delegations.filter((each) => each.absentId === absent.id && each.endsAt > now)
  if (live.length >= LIMITS.delegations)
    throw new Refused('over_limit', `at most ${LIMITS.delegations} delegations at a time`, 'sally delegation ls')
  const roles = canonicalJson(roleIds)
  const same = live.find((each) => each.delegateId === delegate.id && canonicalJson(each.roleIds) === roles)
  if (same)
    throw new Refused(
      'exists',
      `${delegate.name} stands in for you already`,
      `to change its end: sally delegation rm ${same.id}, then add it anew`,
    )
}

function madeEvent(row: DelegationsTable, { actor, loginId }: Caller): NewEvent {
  const { id, absent_id: absent, delegate_id: delegate, reason, ends_at: until } = row
  return {
    type: 'delegation.create',
    actor,
    outcome: 'success',
    login: loginId,
    details: { delegation: id, absent, delegate, roles: row.role_ids_json, reason, until },
    rows: [{ table: 'delegations', id }],
  }
}
