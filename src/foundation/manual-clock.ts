import type { Clock, Instant, Timer } from './clock.ts'

/** A clock that stands still until a test moves it. */
export interface ManualClock extends Clock {
  /** Moves both clocks on by `ms` and runs the timers that come due, in their order. */
  advance(ms: number): void
  /** Sets the wall clock alone, as an administrator or NTP would. */
  set(now: Instant): void
}

export function manualClock(start: Instant = 1_800_000_000_000): ManualClock {
  let now = start
  let monotonic = 0
  let timers: { due: number; run: () => void }[] = []
  const after = (ms: number, run: () => void): Timer => {
    const timer = { due: monotonic + Math.max(0, ms), run }
    timers.push(timer)
    return { cancel: () => void (timers = timers.filter((other) => other !== timer)) }
  }
  const advance = (ms: number): void => {
    const end = monotonic + ms
    for (;;) {
      const next = timers.filter((timer) => timer.due <= end).sort((a, b) => a.due - b.due)[0]
      if (!next) break
      timers = timers.filter((timer) => timer !== next)
      now += next.due - monotonic
      monotonic = next.due
      next.run()
    }
    now += end - monotonic
    monotonic = end
  }
  return { now: () => now, monotonic: () => monotonic, after, advance, set: (instant) => void (now = instant) }
}
