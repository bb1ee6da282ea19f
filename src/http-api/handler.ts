import type { z } from 'zod'
import type { Caller } from '../access/caller.ts'
import type { Confirmation } from '../audit/confirmation.ts'
import type { Actor } from '../contract/audit.ts'
import type { routes, RouteName } from '../contract/routes.ts'
import type { Log } from '../foundation/log.ts'

/** Who calls, established by the server before a handler runs. */
export interface CallContext {
  readonly actor: Actor
  /** null for anonymous callers and for the local admin. Of a service account: its token */
  readonly login: {
    readonly id: string
    readonly userId: string
    /** When a second factor was last proven on this login; null = never */
    readonly secondFactorAt: number | null
  } | null
  /** Came through the admin socket */
  readonly local: boolean
  /** Peer address without port; `local` on the admin socket */
  readonly address: string
  /** Aborted when the caller hangs up or the daemon stops */
  readonly signal: AbortSignal
  /**
   * For routes whose right depends on what the body says (createDocument). Throws Refused('not_allowed') unless the caller's
   * own roles' rules, or the admin socket, allow it.
   */
  readonly requireOperator: (resource: string, verb: string) => Promise<void>
  /**
   * For deeds like a review: throws Refused('step_up_required') unless a second factor was proven on this login at most five
   * minutes ago or the call carries an unused step-up token bound to it, which the deed has to use up. Routes with `fresh`
   * need no call: theirs is in `confirmation`.
   */
  readonly requireFresh: () => Promise<Confirmation | null>
  /** `requireFresh` would pass now, with nothing to be used up */
  readonly isFresh?: boolean
  /** Of routes with `fresh`: used up in the deed's own transaction (audit/confirmation.ts). null: none was demanded */
  readonly confirmation: Confirmation | null
  /** For calls that wait: asks again who calls and whether they may. Throws Refused as at the beginning. The server gives it. */
  readonly stillAdmitted?: () => Promise<void>
  readonly log: Log
}

type Shape<T> = T extends z.ZodType ? z.output<T> : undefined
type Field<R, K extends string> = R extends Record<K, infer T> ? Shape<T> : undefined

export type HandlerInput<K extends RouteName> = {
  readonly params: Readonly<Record<string, string>>
  readonly query: Field<(typeof routes)[K], 'query'>
  readonly body: Field<(typeof routes)[K], 'body'>
}

/** Streams JSON lines; the status line has been sent once the first item is asked for. */
export interface LineStream {
  readonly lines: AsyncIterable<unknown>
}

export type Handler<K extends RouteName> = (
  context: CallContext,
  input: HandlerInput<K>,
) => Promise<z.input<(typeof routes)[K]['answer']> | LineStream>

/** One noun's handlers: unwrap, call, present. */
export type Handlers = { readonly [K in RouteName]?: Handler<K> }

export function callerOf(context: CallContext): Caller {
  return {
    actor: context.actor,
    userId: context.login?.userId ?? null,
    loginId: context.login?.id ?? null,
    local: context.local,
    confirmation: context.confirmation,
  }
}
