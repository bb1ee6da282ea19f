import { z } from 'zod'
import { MessageBlocks, Modal } from './block-kit.ts'

// Arguments of the methods that we call, as strict as Slack would have to be to catch our mistakes.

const Channel = z.string().regex(/^[CGD][A-Z0-9]{2,}$/, 'is no id of a channel')
const User = z.string().regex(/^[UW][A-Z0-9]{2,}$/, 'is no id of a user')
const Ts = z.string().regex(/^\d{10}\.\d{6}$/)
/** Of messages: 4,000 advised, 40,000 at most. */
const MessageText = z.string().min(1).max(4000)
const json = <T extends z.ZodType>(shape: T) =>
  z
    .union([z.string(), z.array(z.unknown()), z.looseObject({})])
    .transform((value, context): unknown => {
      if (typeof value !== 'string') return value
      try {
        return JSON.parse(value) as unknown
      } catch {
        context.addIssue({ code: 'custom', message: 'is no JSON' })
        return z.NEVER
      }
    })
    .pipe(shape)
const flag = z.union([z.boolean(), z.enum(['true', 'false']).transform((word) => word === 'true')])
const count = z.union([
  z.int(),
  z
    .string()
    .regex(/^\d{1,4}$/)
    .transform(Number),
])
const page = { cursor: z.string().optional(), limit: count.pipe(z.int().min(1).max(1000)).optional() }

const Metadata = z.strictObject({
  event_type: z.string().regex(/^[a-z0-9_]{1,255}$/i),
  event_payload: z.record(z.string(), z.union([z.string().max(1000), z.number(), z.boolean()])),
})
const history = {
  channel: Channel,
  oldest: z.string().regex(/^\d{1,10}(\.\d{6})?$/),
  limit: count.pipe(z.int().min(1).max(999)).optional(),
  cursor: z.string().optional(),
  include_all_metadata: flag.optional(),
}

export const ARGUMENTS = {
  'auth.test': z.strictObject({}),
  'apps.connections.open': z.strictObject({}),
  'chat.postMessage': z.strictObject({
    channel: z.union([Channel, User]),
    text: MessageText,
    blocks: json(MessageBlocks).optional(),
    thread_ts: Ts.optional(),
    metadata: json(Metadata).optional(),
    unfurl_links: flag.pipe(z.literal(false)),
    unfurl_media: flag.pipe(z.literal(false)),
  }),
  'chat.update': z.strictObject({
    channel: Channel,
    ts: Ts,
    text: MessageText,
    blocks: json(MessageBlocks).optional(),
  }),
  'chat.postEphemeral': z.strictObject({
    channel: Channel,
    user: User,
    text: MessageText,
    blocks: json(MessageBlocks).optional(),
  }),
  'conversations.open': z.strictObject({ users: User }),
  'conversations.info': z.strictObject({ channel: Channel }),
  'conversations.members': z.strictObject({ channel: Channel, ...page }),
  'conversations.history': z.strictObject(history),
  'conversations.replies': z.strictObject({ ...history, ts: Ts }),
  'users.list': z.strictObject(page),
  'views.open': z.strictObject({ trigger_id: z.string().min(1), view: json(Modal) }),
} as const

export type Method = keyof typeof ARGUMENTS

/** Calls per minute: https://docs.slack.dev/apis/web-api/rate-limits. chat.postMessage has one a second for each channel instead. */
export const PER_MINUTE: Readonly<Record<Method, number>> = {
  'auth.test': 100,
  'apps.connections.open': 50,
  'chat.postMessage': 300,
  'chat.update': 50,
  'chat.postEphemeral': 100,
  'conversations.open': 50,
  'conversations.info': 50,
  'conversations.members': 100,
  'conversations.history': 50,
  'conversations.replies': 50,
  'users.list': 20,
  'views.open': 100,
}

/** What a bot token must have been given. `:history` and `:read` by the kind of conversation. https://docs.slack.dev/reference/methods */
export const SCOPES: Readonly<Partial<Record<Method, readonly string[]>>> = {
  'chat.postMessage': ['chat:write'],
  'chat.update': ['chat:write'],
  'chat.postEphemeral': ['chat:write'],
  'conversations.open': ['im:write'],
  'users.list': ['users:read'],
}

/** The first part of the scope is the kind of conversation. */
export const SCOPES_BY_KIND: Readonly<Partial<Record<Method, 'read' | 'history'>>> = {
  'conversations.info': 'read',
  'conversations.members': 'read',
  'conversations.history': 'history',
  'conversations.replies': 'history',
}

/** Errors that are not `invalid_arguments` where an argument is wrong. */
export const WRONG: Readonly<Record<string, string>> = {
  blocks: 'invalid_blocks',
  text: 'no_text',
  channel: 'channel_not_found',
  metadata: 'invalid_metadata_schema',
}
