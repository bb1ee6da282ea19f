import { z } from 'zod'
import { DurationMs, Instant, Name } from './common.ts'
import { ChatChannels } from './role.ts'
import { Grant, Narrowing, NamedResource, RequestState, Start, ThresholdProgress } from './request.ts'

/** What a message offers; what is not offered is refused when it is pressed all the same. */
export const MESSAGE_BUTTONS = ['approve', 'deny', 'open', 'cancel', 'extend', 'return'] as const
export const MessageButton = z.enum(MESSAGE_BUTTONS)
export type MessageButton = z.infer<typeof MessageButton>

/** `channel`: many read it. `reviewer`: to one who could vote. `requester`: to who asked. `person`: told, without a say. */
export const AUDIENCES = ['channel', 'reviewer', 'requester', 'person'] as const
export const Audience = z.enum(AUDIENCES)
export type Audience = z.infer<typeof Audience>

/** One request as messages show it: the newest state, with secrets in texts masked. Texts of people are not yet inert. */
export const RequestView = z.object({
  id: z.string(),
  kind: z.enum(['role', 'resource', 'extension', 'break_glass']),
  /** Opens the request; decides nothing and carries no token */
  url: z.string(),
  state: RequestState,
  user: Name,
  roles: z.array(Name),
  resources: z.array(NamedResource),
  narrowing: Narrowing.nullable(),
  /** null: this integration leaves reasons out */
  reason: z.string().nullable(),
  duration: DurationMs,
  /** What approvals so far would give */
  grantedDuration: DurationMs,
  start: Start,
  createdAt: Instant,
  pendingUntil: Instant,
  decidedAt: Instant.nullable(),
  /** Who or what ended it and why, in one line */
  resolution: z.string().nullable(),
  progress: z.array(ThresholdProgress),
  /** Votes that were not replaced; those of rules and policies too */
  reviews: z.array(
    z.object({
      id: z.string(),
      reviewer: z.string(),
      onBehalfOf: z.string().nullable(),
      decision: z.enum(['approve', 'deny']),
      reason: z.string().nullable(),
      duration: DurationMs.nullable(),
      at: Instant,
      counts: z.boolean(),
      why: z.string().nullable(),
    }),
  ),
  /** What a decision still takes, in words; empty once it is decided */
  needed: z.array(z.string()),
  /** What an approval would give, in words: `3 nodes more: db-1, db-2, db-3` */
  gives: z.array(z.string()),
  warnings: z.array(z.string()),
  /** What programs say about it, the newest last; a few of them. No part of what is voted on */
  notes: z.array(z.object({ by: Name, text: z.string(), at: Instant })),
  grant: Grant.nullable(),
})
export type RequestView = z.infer<typeof RequestView>

/** A line that is said once: a vote in the thread of the request's message, or something one person is told. */
export const NoticeView = z.object({
  /** As of the delivery: request.reviewed, grant.ending, delegation.created ... */
  topic: z.string(),
  text: z.string(),
  url: z.string().nullable(),
  at: Instant,
  /** The request that it is about, as of the delivery: a step that is overtaken need not be told by itself. Absent: about none */
  request: z.object({ state: RequestState, needed: z.array(z.string()) }).optional(),
})
export type NoticeView = z.infer<typeof NoticeView>

/** One message that is to be sent or changed. */
export const MessageTask = z.object({
  id: z.string(),
  integration: Name,
  audience: Audience,
  destination: z.object({
    /** The vendor's id of a channel, project or service; null: to a person */
    channel: z.string().nullable(),
    person: z
      .object({
        id: z.string(),
        name: Name,
        email: z.string().nullable(),
        /** The vendor's id of a linked account; null: none is linked */
        account: z.string().nullable(),
      })
      .nullable(),
  }),
  /** What `deliver` gave for this message before; null: it is not there yet */
  external: z.string().nullable(),
  /** The message in whose thread this one belongs, as `deliver` gave it; null: none */
  thread: z.string().nullable(),
  content: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('request'), view: RequestView, buttons: z.array(MessageButton) }),
    z.object({ kind: z.literal('notice'), view: NoticeView }),
  ]),
  /** 128 random bits that buttons carry instead of anything that could be read or guessed; made anew when the content changes */
  buttonId: z.string(),
  /** Names what a vote about this content is bound to: the same as long as that is the same; empty: there is nothing to vote about */
  shown: z.string().default(''),
  /** What identifies this message to a vendor that drops doubles: the same with every attempt */
  onceId: z.string(),
  /** Which channels this request may be told in, by the strictest `chat_channels` of its roles; persons are not channels */
  channels: ChatChannels.default('any'),
  /** 1 = the first one */
  attempt: z.int(),
})
export type MessageTask = z.infer<typeof MessageTask>
