import { z } from 'zod'

// What goes through the pipe. Both sides check what they get: the one because it is our bug, the other because behind the
// pipe runs code that somebody else has written.

const Sources = z.record(z.string().max(200), z.string())

export const Order = z.discriminatedUnion('kind', [
  /** Strips the types of all sources and looks at what the entry exports */
  z.strictObject({ id: z.int(), kind: z.literal('compile'), entry: z.string(), sources: Sources }),
  z.strictObject({ id: z.int(), kind: z.literal('load'), hash: z.string(), entry: z.string(), modules: Sources }),
  z.strictObject({ id: z.int(), kind: z.literal('run'), hash: z.string(), facts: z.string() }),
])
export type Order = z.infer<typeof Order>

export const CompiledAnswer = z.union([
  z.strictObject({
    id: z.int(),
    ok: z.literal(true),
    /** JavaScript of the entry and of all that it imports */
    modules: Sources,
    verdicts: z.array(z.string()).nullable(),
    zone: z.string().nullable(),
  }),
  /** `problem` begins with the place: `freeze.ts:3: ...` */
  z.strictObject({ id: z.int(), ok: z.literal(false), problem: z.string().max(2000) }),
])

export const LoadedAnswer = z.strictObject({ id: z.int(), ok: z.literal(true) })

export const RunAnswer = z.union([
  z.strictObject({ id: z.int(), ok: z.literal(true), answer: z.string().max(40_000) }),
  z.strictObject({ id: z.int(), ok: z.literal(false), problem: z.string().max(2000) }),
])

/** Sent once, when the child can take orders. */
export const READY = 'ready'
