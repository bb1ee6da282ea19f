import { AccessRequests } from '../../src/access/access-requests.ts'
import { StoredDeedLog } from '../../src/audit/commit-deed.ts'
import { spillInMemory } from '../../src/audit/spill-file.ts'
import { systemClock } from '../../src/foundation/clock.ts'
import { openDatabase } from '../../src/foundation/database/open-database.ts'
import { silentLog } from '../../src/foundation/log.ts'
import type { Caller } from '../../src/access/caller.ts'

// One of two processes that vote at the same instant. It is told what to vote, reads the request, says "ready" when it is
// about to write, and writes at "go": the barrier stands between reading and writing.

interface Order {
  readonly request: string
  readonly voter: string
  readonly decision: 'approve' | 'deny'
}

const [path] = process.argv.slice(2)
if (path === undefined || !process.send) throw new Error('started by vote-race.test.ts only')

// The daemon's own lock would refuse a second process: that is the first line of defence, and not what is tested here.
const database = openDatabase(path, { lock: false, durable: false })
const deeds = new StoredDeedLog({ database, clock: systemClock, log: silentLog, spill: spillInMemory() })
const requests = new AccessRequests({
  reads: database.reads,
  deeds,
  clock: systemClock,
  log: silentLog,
  takeAway: () => {},
})

let go: () => void = () => {}
process.on('message', (message: Order | 'go') => {
  if (message === 'go') go()
  else void vote(message)
})
process.on('disconnect', () => process.exit(0))

async function vote({ request, voter, decision }: Order): Promise<void> {
  const id = `usr_${voter}`
  const caller: Caller = { actor: { kind: 'user', id, name: voter }, userId: id, loginId: null, local: false }
  const { requestDigest, factsDigest } = await requests.show(caller, request)
  const barrier = new Promise<void>((resolve) => void (go = resolve))
  const ballot = { decision, reason: '', durationMs: null, startAt: null, shown: null, requestDigest, factsDigest }
  const answer = await requests
    .review(caller, request, ballot, async () => {
      process.send?.('ready')
      await barrier
      return null
    })
    .then(
      ({ state }) => state,
      (error: unknown) => (error instanceof Error && 'code' in error ? String(error.code) : String(error)),
    )
  process.send?.({ answer })
}
