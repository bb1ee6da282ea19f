import type { z } from 'zod'
import type { Actor } from '../contract/audit.ts'
import type { routes, RouteName } from '../contract/routes.ts'
import type { Log } from '../foundation/log.ts'

/** Who calls, established by the server before a handler runs. */
export interface CallContext {
  readonly actor: Actor
  /** null for anonymous callers and for the local admin */
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
