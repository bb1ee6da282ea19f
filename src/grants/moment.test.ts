import { expect, test } from 'vitest'
import { includes, momentAround } from './moment.ts'

test('a moment lasts from the last instant at which something changed to the next one, which is not part of it', () => {
  const moment = momentAround(20, [10, 20, 30, 40])
  expect(moment).toEqual({ from: 20, until: 30 })
  expect([19, 20, 29, 30].map((now) => includes(moment, now))).toEqual([false, true, true, false])
})

test('where nothing starts or ends, a moment has no end', () => {
  expect(momentAround(20, [])).toEqual({ from: -Infinity, until: Infinity })
})
