import { lockOnResource } from '../lock-on-resource.ts'
import type { Directory } from '../directory.ts'
import { resourceKey } from '../../resources/resource.ts'
import type { RequestFacts } from './route-request.ts'
import type { RoutedResource } from './route-resources.ts'

/** Why the request cannot be approved at the moment whatever the votes say, as a sentence; null = nothing is in the way. */
export function hindranceOf(requesterId: string, facts: RequestFacts, directory: Directory): string | null {
  const requester = directory.members.get(requesterId)
  if (!requester) return 'the requester is gone'
  if (requester.standing.kind !== 'good') return `the requester is ${requester.standing.kind}`
  const locked = facts.roles.find((role) => directory.lockOn('role', role.id) !== undefined)
  if (locked) return `the role ${locked.name} is locked`
  const lost = facts.roles.find((role) => !role.requestable)
  if (lost) return `the requester may no longer ask for ${lost.name}`
  return facts.resources.flatMap((resource) => resourceHindrance(resource, directory) ?? [])[0] ?? null
}

function resourceHindrance(resource: RoutedResource, directory: Directory): string | null {
  const key = resourceKey(resource)
  if (resource.now === null) return `${key} was removed`
  if (lockOnResource(directory, resource) !== undefined) return `${key} is locked`
  return resource.roleIds.length === 0 ? `none of the roles gives ${key} any more` : null
}
