import type { Confirmed } from '../audit/confirmation.ts'
import type { DeedLog } from '../audit/deed.ts'
import type { Actor } from '../contract/audit.ts'
import type { Clock } from '../foundation/clock.ts'
import type { Database } from '../foundation/database/open-database.ts'
import type { LocksTable } from '../foundation/database/tables.ts'

/** Who does a deed, for its events. */
export interface Doer extends Confirmed {
  readonly actor: Actor
  /** Login session; null for the local admin and the daemon itself */
  readonly loginId: string | null
}

export const SYSTEM: Doer = { actor: { kind: 'system', id: null, name: 'sallyport' }, loginId: null }

/** What ends in memory at once, before the store is asked; the snapshot's `takeAway` takes it. */
export type TakenAway =
  | { readonly kind: 'login' | 'service_token'; readonly id: string }
  | { readonly kind: 'lock'; readonly lock: Omit<LocksTable, 'event_id'> }

export interface StoreParts {
  readonly database: Database
  readonly deeds: DeedLog
  readonly clock: Clock
  readonly takeAway: (taken: TakenAway, now: number) => void
}
