import { setTimeout as pause } from 'node:timers/promises'
import type { AccessRequest } from './contract-types.ts'
import { Unavailable, type SallyportError } from './errors.ts'

export interface Change {
  /** The same when a change is given again after a break: keep the last ones and drop doubles */
  readonly id: string
  /** `access_request.create`, `access_request.review`, `grant.end` ...; `found`: was there when watching began */
  readonly type: string
  /** Milliseconds since the epoch */
  readonly at: number
  /** As it is now, which may be later than this change */
  readonly request: AccessRequest
  /**
   * Where to go on once this change is dealt with: store it, and give it as `cursor` after a restart. Empty while there is more of
   * what was pending in the beginning: given as `cursor`, it begins anew.
   */
  readonly cursor: string
}

export interface WatchOptions {
  /** Of the last change that was dealt with. Left out or empty: begins with what is pending now. */
  readonly cursor?: string
  readonly signal?: AbortSignal
  /** Told of each break that is waited out; nothing is lost by one. */
  readonly onBreak?: (error: SallyportError, retryInMs: number) => void
}

/** The two calls that watching is made of. */
export interface WatchSource {
  changes(query: { cursor?: string; wait: number }, signal: AbortSignal): Promise<ChangesPage>
  pending(cursor: string | undefined, signal: AbortSignal): Promise<{ items: AccessRequest[]; next: string | null }>
}

export interface ChangesPage {
  readonly items: readonly Omit<Change, 'cursor'>[]
  readonly cursor: string
  readonly more: boolean
}

const WAIT_S = 25
/** A call that has not answered so long after its own deadline is given up. */
const LATE_MS = 20_000
const FIRST_PAUSE_MS = 250
const LONGEST_PAUSE_MS = 30_000

/**
 * Changes in the order in which the store committed them, each at least once. Breaks are waited out with growing pauses; ends
 * when the signal is aborted. Errors: CursorGone, TokenRefused, NotAllowed and whatever else another try would not change.
 */
export async function* watchChanges(
  source: WatchSource,
  options: WatchOptions,
): AsyncGenerator<Change, void, undefined> {
  const { signal } = options
  try {
    let cursor = options.cursor === '' ? undefined : options.cursor
    if (cursor === undefined) {
      // The cursor stands before the list: what changes in between is given twice rather than never.
      const start = (await stubborn(options, (within) => source.changes({ wait: 0 }, within))).cursor
      yield* found(source, options, start)
      cursor = start
    }
    for (;;) {
      const from: string = cursor
      const page = await stubborn(options, (within) => source.changes({ cursor: from, wait: WAIT_S }, within))
      for (const [index, item] of page.items.entries()) {
        // Only behind the last one does the page's cursor hold: a restart in the middle gets the page again.
        yield { ...item, cursor: index === page.items.length - 1 ? page.cursor : from }
      }
      cursor = page.cursor
    }
  } catch (error) {
    if (!signal?.aborted) throw error
  }
}

async function* found(source: WatchSource, options: WatchOptions, cursor: string): AsyncGenerator<Change> {
  let place: string | undefined
  do {
    const at = place
    const page = await stubborn(options, (within) => source.pending(at, within))
    place = page.next ?? undefined
    for (const [index, request] of page.items.entries()) {
      // The cursor passes over what has not been given yet: only with the last one may it be kept.
      const isLast = place === undefined && index === page.items.length - 1
      const id = `found/${request.id}/${request.version}`
      yield { id, type: 'found', at: request.createdAt, request, cursor: isLast ? cursor : '' }
    }
  } while (place !== undefined)
}

/** Tries until it is answered. Only what another try may change is tried again. */
async function stubborn<T>({ signal, onBreak }: WatchOptions, call: (within: AbortSignal) => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    const late = AbortSignal.timeout(WAIT_S * 1000 + LATE_MS)
    try {
      signal?.throwIfAborted()
      return await call(signal ? AbortSignal.any([signal, late]) : late)
    } catch (error) {
      signal?.throwIfAborted()
      const trouble = late.aborted ? new Unavailable('unreachable', 'no answer in time', { cause: error }) : error
      if (!(trouble instanceof Unavailable)) throw trouble
      const wait = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(tries, 10)) * (0.5 + Math.random() / 2)
      onBreak?.(trouble, Math.round(wait))
      await pause(wait, undefined, signal ? { signal } : {})
    }
  }
}
