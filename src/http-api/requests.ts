import type { AccessRequests } from '../access/access-requests.ts'
import type { Clock } from '../foundation/clock.ts'
import { Bug, Refused } from '../foundation/errors.ts'
import { callerOf, type Handlers } from './handler.ts'

const WATCH_MS = 25_000
/** Calls of one account that wait for changes at the same time */
const MOST_WAITING = 8

/** Handlers of the noun "request": unwrap, call, present. */
export function requestHandlers(requests: AccessRequests, clock: Clock): Handlers {
  const waiting = new Map<string, number>()
  return {
    async ask(context, { body }) {
      const asked = {
        roles: body.roles,
        resources: body.resources,
        narrowing: body.narrowing ?? null,
        reason: body.reason,
        durationMs: body.duration ?? null,
        pendingForMs: body.pendingFor ?? null,
        start: body.start,
        reviewers: body.reviewers,
      }
      const caller = callerOf(context)
      if (body.dryRun) return { request: null, preview: await requests.forecast(caller, asked), existing: false }
      return await requests.askAndForecast(caller, asked)
    },
    listRequests: async (context, { query }) => await requests.list(callerOf(context), query),
    showRequest: async (context, { params }) => await requests.show(callerOf(context), idOf(params)),
    previewRequest: async (context, { params }) => await requests.preview(callerOf(context), idOf(params)),
    async watchRequest(context, { params, query }) {
      const late = new AbortController()
      const timer = clock.after(WATCH_MS, () => late.abort())
      try {
        const signal = AbortSignal.any([context.signal, late.signal])
        return await requests.waitForChange(callerOf(context), idOf(params), query.version, signal, query.look)
      } finally {
        timer.cancel()
      }
    },
    async requestChanges(context, { query: { cursor, limit, wait } }) {
      const caller = callerOf(context)
      const { stillAdmitted } = context
      if (!stillAdmitted) throw new Bug('nobody can say whether the caller is still admitted')
      const done = begin(waiting, caller.userId ?? '')
      const late = new AbortController()
      const timer = clock.after(wait * 1000, () => late.abort())
      if (wait === 0) late.abort()
      try {
        const signal = AbortSignal.any([context.signal, late.signal])
        return await requests.changes(caller, { cursor, limit }, signal, stillAdmitted)
      } finally {
        timer.cancel()
        done()
      }
    },
    annotate: async (context, { params, body }) => await requests.annotate(callerOf(context), idOf(params), body),
    async review(context, { params, body }) {
      const { decision, reason, duration, startAt, shown, onBehalfOf, requestDigest, factsDigest } = body
      const caller = callerOf(context)
      const ballot = {
        decision,
        reason,
        durationMs: duration ?? null,
        startAt: startAt ?? null,
        shown: shown ? { durationMs: shown.duration, startAt: shown.startAt } : null,
        onBehalfOf: onBehalfOf ?? null,
        requestDigest,
        factsDigest,
      }
      return await requests.review(caller, idOf(params), ballot, context.isFresh === true ? null : context.requireFresh)
    },
    async extendGrant(context, { params, body }) {
      const { duration: durationMs, reason, pendingFor, reviewers } = body
      const asked = { durationMs, reason, reviewers, pendingForMs: pendingFor ?? null }
      return await requests.extend(callerOf(context), idOf(params), asked)
    },
    breakGlass: async (context, { body: { roles, reason, duration, confirm } }) =>
      await requests.breakGlass(callerOf(context), { roles, reason, durationMs: duration ?? null, confirm }),
    acknowledge: async (context, { params, body }) =>
      await requests.acknowledge(callerOf(context), idOf(params), body.comment, context.requireFresh),
    cancelRequest: async (context, { params }) => await requests.cancel(callerOf(context), idOf(params)),
    returnGrant: async (context, { params }) => await requests.return(callerOf(context), idOf(params)),
    revokeGrant: async (context, { params, body }) =>
      await requests.revoke(callerOf(context), idOf(params), body.reason),
  }
}

function begin(waiting: Map<string, number>, userId: string): () => void {
  const count = waiting.get(userId) ?? 0
  if (count >= MOST_WAITING)
    throw new Refused('over_limit', `at most ${MOST_WAITING} calls of one account wait for changes`, 'end one of them')
  waiting.set(userId, count + 1)
  return () => {
    const left = (waiting.get(userId) ?? 1) - 1
    if (left <= 0) waiting.delete(userId)
    else waiting.set(userId, left)
  }
}

const idOf = (params: Readonly<Record<string, string>>): string => params['id'] ?? ''
