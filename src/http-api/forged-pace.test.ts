import { describe, expect, test } from 'vitest'
import { ManualClock } from '../../test/support/manual-clock.ts'
import { ForgedPace } from './forged-pace.ts'

describe('callbacks that are not authentic', () => {
  const clock = new ManualClock()
  const pace = new ForgedPace(clock, 3)
  const count = (address: string, times: number, integration = 'slack'): (number | null)[] =>
    Array.from({ length: times }, () => pace.count(address, integration))

  test('are stopped from the fourth within a minute on, and told when it is over', () => {
    expect(count('192.0.2.1', 4)).toEqual([null, null, null, 60_000])
    clock.advance(20_000)
    expect(count('192.0.2.1', 1)).toEqual([40_000])
  })

  test('of another address or for another integration are counted by themselves', () => {
    expect(count('192.0.2.2', 3)).toEqual([null, null, null])
    expect(count('192.0.2.1', 3, 'jira')).toEqual([null, null, null])
  })

  test('are forgotten after a minute', () => {
    clock.advance(40_000)
    expect(count('192.0.2.1', 4)).toEqual([null, null, null, 60_000])
  })

  test('of one host are one count, however many of its IPv6 addresses it uses', () => {
    expect(count('2001:db8::1', 2)).toEqual([null, null])
    expect(count('2001:db8:0:0:ffff::2', 2)).toEqual([null, 60_000])
    expect(count('2001:db8:0:1::1', 1)).toEqual([null])
  })

  test('of ever new addresses take no more room than ten thousand', () => {
    for (let at = 0; at < 20_000; at += 1) pace.count(`10.0.${at >> 8}.${at & 255}`, 'slack')
    expect(count('10.0.78.31', 3)).toEqual([null, null, 60_000])
  })
})
