import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readStart } from './read-start.ts'

const NOW = Date.parse('2026-11-23T15:30:00Z')
const at = (text: string) => ({ ok: true, start: { at: 'instant', instant: Date.parse(text) } })

describe('a start as it is typed in chat', () => {
  test.each([
    ['18:00', '2026-11-23T18:00Z'],
    ['18:00 UTC', '2026-11-23T18:00Z'],
    ['18:00z', '2026-11-23T18:00Z'],
    ['18:00+01:00', '2026-11-23T17:00Z'],
    ['18:00 +0530', '2026-11-24T12:30Z'],
    ['9:00', '2026-11-24T09:00Z'],
    ['15:30', '2026-11-24T15:30Z'],
    ['23:59+14', '2026-11-24T09:59Z'],
    ['00:00-12', '2026-11-24T12:00Z'],
    ['2026-11-25 08:15', '2026-11-25T08:15Z'],
    ['2026-11-25T08:15+01:00', '2026-11-25T07:15Z'],
    ['+2h', '2026-11-23T17:30Z'],
    ['+1h 30m', '2026-11-23T17:00Z'],
  ])('%s is %s', (text, instant) => {
    expect(readStart(text, NOW)).toEqual(at(instant))
  })
  test.each([
    ['', 'approval'],
    ['now', 'approval'],
    ['first use', 'first-use'],
    ['First-Use', 'first-use'],
  ])('%j is %s', (text, start) => {
    expect(readStart(text, NOW)).toEqual({ ok: true, start: { at: start } })
  })
  test.each([
    ...[
      'tomorrow',
      '25:00',
      '18:60',
      '18',
      '18:00 CET',
      '18:00+15',
      '2026-02-31 10:00',
      '2026-11-22 10:00',
      '+8d',
      '+',
      '+0m',
    ],
    ...['2026-12-25 10:00', '1e3', '18:00:00', 'x'.repeat(5000), '١٨:٠٠'],
  ])('%j is none, and says why', (text) => {
    expect(readStart(text, NOW)).toEqual({ ok: false, message: expect.stringMatching(/./) as string })
  })
  test('whatever is typed, a start lies ahead and at most a week', () => {
    const parts = fc.array(fc.constantFrom('1', '23', '59', ':', '+', '-', ' ', 'utc', '2026-11-2', 'h', 'T', '00'))
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          parts.map((each) => each.join('')),
        ),
        fc.nat(86_400_000),
        (text, later) => {
          const read = readStart(text, NOW + later)
          if (!read.ok || read.start.at !== 'instant') return true
          const ahead = read.start.instant - NOW - later
          return ahead > 0 && ahead <= 7 * 86_400_000
        },
      ),
      { numRuns: 2000 },
    )
  })
})
