// The store's boundary as a place where things break: `strike` runs behind the n-th statement of write transactions.
import type { KyselyPlugin } from 'kysely'
import type { Database } from '../../src/foundation/database/open-database.ts'
import { asTx } from '../../src/foundation/database/tx.ts'

/** The database, with every statement of its write transactions counted. `strike` is given its number: 1, 2, 3 ... */
export function withStrikes(database: Database, strike: (statement: number) => void): Database {
  let count = 0
  const plugin: KyselyPlugin = {
    transformQuery: ({ node }) => node,
    // Also of statements that were compiled before.
    async transformResult({ result }) {
      strike(++count)
      return result
    },
  }
  const transact: Database['transact'] = (work, landed) =>
    database.transact(async (tx) => work(asTx(tx.withPlugin(plugin))), landed)
  return new Proxy(database, {
    get(target, property) {
      if (property === 'transact') return transact
      const value: unknown = Reflect.get(target, property, target)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}
