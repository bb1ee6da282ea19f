import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Database } from '../foundation/database/open-database.ts'
import { openTemporaryDatabase } from '../foundation/database/open-database.ts'
import { silentLog } from '../foundation/log.ts'
import { ManualClock } from '../../test/support/manual-clock.ts'
import { StoredDeedLog } from './commit-deed.ts'
import type { Committed } from './deed.ts'
import { spillInMemory } from './spill-file.ts'
import { Telling, type ToldStore } from './telling.ts'

let store: Database
let deeds: StoredDeedLog
let committed: Committed
let heard: (seq: number) => void
let telling: Telling
/** What a listener was told, and whether it is through. */
let told: { position: number; isDone: boolean }[]
let release: () => void

/** A store that others write to as well, with one deed in it that nobody was told of. */
beforeEach(async () => {
  const clock = new ManualClock()
  store = openTemporaryDatabase(clock)
  deeds = new StoredDeedLog({ database: store, clock, log: silentLog, spill: spillInMemory() })
  deeds.onCommitted((each) => void (committed = each))
  const actor = { kind: 'system', id: null, name: 'test' } as const
  await deeds.commitDeed(() =>
    Promise.resolve({ result: null, events: [{ type: 'daemon.start', actor, outcome: 'success' }] }),
  )
  const watched: ToldStore = {
    kind: 'postgres',
    reads: store.reads,
    watchHead: (onHead: (seq: number) => void) => {
      heard = onHead
      return { look: () => {}, silentFor: () => 0, stop: () => Promise.resolve() }
    },
  }
  told = []
  const slow = async ({ position }: Committed): Promise<void> => {
    const mine = { position, isDone: false }
    told.push(mine)
    await new Promise<void>((resolve) => (release = resolve))
    mine.isDone = true
  }
  telling = new Telling(watched, silentLog, new Set([slow]))
  telling.follow(0)
})
afterEach(async () => {
  await deeds.close()
  await store.close()
})

const through = (): boolean[] => told.map(({ isDone }) => isDone)
/** Lets everything happen that waits for nothing but the store. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await store.reads.selectFrom('chain_head').select('seq').execute()
}

test('a deed that the watch has told of is done when its listeners are through, not before', async () => {
  heard(committed.position)
  await settle()
  expect(told).toHaveLength(1)
  const done = telling.own(0, committed).then(() => expect(through()).toEqual([true]))
  await settle()
  release()
  await done
  expect(told).toHaveLength(1)
})

test('catching up waits for what the watch is telling at the moment', async () => {
  heard(committed.position)
  await settle()
  const done = telling.catchUp().then(() => expect(through()).toEqual([true]))
  await settle()
  release()
  await done
})
