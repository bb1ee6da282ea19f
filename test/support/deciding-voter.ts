// A process that casts the deciding vote, asks where a policy decides, or takes access, and dies behind the n-th statement:
// `node deciding-voter.ts ORDER`, an order as JSON.
import { systemClock } from '../../src/foundation/clock.ts'
import { openDatabase } from '../../src/foundation/database/open-database.ts'
import { openPostgres } from '../../src/foundation/database/postgres/open-postgres.ts'
import type { PostgresSettings } from '../../src/foundation/database/postgres/postgres-settings.ts'
import { AccessWorld, callerNamed } from './access-world.ts'
import { approvingPolicies } from './approving-policies.ts'
import { withStrikes } from './failing-database.ts'

export interface VoterOrder {
  readonly store: { readonly path: string } | { readonly settings: PostgresSettings }
  readonly dieAfter: number
  /** bob approves this request; or this user asks for `prod`, or takes it */
  readonly deed: { readonly approve: string } | { readonly ask: string } | { readonly take: string }
}

const { store, deed, dieAfter } = JSON.parse(process.argv[2] ?? '') as VoterOrder
const inner =
  'path' in store
    ? openDatabase(store.path, { lock: false, durable: false })
    : await openPostgres(store.settings, { knownServer: true })
const database = withStrikes(inner, (statement) => {
  if (statement === dieAfter) process.kill(process.pid, 'SIGKILL')
})
const world = new AccessWorld(database, systemClock)
world.asker = approvingPolicies
if ('approve' in deed) await world.approve('bob', deed.approve)
else if ('ask' in deed) await world.ask(deed.ask, ['prod'])
else {
  const taken = { roles: ['prod'], reason: 'down', durationMs: null, confirm: 'prod' }
  await world.requests.breakGlass(callerNamed(deed.take), taken)
}
process.stdout.write('decided\n')
process.exit(0)
