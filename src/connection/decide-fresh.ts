import type { Deed, DeedLog, Tx } from '../audit/deed.ts'
import { Refused } from '../foundation/errors.ts'
import type { Snapshot } from '../grants/snapshot.ts'

/** A deed that decides by the snapshot, which is brought up to the store's head of the deciding transaction. */
export function decideFresh<T>(
  { deeds, snapshot }: { readonly deeds: DeedLog; readonly snapshot: Snapshot },
  work: (tx: Tx, now: number) => Promise<Deed<T>> | Deed<T>,
): Promise<T> {
  return deeds.commitDeed<T>(
    async (tx, now) => {
      const head = await tx.selectFrom('chain_head').select('seq').executeTakeFirst()
      const position = head?.seq ?? 0
      // Other daemons have written: nobody does now, so what is read beside this transaction is what it would read itself.
      if (position !== snapshot.position) await snapshot.apply({ position, rows: [] })
      if (position !== snapshot.position) throw new Refused('store_unavailable', 'the store went back behind us')
      return work(tx, now)
    },
    { first: true },
  )
}
