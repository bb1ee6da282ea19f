import type { AccessRequests } from '../access/access-requests.ts'
import type { Caller } from '../access/caller.ts'
import { tellProgress } from '../access/show/tell-progress.ts'
import type { AskAtDoor, DoorPerson, RequestStanding } from '../connection/ask-at-door.ts'
import type { AccessRequest } from '../contract/request.ts'
import { sleep, type Clock } from '../foundation/clock.ts'
import { Refused } from '../foundation/errors.ts'
import type { Log } from '../foundation/log.ts'

/** So long a change that this process was not told of stays unseen. */
const LOOK_EVERY_MS = 15_000
const RETRY_MS = 1000

export interface AskAtDoorParts {
  readonly requests: () => Pick<AccessRequests, 'ask' | 'show' | 'pendingFor' | 'waitForChange'>
  readonly clock: Clock
  readonly log: Log
}

/** Joins the path of connections with that of requests: what a refused connection asks is asked as its user. */
export function askAtDoor(parts: AskAtDoorParts): AskAtDoor {
  const { requests } = parts
  return {
    async pending(person, wanted) {
      return (await requests().pendingFor(callerOf(person), wanted))?.id ?? null
    },
    async ask(person, { way, reason, durationMs }) {
      const { roles, resources, narrowing } = way
      const start = { at: 'approval' } as const
      const asked = { roles, resources, narrowing, reason, durationMs, pendingForMs: null, reviewers: [], start }
      return (await requests().ask(callerOf(person), asked)).request.id
    },
    watch(person, requestId, onStanding) {
      const stop = new AbortController()
      void follow(parts, callerOf(person), requestId, stop.signal, onStanding)
      return { stop: () => stop.abort(new Error('nobody waits any more')) }
    },
  }
}

const callerOf = ({ userId, userName, loginSessionId, protocol }: DoorPerson): Caller => ({
  actor: { kind: 'user', id: userId, name: userName },
  userId,
  loginId: loginSessionId,
  local: false,
  via: protocol,
})

async function follow(
  parts: AskAtDoorParts,
  caller: Caller,
  id: string,
  stop: AbortSignal,
  onStanding: (standing: RequestStanding) => void,
): Promise<void> {
  let known: AccessRequest | null = null
  while (!stop.aborted) {
    try {
      const next = await look(parts, caller, id, known, stop)
      if (stop.aborted) return
      onStanding({ state: next.state, lines: tellProgress(known, next) })
      if (next.state !== 'pending') return
      known = next
    } catch (error) {
      if (error instanceof Refused && error.code === 'not_found') return
      parts.log.warn({ request: id, err: String(error) }, 'a request that is waited for cannot be read')
      await sleep(parts.clock, RETRY_MS, stop).catch(() => {})
    }
  }
}

async function look(
  { requests, clock }: AskAtDoorParts,
  caller: Caller,
  id: string,
  known: AccessRequest | null,
  stop: AbortSignal,
): Promise<AccessRequest> {
  if (known === null) return requests().show(caller, id)
  const enough = new AbortController()
  const timer = clock.after(LOOK_EVERY_MS, () => enough.abort())
  try {
    const signal = AbortSignal.any([stop, enough.signal])
    return await requests().waitForChange(caller, id, known.version, signal, known.look)
  } finally {
    timer.cancel()
  }
}
