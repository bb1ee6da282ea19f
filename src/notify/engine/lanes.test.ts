import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { LaneLimit } from '../connector.ts'
import { Lanes } from './lanes.ts'

const POSTS: LaneLimit = { of: 'new', per: 'destination', burst: 1, everyMs: 1000 }
const CHANGES: LaneLimit = { of: 'change', per: 'integration', burst: 3, everyMs: 1200 }
const A = 'channel:A'
const B = 'channel:B'

const roomOf = (lanes: Lanes, of: 'new' | 'change' | 'look', now: number) =>
  lanes.room(now).find((room) => room.of === of)

describe('the lanes of a vendor', () => {
  test('a destination that was written to is closed until its next call, and no other one is', () => {
    const lanes = new Lanes([POSTS])
    lanes.take('new', A, 10_000)
    expect(roomOf(lanes, 'new', 10_999)).toMatchObject({ closed: [A], oneEach: true })
    expect(lanes.opensAt(10_500)).toBe(11_000)
    expect(roomOf(lanes, 'new', 11_000)).toMatchObject({ closed: [] })
    lanes.take('new', B, 11_000)
    expect(roomOf(lanes, 'new', 11_001)).toMatchObject({ closed: [B] })
  })

  test('a call that is made later than it was claimed moves the next one by as much', () => {
    const lanes = new Lanes([POSTS])
    lanes.take('new', A, 0)
    lanes.sent('new', A, 300)
    expect(lanes.opensAt(300)).toBe(1300)
  })

  test.each<[string, number[], number, number]>([
    ['nothing was called', [], 0, 3],
    ['one was', [0], 0, 2],
    ['all of a burst were', [0, 0, 0], 0, 0],
    ['a burst ago, one has come back', [0, 0, 0], 1200, 1],
    ['and all after a rest', [0, 0, 0], 3600, 3],
    ['but no more than that', [0, 0, 0], 360_000, 3],
  ])('%s', (_what, calls, now, left) => {
    const lanes = new Lanes([CHANGES])
    for (const at of calls) lanes.take('change', A, at)
    expect(roomOf(lanes, 'change', now)?.most).toBe(left)
  })

  test('where the vendor says to wait, the narrowest lane does, with its word; without a lane everything has to', () => {
    const lanes = new Lanes([CHANGES, POSTS, { of: 'new', per: 'integration', burst: 20, everyMs: 200 }])
    expect(lanes.close('new', A, 30_000, 'too many')).toBe(true)
    expect(roomOf(lanes, 'new', 29_999)).toMatchObject({ closed: [A], most: 20 })
    expect(lanes.waits(29_999)).toEqual([{ of: 'new', destination: A, until: 30_000, why: 'too many' }])
    expect(lanes.close('change', A, 40_000, 'too many')).toBe(true)
    expect(roomOf(lanes, 'change', 39_999)?.most).toBe(0)
    expect(roomOf(lanes, 'change', 40_000)?.most).toBe(1)
    expect(lanes.close('look', A, 40_000, 'too many')).toBe(false)
  })

  test('after a word of the vendor’s there is no burst before a rest as long as a burst', () => {
    const lanes = new Lanes([CHANGES])
    lanes.close('change', A, 10_000, 'too many')
    for (const at of [10_000, 11_200, 12_400]) {
      expect(roomOf(lanes, 'change', at)?.most).toBe(1)
      lanes.take('change', A, at)
      expect(roomOf(lanes, 'change', at + 1199)?.most).toBe(0)
    }
    expect(roomOf(lanes, 'change', 13_600 + 3599)?.most).toBe(1)
    expect(roomOf(lanes, 'change', 13_600 + 3600)?.most).toBe(3)
  })

  test('with more closed destinations than the store is told of, nothing of that kind goes', () => {
    const lanes = new Lanes([POSTS])
    for (let index = 0; index <= 500; index++) lanes.take('new', `user:${index}`, 0)
    expect(roomOf(lanes, 'new', 1)?.most).toBe(0)
    expect(lanes.opensAt(1)).toBe(1000)
    expect(roomOf(lanes, 'new', 1000)).toMatchObject({ most: 1000, closed: [] })
  })

  test('who calls only where there is room never makes more calls in any window than the burst and the pace allow', () => {
    fc.assert(
      fc.property(
        fc.record({ burst: fc.integer({ min: 1, max: 6 }), everyMs: fc.integer({ min: 1, max: 50 }) }),
        fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 80 }),
        ({ burst, everyMs }, pauses) => {
          const lanes = new Lanes([{ of: 'new', per: 'destination', burst, everyMs }])
          const calls: number[] = []
          let now = 0
          for (const pause of pauses) {
            now += pause
            if (roomOf(lanes, 'new', now)?.closed.length !== 0) continue
            lanes.take('new', A, now)
            calls.push(now)
          }
          for (const [index, at] of calls.entries())
            for (const [more, later] of calls.slice(index).entries())
              expect(more + 1).toBeLessThanOrEqual(burst + (later - at) / everyMs)
        },
      ),
      { numRuns: 60 },
    )
  })
})
