import type { RequestCase } from '../../request-case.ts'
import { stateAt } from '../present-request.ts'

/** What a decision still takes, a sentence for each role and group; empty once it is decided. Pure. */
export function stillNeeded({ request, hindrance, tally }: RequestCase, now: number): string[] {
  if (stateAt(request, now) !== 'pending') return []
  const missing = tally.roles.flatMap(({ role, sets }) =>
    sets
      .filter((set) => !set.met)
      .map((set) => {
        const ways = set.thresholds
          .filter(({ approve }) => approve > 0)
          .map(({ name, approve, approvals }) => `${count(approve - approvals)} counted by "${name}"`)
        return ways.length === 0
          ? `${role.name}: nothing approves it (by the role ${set.source})`
          : `${role.name}: ${ways.join(', or ')}`
      }),
  )
  const blocked = hindrance === null ? [] : [`cannot be approved now: ${hindrance}`]
  const last = missing.length === 0 ? ['one more approval that counts decides it'] : []
  return [...blocked, ...new Set(missing), ...last]
}

const count = (approvals: number): string => (approvals === 1 ? '1 more approval' : `${approvals} more approvals`)
