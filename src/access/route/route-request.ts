import { factsDigest } from '../../formats/request-digest.ts'
import {
  capOf,
  mayRequest,
  thresholdSetsOf,
  type Person,
  type RoleContent,
  type ThresholdSet,
} from '../../identity/role-rules.ts'

/** A requested role with everything that decides about it now. */
export interface RoutedRole {
  readonly id: string
  readonly name: string
  /** Current revision; 0 = the role is gone */
  readonly revision: number
  readonly contentHash: string
  /** Whether the requester may ask for it now: without that nothing approves it */
  readonly requestable: boolean
  readonly capMs: number
  /** Own role of the requester that sets the cap; null = the default */
  readonly cappedBy: string | null
  /** Each of them must be met */
  readonly sets: readonly ThresholdSet[]
}

/** The facts document: what the rules see. Review rules and policies will stand beside the roles. */
export interface RequestFacts {
  readonly roles: readonly RoutedRole[]
  readonly rules: readonly { readonly id: string; readonly contentHash: string }[]
  readonly policies: readonly { readonly file: string; readonly contentHash: string }[]
}

/** Works out, for each requested role, which thresholds the requester's own roles bring along. Undefined: person or role gone. */
export function routeRequest(
  requester: Person | undefined,
  requested: readonly { readonly id: string; readonly name: string }[],
  roles: ReadonlyMap<string, RoleContent>,
): RequestFacts {
  return { roles: requested.map((role) => routeRole(requester, role, roles.get(role.id))), rules: [], policies: [] }
}

function routeRole(
  requester: Person | undefined,
  { id, name }: { readonly id: string; readonly name: string },
  current: RoleContent | undefined,
): RoutedRole {
  const answer = requester && current ? mayRequest(requester, current) : null
  const now = {
    id,
    name: current?.name ?? name,
    revision: current?.revision ?? 0,
    contentHash: current?.contentHash ?? '',
  }
  if (!answer?.ok) return { ...now, requestable: false, capMs: 0, cappedBy: null, sets: [] }
  const cap = capOf(answer.blocks)
  return { ...now, requestable: true, capMs: cap.ms, cappedBy: cap.setBy, sets: thresholdSetsOf(answer.blocks) }
}

/** Changes with thresholds, caps and role contents; not with who may vote, which is looked up anew at each count. */
export function digestOfFacts(facts: RequestFacts): string {
  const roles = facts.roles.map(({ id, contentHash, requestable, capMs, sets }) => ({
    id,
    contentHash,
    requestable,
    capMs,
    sets,
  }))
  return factsDigest({ roles, rules: facts.rules, policies: facts.policies })
}

export interface LongestDuration {
  readonly ms: number
  /** Requested role that caps, and the own role that says so (null = default) */
  readonly role: string
  readonly setBy: string | null
}

/** The smallest cap over the requested roles, whatever their order. */
export function longestDuration(facts: RequestFacts): LongestDuration | null {
  return facts.roles.reduce<LongestDuration | null>(
    (least, role) =>
      least && least.ms <= role.capMs ? least : { ms: role.capMs, role: role.name, setBy: role.cappedBy },
    null,
  )
}
