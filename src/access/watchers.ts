import { hash } from 'node:crypto'
import type { Committed } from '../audit/deed.ts'
import type { AccessRequest } from '../contract/request.ts'
import type { PowerTable } from '../foundation/database/tables.ts'

/** What decides about requests besides themselves: a change may be one of any request. */
const DECIDES: ReadonlySet<PowerTable> = new Set([
  'users',
  'roles',
  'locks',
  'nodes',
  'databases',
  'delegations',
  'review_rules',
  'policies',
])
/** What ends a call that waits for any change, or is what it waits for. */
const OF_ANY: ReadonlySet<PowerTable> = new Set([
  'access_requests',
  'users',
  'locks',
  'login_sessions',
  'service_tokens',
])
/** Viewers whose last look is kept. */
const MOST_LOOKS = 2000

/** People who wait for a request to change. Woken by commits of this process; others are seen at the next look. */
export class Watchers {
  readonly #waiting = new Map<string, Set<() => void>>()
  readonly #waitingForAny = new Set<() => void>()
  /** What each viewer was shown last, as a digest: an edit of a role or a cap raises no request's version */
  readonly #looks = new Map<string, string>()

  /** Give it to DeedLog.onCommitted: every change of a request, its votes or its grant names the request's row. */
  onCommitted(committed: Pick<Committed, 'rows'>): void {
    if (committed.rows.some((row) => OF_ANY.has(row.table))) for (const wake of [...this.#waitingForAny]) wake()
    if (committed.rows.some((row) => DECIDES.has(row.table)))
      for (const waiting of [...this.#waiting.values()]) for (const wake of [...waiting]) wake()
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

  /** Resolves at the next change of any request or of who may sign in, or when the signal is aborted. */
  async nextOfAny(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        this.#waitingForAny.delete(wake)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      this.#waitingForAny.add(wake)
      signal.addEventListener('abort', wake, { once: true })
    })
  }

  /** Digest of what this viewer was shown last; undefined: not known here. */
  lastLook(viewer: string, id: string): string | undefined {
    return this.#looks.get(`${viewer} ${id}`)
  }

  /** Keeps what a viewer is shown; gives its digest. */
  looked(viewer: string, shown: AccessRequest): string {
    const key = `${viewer} ${shown.id}`
    const digest = hash('sha256', JSON.stringify(shown))
    // The latest look is the map's last, the one to forget its first.
    this.#looks.delete(key)
    this.#looks.set(key, digest)
    const [oldest] = this.#looks.keys()
    if (this.#looks.size > MOST_LOOKS && oldest !== undefined) this.#looks.delete(oldest)
    return digest
  }

  /** For metrics and tests. */
  get count(): number {
    return [...this.#waiting.values()].reduce((sum, waiting) => sum + waiting.size, this.#waitingForAny.size)
  }
}
