import { Refused } from '../foundation/errors.ts'
import type { AuthoritiesTable } from '../foundation/database/tables.ts'

export const ROTATION_STEPS = ['init', 'trust', 'sign', 'drop', 'cancel'] as const
export type RotationStep = (typeof ROTATION_STEPS)[number]
type State = AuthoritiesTable['state']

export interface RotatingAuthority {
  readonly id: string
  readonly state: State
  readonly createdAt: number
}

export interface RotationMove {
  /** True: a new authority is made, in the state `next` */
  readonly makeNext: boolean
  readonly changes: readonly { readonly id: string; readonly to: State }[]
}

// next    published, so that people can hand it to their targets; we neither sign with it nor take what it signed
// trusted taken when it signed, signs nothing: the new one before `sign`, the old one after it
// active  signs
// dropped refused for good

/**
 * What one step does to the authorities of one kind. `sign` may be undone by `cancel` until `drop`.
 * Throws Refused('not_allowed') for a step out of order.
 */
export function rotationMove(all: readonly RotatingAuthority[], step: RotationStep): RotationMove {
  const live = all.filter(({ state }) => state !== 'dropped')
  const active = live.find(({ state }) => state === 'active')
  const other = live.find(({ state }) => state !== 'active')
  if (!active) throw new Refused('not_allowed', 'no authority of this kind is active')
  if (step === 'init') {
    if (other) throw outOfOrder(`a rotation is under way: ${other.id} is ${other.state}`)
    return { makeNext: true, changes: [] }
  }
  if (!other) throw outOfOrder('no rotation is under way', 'sallyctl ca rotate KIND init')
  const isNewer = other.createdAt > active.createdAt
  if (step === 'trust') {
    if (other.state !== 'next') throw outOfOrder('both are trusted already')
    return { makeNext: false, changes: [{ id: other.id, to: 'trusted' }] }
  }
  if (step === 'sign') {
    if (other.state !== 'trusted' || !isNewer) throw outOfOrder('the new one must be trusted first and not sign yet')
    return { makeNext: false, changes: swap(active, other) }
  }
  if (step === 'drop') {
    if (isNewer) throw outOfOrder('the new one does not sign yet', 'sallyctl ca rotate KIND sign')
    return { makeNext: false, changes: [{ id: other.id, to: 'dropped' }] }
  }
  return { makeNext: false, changes: isNewer ? [{ id: other.id, to: 'dropped' }] : swap(active, other) }
}

function swap(active: RotatingAuthority, other: RotatingAuthority): RotationMove['changes'] {
  return [
    { id: active.id, to: 'trusted' },
    { id: other.id, to: 'active' },
  ]
}

function outOfOrder(message: string, hint?: string): Refused {
  return new Refused('not_allowed', message, hint)
}
