import { type Kysely, Transaction } from 'kysely'
import { Bug } from '../errors.ts'
import type { Tables } from './tables.ts'

/**
 * A write transaction of the store. Not Kysely's own class: to see that its Transaction is a Kysely, the compiler compares all
 * their methods for two seconds, and for half as long again at each union of the two.
 */
export type Tx = Kysely<Tables> & { readonly isTransaction: true }

/** Kysely's transaction as the store's. */
export function asTx(transaction: unknown): Tx {
  if (!isTx(transaction)) throw new Bug('not a transaction')
  return transaction
}

function isTx(value: unknown): value is Tx {
  return value instanceof Transaction
}
