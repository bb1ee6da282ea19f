import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openDatabase } from '../../src/foundation/database/open-database.ts'
import { systemClock, type Clock } from '../../src/foundation/clock.ts'
import { AccessWorld } from '../support/access-world.ts'

// Two deciding votes at the same instant from two processes on one store, with a barrier between reading and writing.

const RACES = 100
let folder: string
let world: AccessWorld<Clock>
let voters: readonly [ChildProcess, ChildProcess]

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-race-'))
  const path = join(folder, 'store.db')
  world = await AccessWorld.open(systemClock, openDatabase(path, { lock: false, durable: false }))
  await world.role('dba')
  await world.role('dev', { allow: { request: { roles: ['*'], thresholds: [{ approve: 1, deny: 1 }] } } })
  await world.role('lead', { allow: { review_requests: { roles: ['*'] } } })
  for (const name of ['bob', 'carol']) await world.user(name, { roles: ['lead'] })
  const start = (): ChildProcess =>
    fork(join(import.meta.dirname, 'vote-race-voter.ts'), [path], { execArgv: ['--no-warnings'] })
  voters = [start(), start()]
})
afterAll(async () => {
  for (const voter of voters) voter.kill()
  await world.close()
  rmSync(folder, { recursive: true, force: true })
})

async function answerOf(voter: ChildProcess): Promise<unknown> {
  const [message] = (await once(voter, 'message')) as [unknown]
  return message
}

test(
  `two deciding votes at the same instant: ${RACES} times exactly one decides and the other is told`,
  { timeout: 300_000 },
  async () => {
    const winners = { approved: 0, denied: 0 }
    for (let race = 0; race < RACES; race++) {
      // A new person for each race: nobody may ask 100 times in an hour.
      await world.user(`asker-${race}`, { roles: ['dev'] })
      const { id } = await world.ask(`asker-${race}`, ['dba'])
      const orders = [
        { request: id, voter: 'bob', decision: 'approve' },
        { request: id, voter: 'carol', decision: race % 4 === 3 ? 'approve' : 'deny' },
      ] as const
      const ready = voters.map(answerOf)
      for (const [index, voter] of voters.entries()) voter.send(orders[index] ?? '')
      expect(await Promise.all(ready)).toEqual(['ready', 'ready'])
      const answers = voters.map(answerOf)
      const order = race % 2 ? voters : voters.toReversed()
      for (const voter of order) voter.send('go')
      const told = (await Promise.all(answers)).map((message) => (message as { answer: string }).answer)
      const shown = await world.show(id)
      if (shown.state !== 'approved' && shown.state !== 'denied') throw new Error(`race ${race} left it ${shown.state}`)
      winners[shown.state] += 1
      expect(told.toSorted(), `race ${race}`).toEqual(['already_resolved', shown.state].toSorted())
      expect(shown.reviews, `race ${race}`).toHaveLength(1)
      expect(shown.grant === null, `race ${race}`).toBe(shown.state === 'denied')
    }
    const types = await world.eventTypes()
    expect(types.filter((type) => type === 'access_request.approve' || type === 'access_request.deny')).toHaveLength(
      RACES,
    )
    expect(types.filter((type) => type === 'grant.start')).toHaveLength(winners.approved)
    // Both ways were taken, or nothing was raced for.
    expect(Math.min(winners.approved, winners.denied)).toBeGreaterThan(0)
  },
)
