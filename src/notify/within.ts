import type { Clock } from '../foundation/clock.ts'

/** Gives work a signal that is aborted after `ms`. Errors: the work's own; Error(`late`) when it was aborted. */
export async function within<T>(
  clock: Clock,
  ms: number,
  late: string,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const stop = new AbortController()
  const timer = clock.after(ms, () => stop.abort(new Error(late)))
  try {
    return await work(stop.signal)
  } catch (error) {
    throw stop.signal.aborted ? new Error(late, { cause: error }) : error
  } finally {
    timer.cancel()
  }
}
