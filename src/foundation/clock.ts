// The only file that reads the machine's clocks and sets timers.

/** Milliseconds since 1970-01-01T00:00:00Z, an integer. */
export type Instant = number

export interface Timer {
  cancel(): void
}

export interface Clock {
  /** Wall clock. May jump in both directions. */
  now(): Instant
  /** Milliseconds from an arbitrary start; never goes back. Budgets are measured with it. */
  monotonic(): number
  /** Runs `callback` once, `ms` from now by the monotonic clock. `ms` may be larger than setTimeout takes. */
  after(ms: number, callback: () => void): Timer
}

const LONGEST_TIMEOUT = 2 ** 31 - 1

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, callback) {
    const due = performance.now() + ms
    let handle: NodeJS.Timeout
    const arm = (): void => {
      const left = due - performance.now()
      // setTimeout takes 2^31-1 ms at most and fires at once above that.
      handle = left > LONGEST_TIMEOUT ? setTimeout(arm, LONGEST_TIMEOUT) : setTimeout(callback, Math.max(0, left))
    }
    arm()
    return { cancel: () => clearTimeout(handle) }
  },
}

/** Resolves after `ms`, or rejects with the signal's reason when it is aborted first. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason as Error)
      return
    }
    const abort = (): void => {
      timer.cancel()
      reject(signal?.reason as Error)
    }
    const timer = clock.after(ms, () => {
      signal?.removeEventListener('abort', abort)
      resolve()
    })
    signal?.addEventListener('abort', abort, { once: true })
  })
}

/** Runs `work` with a signal that is aborted after `ms`, or with `signal`. */
export async function withDeadline<T>(
  clock: Clock,
  ms: number,
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = new AbortController()
  const timer = clock.after(ms, () => late.abort(new DOMException(`timed out after ${ms} ms`, 'TimeoutError')))
  try {
    return await work(signal ? AbortSignal.any([signal, late.signal]) : late.signal)
  } finally {
    timer.cancel()
  }
}

/** What everything that waits is given, as its last argument. */
export interface Task {
  readonly signal: AbortSignal
  readonly clock: Clock
}
