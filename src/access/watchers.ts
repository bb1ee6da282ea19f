import type { Committed } from '../audit/deed.ts'

/** People who wait for a request to change. Woken by commits of this process; others are seen at the next look. */
export class Watchers {
  readonly #waiting = new Map<string, Set<() => void>>()

  /** Give it to DeedLog.onCommitted: every change of a request, its votes or its grant names the request's row. */
  onCommitted(committed: Pick<Committed, 'rows'>): void {
    for (const row of committed.rows) {
      if (row.table !== 'access_requests') continue
      for (const wake of [...(this.#waiting.get(row.id) ?? [])]) wake()
    }
  }

  /** Resolves at the next change of the request, or when the signal is aborted. `ready` runs once the watch stands. */
  async next(id: string, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    const waiting = this.#waiting.get(id) ?? new Set()
    this.#waiting.set(id, waiting)
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        waiting.delete(wake)
        if (waiting.size === 0 && this.#waiting.get(id) === waiting) this.#waiting.delete(id)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      waiting.add(wake)
      signal.addEventListener('abort', wake, { once: true })
    })
  }

  /** For metrics and tests. */
  get count(): number {
    return [...this.#waiting.values()].reduce((sum, waiting) => sum + waiting.size, 0)
  }
}
