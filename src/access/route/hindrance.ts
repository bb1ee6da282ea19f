import type { Directory } from '../directory.ts'
import type { RequestFacts } from './route-request.ts'

/** Why the request cannot be approved at the moment whatever the votes say, as a sentence; null = nothing is in the way. */
export function hindranceOf(requesterId: string, facts: RequestFacts, directory: Directory): string | null {
  const requester = directory.members.get(requesterId)
  if (!requester) return 'the requester is gone'
  if (requester.standing.kind !== 'good') return `the requester is ${requester.standing.kind}`
  const locked = facts.roles.find((role) => directory.lockOn('role', role.id) !== undefined)
  if (locked) return `the role ${locked.name} is locked`
  const lost = facts.roles.find((role) => !role.requestable)
  return lost ? `the requester may no longer ask for ${lost.name}` : null
}
