import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ManualClock } from '../../test/support/manual-clock.ts'
import { AttemptLimiter, MOST_ATTEMPTS } from './attempt-limiter.ts'

const MINUTE = 60_000
const outcome = (limiter: AttemptLimiter, account: string | null, address: string): string => {
  try {
    limiter.begin(account, address)
    return 'taken'
  } catch (error) {
    return (error as { hint: string }).hint
  }
}

test('the window slides: each try is forgotten 15 minutes after it was made', () => {
  const clock = new ManualClock()
  const limiter = new AttemptLimiter(clock)
  for (let i = 0; i < 5; i++) {
    expect(outcome(limiter, 'a', `10.0.0.${i}`)).toBe('taken')
    clock.advance(MINUTE)
  }
  expect(outcome(limiter, 'a', '10.0.1.1')).toBe('try again in 10 min')
  clock.advance(10 * MINUTE)
  expect(outcome(limiter, 'a', '10.0.1.1')).toBe('taken')
  expect(outcome(limiter, 'a', '10.0.1.1')).toBe('try again in 1 min')
})

test('a refused try does not lengthen the lockout', () => {
  const clock = new ManualClock()
  const limiter = new AttemptLimiter(clock)
  for (let i = 0; i < 5; i++) limiter.begin('a', '10.0.0.1')
  for (let i = 0; i < 14; i++) {
    clock.advance(MINUTE)
    expect(outcome(limiter, 'a', '10.0.0.1')).not.toBe('taken')
  }
  clock.advance(MINUTE)
  expect(outcome(limiter, 'a', '10.0.0.1')).toBe('taken')
})

test('the wall clock has no say', () => {
  const clock = new ManualClock()
  const limiter = new AttemptLimiter(clock)
  for (let i = 0; i < 5; i++) limiter.begin('a', '10.0.0.1')
  clock.jumpTo(clock.now() + 365 * 86_400_000)
  expect(outcome(limiter, 'a', '10.0.0.1')).not.toBe('taken')
})

test('one’s own successes do not free the address for guesses at others', () => {
  const limiter = new AttemptLimiter(new ManualClock())
  for (let i = 0; i < 5; i++) {
    expect(outcome(limiter, `victim${i}`, '10.0.0.1')).toBe('taken')
    if (i < 4) limiter.begin('me', '10.0.0.1').succeed()
  }
  expect(outcome(limiter, 'victim9', '10.0.0.1')).not.toBe('taken')
})

test('never more than five failures within any 15 minutes, whatever the history', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ wait: fc.nat(6 * MINUTE), ends: fc.constantFrom('fail', 'takeBack') })),
      (steps) => {
        const clock = new ManualClock()
        const limiter = new AttemptLimiter(clock)
        const failed: number[] = []
        for (const { wait, ends } of steps) {
          clock.advance(wait)
          try {
            const attempt = limiter.begin('a', '10.0.0.1')
            if (ends === 'takeBack') attempt.takeBack()
            else failed.push(clock.monotonic())
          } catch {
            // refused
          }
          const recent = failed.filter((at) => at > clock.monotonic() - 15 * MINUTE)
          expect(recent.length).toBeLessThanOrEqual(MOST_ATTEMPTS)
        }
      },
    ),
    { numRuns: 200 },
  )
})
