import { expect, it } from 'vitest'
import { ManualClock } from '../../../../test/support/manual-clock.ts'
import { StoreClock } from './store-clock.ts'

it("tells the server's time, however wrong the own clock is", () => {
  const own = new ManualClock(1_000_000)
  const clock = new StoreClock(own)
  clock.observe(5_000_000, 4)
  own.advance(250)
  expect(clock.now()).toBe(5_000_252)
  own.jumpTo(77)
  clock.observe(5_000_300, 0)
  expect(clock.now()).toBe(5_000_300)
})

it('never tells an instant before one that the server has told', () => {
  const own = new ManualClock(1_000_000)
  const clock = new StoreClock(own)
  clock.observe(1_000_000, 0)
  clock.told(1_000_030)
  expect(clock.now()).toBe(1_000_030)
  own.advance(10)
  expect(clock.now()).toBeGreaterThanOrEqual(1_000_030)
})

it('follows a server whose clock was set back', () => {
  const own = new ManualClock(1_000_000)
  const clock = new StoreClock(own)
  clock.observe(9_000_000, 0)
  clock.observe(1_000_000, 0)
  expect(clock.now()).toBe(1_000_000)
})
