import type { NewEvent, Tx } from '../../audit/deed.ts'
import { canonicalJson } from '../../formats/canonical-json.ts'
import { insertRow } from '../../foundation/database/fixed-statement.ts'
import { newId } from '../../foundation/ids.ts'
import type { Actor } from '../../contract/audit.ts'
import type { GrantsTable } from '../../foundation/database/tables.ts'
import { bounded } from '../bounded.ts'
import { LIMITS } from '../limits.ts'
import type { RequestCase } from '../request-case.ts'
import { askedAs, storedNarrowing, type PinnedRole } from '../../grants/stored-grant.ts'
import { asPinned } from '../route/route-resources.ts'

/**
 * The grant of an approved request. Its clock starts now, at an instant or at its first use; it pins the revisions that
 * stood in the facts which every counted approval named, so nobody gets contents that the reviewers were not shown.
 * Resources it pins as they stood there, too: labelled anew they must not let a role in that did not give them.
 */
export function grantOf(
  { request, facts, tally }: Pick<RequestCase, 'request' | 'facts' | 'tally'>,
  now: number,
): GrantsTable {
  const pinned = facts.roles.map(({ id, name, revision, contentHash }): PinnedRole => ({
    id,
    name,
    revision,
    contentHash,
  }))
  return {
    id: newId('grant', now),
    event_id: '',
    request_id: request.id,
    user_id: request.user_id,
    kind: askedAs(request),
    roles_json: canonicalJson(pinned),
    ...clockOf(request, tally, now),
    ended_at: null,
    end_reason: null,
    ended_by: null,
    end_comment: null,
    suspended: null,
    login_id: request.login_id,
    resources_json: request.resources.length === 0 ? null : canonicalJson(asPinned(facts.resources)),
    narrowing_json: request.narrowing && canonicalJson(request.narrowing),
    approved_at: now,
    moved_at: null,
  }
}

function clockOf(
  { start }: RequestCase['request'],
  { grantedMs, startAt }: RequestCase['tally'],
  now: number,
): Pick<GrantsTable, 'state' | 'starts_at' | 'ends_at' | 'use_by' | 'use_length_ms'> {
  const starts_at = Math.max(now, startAt ?? now)
  if (start.at === 'first-use') {
    const use_by = starts_at + LIMITS.firstUseMs
    return { state: 'scheduled', starts_at, ends_at: use_by + grantedMs, use_by, use_length_ms: grantedMs }
  }
  const state = starts_at > now ? 'scheduled' : 'active'
  return { state, starts_at, ends_at: starts_at + grantedMs, use_by: null, use_length_ms: null }
}

/** Writes it in the deciding transaction and returns its event. */
export async function storeGrant(tx: Tx, grant: GrantsTable, actor: Actor, login: string | null): Promise<NewEvent> {
  await insertRow(tx, 'grants', grant)
  return {
    type: grant.state === 'active' ? 'grant.start' : 'grant.schedule',
    actor,
    outcome: 'success',
    login,
    request: grant.request_id,
    grants: [grant.id],
    details: {
      user: grant.user_id,
      roles: JSON.parse(grant.roles_json) as PinnedRole[],
      resources: grant.resources_json === null ? [] : bounded(JSON.parse(grant.resources_json)),
      narrowing: storedNarrowing(grant.narrowing_json),
      startsAt: grant.starts_at,
      endsAt: grant.ends_at,
      useBy: grant.use_by,
      useLengthMs: grant.use_length_ms,
    },
    rows: [{ table: 'grants', id: grant.id }],
  }
}
