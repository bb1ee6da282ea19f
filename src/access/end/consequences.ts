import { lockOnResource } from '../lock-on-resource.ts'
import type { GrantNow } from '../../grants/grant-standing.ts'
import { grantStanding } from '../../grants/grant-standing.ts'
import type { Directory } from '../directory.ts'
import type { RequestCase } from '../request-case.ts'
import { confinementOf, type StoredGrant } from '../../grants/stored-grant.ts'
import { resourceKey } from '../../resources/resource.ts'
import type { GrantEndReason } from './end-grant.ts'

// What must happen to a request or grant because of the clock or of something that happened elsewhere: a user removed, a
// role deleted, a lock. Pure; the sweep carries it out.

export type Consequence =
  | { readonly kind: 'none' }
  | { readonly kind: 'expire_request' }
  | { readonly kind: 'cancel_request'; readonly because: string }
  | { readonly kind: 'end_grant'; readonly reason: GrantEndReason }
  /** Its instant has come */
  | { readonly kind: 'start_grant' }
  /** The stored reason for giving nothing at the moment changes; null = it gives again */
  | { readonly kind: 'suspend_grant'; readonly why: string | null }

const NONE: Consequence = { kind: 'none' }

type Loaded = Pick<RequestCase, 'request' | 'grant' | 'directory' | 'resources' | 'pinned'>

export function consequenceFor(loaded: Loaded, now: number): Consequence {
  if (loaded.request.state === 'pending') return pendingConsequence(loaded, now)
  return loaded.grant ? grantConsequence(loaded.grant, loaded, now) : NONE
}

function pendingConsequence({ request, directory, resources }: Loaded, now: number): Consequence {
  if (now >= request.pending_until) return { kind: 'expire_request' }
  const requester = directory.members.get(request.user_id)
  if (!requester) return { kind: 'cancel_request', because: 'the user was removed' }
  const wasDisabled = requester.disabledAt !== null && request.created_at <= requester.disabledAt
  if (requester.standing.kind === 'disabled' || wasDisabled)
    return { kind: 'cancel_request', because: 'the user was disabled' }
  const lock = directory.lockOn('request', request.id)
  if (lock !== undefined) return { kind: 'cancel_request', because: `locked${lock ? `: ${lock}` : ''}` }
  const gone = request.roles.find((role) => !directory.roles.has(role.id))
  if (gone) return { kind: 'cancel_request', because: `the role ${gone.name} was deleted` }
  const removed = request.resources.find((resource) => !resources.has(resource.id))
  return removed ? { kind: 'cancel_request', because: `${resourceKey(removed)} was removed` } : NONE
}

function grantConsequence(
  grant: StoredGrant,
  { directory, resources, pinned }: Omit<Loaded, 'request' | 'grant'>,
  now: number,
): Consequence {
  const standing = grantStanding(grantNow(grant, directory, resources, pinned), now)
  if (standing.kind === 'over')
    return standing.reason === 'ended' ? NONE : { kind: 'end_grant', reason: standing.reason }
  if (standing.kind === 'not_started') return NONE
  if (grant.state === 'scheduled') return { kind: 'start_grant' }
  return standing.why === grant.suspended ? NONE : { kind: 'suspend_grant', why: standing.why }
}

/** The grant with everything that decides what it gives. `resources`: those of its request that still exist, by id. */
export function grantNow(
  grant: StoredGrant,
  directory: Directory,
  resources: RequestCase['resources'],
  pinned: RequestCase['pinned'],
): GrantNow {
  const confinedTo = confinementOf(grant)
  const owner = directory.members.get(grant.user_id)
  return {
    grant,
    owner: owner && {
      person: owner,
      disabled: owner.standing.kind === 'disabled',
      disabledAt: owner.disabledAt,
      locked: owner.standing.kind === 'locked',
    },
    requestLocked: directory.lockOn('request', grant.request_id) !== undefined,
    roles: grant.roles.map(({ id, name }) => {
      const locked = directory.lockOn('role', id) !== undefined
      return { id, name, current: directory.roles.get(id), locked, pinned: pinned.get(id) }
    }),
    confinedTo,
    places:
      confinedTo?.resources?.map((pin) => {
        const locked = lockOnResource(directory, pin) !== undefined
        return { pin, current: resources.get(pin.id), locked }
      }) ?? null,
  }
}
