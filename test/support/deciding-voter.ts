// A process that casts the deciding vote and dies behind the n-th statement: `node deciding-voter.ts ORDER`, an order as JSON.
import { systemClock } from '../../src/foundation/clock.ts'
import { openDatabase } from '../../src/foundation/database/open-database.ts'
import { openPostgres } from '../../src/foundation/database/postgres/open-postgres.ts'
import type { PostgresSettings } from '../../src/foundation/database/postgres/postgres-settings.ts'
import { AccessWorld } from './access-world.ts'
import { withStrikes } from './failing-database.ts'

export interface VoterOrder {
  readonly store: { readonly path: string } | { readonly settings: PostgresSettings }
  readonly request: string
  readonly dieAfter: number
}

const { store, request, dieAfter } = JSON.parse(process.argv[2] ?? '') as VoterOrder
const inner =
  'path' in store
    ? openDatabase(store.path, { lock: false, durable: false })
    : await openPostgres(store.settings, { knownServer: true })
const database = withStrikes(inner, (statement) => {
  if (statement === dieAfter) process.kill(process.pid, 'SIGKILL')
})
const world = new AccessWorld(database, systemClock)
await world.approve('bob', request)
process.stdout.write('decided\n')
process.exit(0)
