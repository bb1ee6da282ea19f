import { z } from 'zod'
import { DurationMs, Instant, Name } from './common.ts'
import { Audience } from './message.ts'
import { Vendor } from './vendors/common.ts'

/** A message that was given up. */
export const DeadLetter = z.object({
  message: z.string(),
  request: z.string().nullable(),
  audience: Audience,
  /** `channel:C0123`, or `user:bob` */
  destination: z.string(),
  kind: z.enum(['destination', 'defect', 'retry']),
  why: z.string(),
  at: Instant,
  /** What to do about it, as a sentence with the command */
  help: z.string(),
})
export type DeadLetter = z.infer<typeof DeadLetter>

/** Why messages wait. */
export const DeliveryWait = z.object({
  /** outage: the vendor does not answer. asked: it said to wait. limit: what it allows is used up */
  what: z.enum(['outage', 'asked', 'limit']),
  /** new: of messages that are not there yet. change: of those that are. look: of searches for one that may be */
  of: z.enum(['all', 'new', 'change', 'look']),
  /** `channel:C0123`, or `user:ID`; null: wherever they go */
  destination: z.string().nullable(),
  until: Instant,
  why: z.string().nullable(),
})
export type DeliveryWait = z.infer<typeof DeliveryWait>

export const IntegrationStatus = z.object({
  name: Name,
  vendor: Vendor,
  /** held: its vendor asked to wait. broken: until somebody changes something. off: `enabled: false` */
  state: z.enum(['sending', 'held', 'broken', 'off']),
  why: z.string().nullable(),
  heldUntil: Instant.nullable(),
  lastDeliveredAt: Instant.nullable(),
  /** Messages that are to be sent or changed, and since when the oldest of them is due; those that wait for their time are not among them */
  waiting: z.int(),
  oldestDueAt: Instant.nullable(),
  /** As the daemon knows it that was asked; at most 20 */
  waits: z.array(DeliveryWait),
  /** Given up; at most 20 of them are in `deadLetters`, the newest first */
  dead: z.int(),
  deadLetters: z.array(DeadLetter),
})
export type IntegrationStatus = z.infer<typeof IntegrationStatus>

export const CheckAnswer = z.object({ items: z.array(z.object({ ok: z.boolean(), text: z.string() })) })

/** A line that an operator sent to see whether it arrives. */
export const TestMessage = z.object({
  message: z.string(),
  /** `channel:C0123`, or `user:bob` */
  destination: z.string(),
  /** waiting: not yet, or tried again */
  outcome: z.enum(['delivered', 'waiting', 'failed']),
  why: z.string().nullable(),
})
export type TestMessage = z.infer<typeof TestMessage>

/** Whom a request for a role would reach. */
export const DeliveryPreview = z.object({
  items: z.array(
    z.object({
      integration: Name,
      audience: Audience,
      /** `channel:C0123`, or `user:bob` */
      destination: z.string(),
      /** Only when nobody has answered for so long; null: at once */
      after: DurationMs.nullable(),
    }),
  ),
  /** Reviewers whom no integration reaches */
  unreached: z.array(Name),
})
export type DeliveryPreview = z.infer<typeof DeliveryPreview>
