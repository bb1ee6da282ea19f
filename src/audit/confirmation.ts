import type { Deed, Tx } from './deed.ts'

/** What somebody proved for one deed alone. Used up in the deed's own transaction: a deed that fails leaves it as it was. */
export interface Confirmation {
  /** When it was seen to be good */
  readonly checkedAt: number
  /** Throws Refused('step_up_required') when another deed has used it up meanwhile, or when it is too old at `now`. */
  spend(tx: Tx, now: number): Promise<void>
}

/** Whoever does a deed; without a confirmation where none is demanded of them. */
export interface Confirmed {
  readonly confirmation?: Confirmation | null
}

type Work<T> = (tx: Tx, now: number) => Promise<Deed<T>>

/** A deed's work that uses up the doer's confirmation with it. */
export function confirmed<T>({ confirmation }: Confirmed, work: Work<T>): Work<T> {
  if (!confirmation) return work
  return async (tx, now) => {
    await confirmation.spend(tx, now)
    return await work(tx, now)
  }
}

/** For commitTakingAway: has happened in memory since the confirmation was seen, so it is too late to find it too old. */
export function confirmedTaking<T>({ confirmation }: Confirmed, work: Work<T>): Work<T> {
  if (!confirmation) return work
  return async (tx, now) => {
    await confirmation.spend(tx, Math.min(now, confirmation.checkedAt))
    return await work(tx, now)
  }
}
