import { expect, test } from 'vitest'
import { ManualClock } from '../../test/support/manual-clock.ts'
import { silentLog } from '../foundation/log.ts'
import { CancelAcrossDaemons } from './cancel-across-daemons.ts'

const KEY = 'ab'.repeat(32)

/** Daemons on one store; each knows the keys that are named. */
function daemons(keys: Readonly<Record<string, readonly string[]>>) {
  const listeners: ((word: string) => void)[] = []
  const words: string[] = []
  const cancelled: string[] = []
  const clock = new ManualClock()
  const database = {
    onWord: (listener: (word: string) => void) => void listeners.push(listener),
    tellDaemons: (word: string): Promise<void> => {
      words.push(word)
      for (const listener of listeners) listener(word)
      return Promise.resolve()
    },
  }
  const daemon = (id: string): CancelAcrossDaemons =>
    new CancelAcrossDaemons({
      ...{ database, id, clock, log: silentLog },
      cancelHere: (digest) => {
        const isOurs = keys[id]?.includes(digest) ?? false
        if (isOurs) cancelled.push(id)
        return Promise.resolve(isOurs ? 7 : null)
      },
    })
  const [a, b, c] = ['ist_a', 'ist_b', 'ist_c'].map(daemon)
  return { a, b, c, words, cancelled, clock, database }
}

test('the daemon whose session it is cancels, and whoever asked hears of it', async () => {
  const { a, words, cancelled } = daemons({ ist_c: [KEY] })
  expect(await a?.ask(KEY)).toBe(7)
  expect(cancelled).toEqual(['ist_c'])
  expect(words).toEqual([`cancel ist_a 1 ${KEY}`, 'cancelled ist_a 1 7'])
})

test('nobody answers for a key that nobody gave out, and after three seconds nobody is waited for', async () => {
  const { b, clock } = daemons({})
  const answer = b?.ask(KEY)
  clock.advance(3_000)
  expect(await answer).toBeNull()
})

test('who asks is not asked: its own workers were', async () => {
  const { a, cancelled, clock } = daemons({ ist_a: [KEY] })
  const answer = a?.ask(KEY)
  clock.advance(3_000)
  expect([await answer, cancelled]).toEqual([null, []])
})

test('guesses do not become a load on the store: fifty a second are asked about', async () => {
  const { a, words, clock } = daemons({ ist_b: [KEY] })
  const guesses = Array.from({ length: 60 }, () => a?.ask('00'.repeat(32)))
  expect(words).toHaveLength(50)
  expect(await a?.ask(KEY)).toBeNull()
  clock.advance(3_000)
  expect(new Set(await Promise.all(guesses))).toEqual(new Set([null]))
  expect(await a?.ask(KEY)).toBe(7)
})

test.each([
  '',
  'cancel',
  `cancel ist_a 1 ${KEY}x`,
  `cancel ist_a -1 ${KEY}`,
  `cancel ist_a 1 ${KEY.toUpperCase()}`,
  'cancelled ist_a 7 7',
  'cancelled ist_b 1 7',
  'cancelled ist_a 1',
  'cancelled ist_a 1e0 7',
  'cancelled ist_a 1 -7',
])('a word that is none of ours changes nothing: %j', async (word) => {
  const { a, cancelled, clock, database } = daemons({ ist_b: [KEY] })
  const answer = a?.ask('11'.repeat(32))
  await database.tellDaemons(word)
  clock.advance(3_000)
  expect([await answer, cancelled]).toEqual([null, []])
})
