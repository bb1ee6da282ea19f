import type { AccessRequests } from '../access/access-requests.ts'
import type { Clock } from '../foundation/clock.ts'
import { callerOf, type Handlers } from './handler.ts'

const WATCH_MS = 25_000

/** Handlers of the noun "request": unwrap, call, present. */
export function requestHandlers(requests: AccessRequests, clock: Clock): Handlers {
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

const idOf = (params: Readonly<Record<string, string>>): string => params['id'] ?? ''
