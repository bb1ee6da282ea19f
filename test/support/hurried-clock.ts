import { systemClock, type Clock } from '../../src/foundation/clock.ts'

/** Shorter ones are not deadlines but parts of what is tested. */
const LONG_MS = 10_000

/** Timers of ten seconds and more go off `times` sooner; what the time is stays true. For deadlines that nobody wants to wait for. */
export function hurriedClock(times: number): Clock {
  return {
    now: () => systemClock.now(),
    monotonic: () => systemClock.monotonic(),
    after: (ms, work) => systemClock.after(ms < LONG_MS ? ms : ms / times, work),
  }
}
