import { hash } from 'node:crypto'
import type { AutomationFacts } from '../../contract/policy.ts'
import { canonicalJson } from '../../formats/canonical-json.ts'
import { reviewerFacts, type Person } from '../../identity/role-rules.ts'
import type { OnCallBasis } from './on-call.ts'
import type { RequestFacts } from '../route/route-request.ts'
import { requestForConditions, type StoredRequest } from '../stored-request.ts'

/** What rules and policies see of a request at `now`. Own roles alone: rights from a grant count for nothing here. */
export function automationFacts(
  request: StoredRequest,
  requesterName: string,
  requester: Person | undefined,
  now: number,
): AutomationFacts {
  const { kind, user, roles, resources, reason, durationMs, annotations, createdAt, start } = requestForConditions(
    request,
    requesterName,
  )
  const person = requester ? reviewerFacts(requester) : { name: requesterName, roles: [], traits: {} }
  return {
    now,
    request: {
      // Break-glass asks nobody, and so comes by here never.
      kind: kind === 'resource' || kind === 'extension' ? kind : 'role',
      user,
      roles: [...roles],
      resources: [...resources],
      reason,
      duration: durationMs,
      annotations: listsOf(annotations),
      created: createdAt,
      start,
    },
    requester: { name: person.name, roles: [...person.roles], traits: listsOf(person.traits) },
  }
}

function listsOf(lists: Readonly<Record<string, readonly string[]>>): Record<string, string[]> {
  return Object.fromEntries(Object.entries(lists).map(([key, values]) => [key, [...values]]))
}

/** Equal for what would be asked in the same way: all but the instant, and when the request was made. */
export function questionDigest(
  facts: AutomationFacts,
  { policies }: Pick<RequestFacts, 'policies'>,
  onCall: OnCallBasis | null,
): string {
  const { request, requester } = facts
  const asked = { request: { ...request, created: 0 }, requester, policies, ...(onCall ? { onCall } : {}) }
  return hash('sha256', canonicalJson(asked))
}
