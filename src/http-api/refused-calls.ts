import type { DeedLog } from '../audit/deed.ts'
import type { RouteName } from '../contract/routes.ts'
import type { Clock } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'
import type { RefusedCaller } from './call-route.ts'
import { actorOf } from './caller.ts'

const SILENT_MS = 60_000
const MOST_KEPT = 10_000

/** Somebody signed in has tried what only operators may: an event each, at most one a minute for each login session and route. */
export class RefusedCalls {
  readonly #deeds: DeedLog
  readonly #clock: Clock
  readonly #log: Log
  /** When each was last told of, monotonic */
  readonly #told = new Map<string, number>()

  constructor(deeds: DeedLog, clock: Clock, log: Log) {
    this.#deeds = deeds
    this.#clock = clock
    this.#log = log
  }

  /** Not awaited by the call, which is refused whether the store can write or not. */
  report(caller: RefusedCaller, route: RouteName): void {
    const login = caller.kind === 'service' ? caller.tokenId : caller.loginId
    const key = `${login} ${route}`
    const now = this.#clock.monotonic()
    const last = this.#told.get(key)
    if (last !== undefined && now - last < SILENT_MS) return
    if (this.#told.size >= MOST_KEPT) this.#told.clear()
    this.#told.set(key, now)
    const actor = actorOf(caller)
    const event = { type: 'api.refused', actor, login, outcome: 'refused', details: { route } } as const
    this.#deeds
      .commitDeed(() => Promise.resolve({ result: null, events: [event] }))
      .catch((error: unknown) => this.#log.error({ err: String(error), route }, 'a refused call could not be stored'))
  }
}
