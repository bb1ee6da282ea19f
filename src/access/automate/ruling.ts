import { formatDuration, parseDuration } from '../../contract/duration.ts'
import type { Verdict } from '../../contract/policy.ts'
import type { ThresholdSet } from '../../identity/role-rules.ts'
import type { RequestFacts } from '../route/route-request.ts'
import type { Automation, Judged } from './automation.ts'

export interface AutomaticVote {
  readonly by: string
  readonly decision: 'approve' | 'deny'
  readonly reason: string
  readonly roleIds: readonly string[]
  readonly decides: boolean
}

/** What follows from the judgements for the count. */
export interface Ruling {
  readonly votes: readonly AutomaticVote[]
  /** Threshold sets that are needed besides the roles' own */
  readonly required: readonly { readonly roleIds: readonly string[]; readonly set: ThresholdSet }[]
  /** Nothing longer is granted; null = no limit */
  readonly limitMs: number | null
  /** Why nothing can be approved, as a sentence; null = nothing is in the way */
  readonly blocked: string | null
}

export const NO_RULING: Ruling = { votes: [], required: [], limitMs: null, blocked: null }

/** Pure. Judgements that were made under other rules or policies than those of `facts` block nothing: they are asked again. */
export function rulingOf(automation: Automation | null, facts: RequestFacts): Ruling {
  if (!automation || automation.judged.length === 0) return NO_RULING
  const { judged } = automation
  const limits = verdictsOf(judged, 'limit').flatMap(({ verdict }) => {
    const parsed = parseDuration(verdict.duration)
    return parsed.ok ? [parsed.ms] : []
  })
  return {
    votes: judged.flatMap(voteOf),
    required: verdictsOf(judged, 'require').map(({ by, roleIds, verdict }) => ({
      roleIds,
      set: requiredSet(by, verdict.group, verdict.approvals),
    })),
    limitMs: limits.length === 0 ? null : Math.min(...limits),
    blocked: isCurrent(judged, facts) ? blockedBy(judged) : null,
  }
}

type Saying<N extends Verdict['verdict']> = Judged & { readonly verdict: Extract<Verdict, { verdict: N }> }

function verdictsOf<N extends Verdict['verdict']>(judged: readonly Judged[], name: N): Saying<N>[] {
  return judged.flatMap((one) =>
    one.judgement.ok
      ? one.judgement.verdicts.flatMap((verdict) => (isA(verdict, name) ? [{ ...one, verdict }] : []))
      : [],
  )
}

function isA<N extends Verdict['verdict']>(verdict: Verdict, name: N): verdict is Extract<Verdict, { verdict: N }> {
  return verdict.verdict === name
}

/** One vote each, whatever it says besides; a denial wins over an approval. */
function voteOf(judged: Judged): AutomaticVote[] {
  const [denial] = verdictsOf([judged], 'deny')
  const [approval] = verdictsOf([judged], 'approve')
  const { by, roleIds, decides } = judged
  if (denial) return [{ by, decision: 'deny', reason: denial.verdict.reason, roleIds, decides: false }]
  return approval ? [{ by, decision: 'approve', reason: approval.verdict.reason, roleIds, decides }] : []
}

/** `dba`: own role; `team=dba`: trait. Whoever is asked for may refuse as well. */
function requiredSet(by: string, group: string, approve: number): ThresholdSet {
  const cut = group.indexOf('=')
  const text = JSON.stringify(cut < 0 ? group : group.slice(cut + 1))
  const filter =
    cut < 0 ? `${text} in reviewer.roles` : `${text} in reviewer.traits[${JSON.stringify(group.slice(0, cut))}]`
  return { source: by, thresholds: [{ name: `${group}, for ${by}`, filter, approve, deny: 1, distinct: false }] }
}

function isCurrent(judged: readonly Judged[], { rules, policies }: RequestFacts): boolean {
  const standing = [...rules, ...policies].map((one) => one.contentHash).sort()
  const seen = judged.map((one) => one.contentHash).sort()
  return standing.length === seen.length && standing.every((hash, index) => hash === seen[index])
}

function blockedBy(judged: readonly Judged[]): string | null {
  const failed = judged.flatMap(({ by, approveOnly, judgement }) =>
    judgement.ok || approveOnly ? [] : [`${by} failed: ${judgement.problem}`],
  )
  return failed.length === 0 ? null : failed.join('; ')
}

/** What each says, in words; those that abstain say nothing. */
export function sayings(automation: Automation | null): { by: string; says: string }[] {
  return (automation?.judged ?? []).flatMap(({ by, approveOnly, judgement }) => {
    if (!judgement.ok)
      return [{ by, says: `failed${approveOnly ? '' : ', so nothing can be approved'}: ${judgement.problem}` }]
    return judgement.verdicts.flatMap((verdict) => {
      const says = sayingOf(verdict)
      return says === null ? [] : [{ by, says }]
    })
  })
}

function sayingOf(verdict: Verdict): string | null {
  switch (verdict.verdict) {
    case 'approve':
    case 'deny':
      return `${verdict.verdict === 'approve' ? 'approves' : 'denies'}${verdict.reason === '' ? '' : `: ${verdict.reason}`}`
    case 'require':
      return `requires ${verdict.approvals} of ${verdict.group}`
    case 'limit': {
      const parsed = parseDuration(verdict.duration)
      return `limits it to ${parsed.ok ? formatDuration(parsed.ms) : verdict.duration}`
    }
    case 'abstain':
      return null
  }
}
