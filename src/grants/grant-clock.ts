import type { GrantsTable } from '../foundation/database/tables.ts'

// What the clock makes of a grant that nobody has ended. Instants in ms.

type Clocked = Pick<GrantsTable, 'state' | 'starts_at' | 'ends_at' | 'use_by' | 'use_length_ms'>

/** Its clock starts with the first connection that needs it. */
export function waitsForUse(grant: Pick<Clocked, 'state' | 'use_by'>): boolean {
  return grant.state === 'scheduled' && grant.use_by !== null
}

/** When it ends by itself, and what that is called. At that very instant it is over. */
export function clockEnd(grant: Clocked): { readonly at: number; readonly reason: 'expired' | 'lapsed' } {
  return waitsForUse(grant) && grant.use_by !== null
    ? { at: grant.use_by, reason: 'lapsed' }
    : { at: grant.ends_at, reason: 'expired' }
}

/**
 * Its clock runs at `now`, stored as that or not yet. What is stored as active has begun, whatever the clock says since: set
 * back a little, it takes nothing away.
 */
export function hasStarted(grant: Clocked, now: number): boolean {
  if (grant.state === 'scheduled') return grant.use_by === null && grant.starts_at <= now
  return true
}

/** It would work from `now` on if it were used. */
export function mayStartAt(grant: Clocked, now: number): boolean {
  return waitsForUse(grant) && grant.starts_at <= now && now < clockEnd(grant).at
}

/** How long it lasts or would last, extensions included. */
export function lengthOf(grant: Clocked): number {
  return waitsForUse(grant) && grant.use_length_ms !== null ? grant.use_length_ms : grant.ends_at - grant.starts_at
}

/** When it was given; rows of before say so by their start. */
export function approvedAt(grant: Pick<GrantsTable, 'approved_at' | 'starts_at'>): number {
  return grant.approved_at ?? grant.starts_at
}
