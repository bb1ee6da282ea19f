import { startPair } from '../../test/support/daemon-pair.ts'
import { tempFolder } from '../../test/support/temp-folder.ts'
import { createIdentity, startTarget } from '../ssh/peers.ts'
import { compare, type Row } from '../support/ratio-table.ts'
import { accessDocuments, apiOf, approvalToFirstByte, RUNS_PER_USER } from './approval-to-first-byte.ts'

const GOAL_MS = 500

/**
 * Two daemons on one PostgreSQL, which syncs its commits to disk. The ssh waits at the first, the reviewer votes at the
 * second: the news goes through the store.
 */
export async function measureApprovalAcrossDaemons(runs: number): Promise<Row> {
  using folder = tempFolder('bench-pair')
  createIdentity(folder)
  await using target = await startTarget(folder, 'target')
  await using pair = await startPair({ server: { config: ['fsync = on', 'synchronous_commit = on'] } })
  const { a, b } = pair
  target.trust(await a.onwardAuthority())
  for (const document of accessDocuments(target)) await a.document(document)
  const names = Array.from({ length: Math.ceil(runs / RUNS_PER_USER) }, (_, index) => `alice${index}`)
  for (const name of names) await a.user(name, ['engineer'])
  await b.user('bob', ['reviewer'])
  const waiting = await Promise.all(names.map((name) => a.signIn(name)))
  const reviewer = await apiOf((await b.signIn('bob')).home)
  const times: number[] = []
  for (let run = 0; run < runs; run++) {
    times.push(await approvalToFirstByte(waiting[run % waiting.length]?.home ?? '', reviewer))
  }
  return compare({
    ...{ case: 'approval to the first byte, two daemons', peer: 'limit', unit: 'ms', better: 'lower', goal: 1 },
    ...{ ours: times, theirs: GOAL_MS },
  })
}
