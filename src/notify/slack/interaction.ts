import { z } from 'zod'
import type { RawCallback } from '../../contract/from-chat.ts'

// What the connector itself needs of a callback: where an answer is shown. Who did what is the core's reading, never this one.

const Interaction = z.discriminatedUnion('type', [
  z.looseObject({
    type: z.literal('block_actions'),
    trigger_id: z.string().optional(),
    response_url: z.string().optional(),
    user: z.looseObject({ id: z.string() }),
    container: z
      .looseObject({
        channel_id: z.string().optional(),
        message_ts: z.string().optional(),
        view_id: z.string().optional(),
      })
      .optional(),
  }),
  z.looseObject({
    type: z.literal('view_submission'),
    trigger_id: z.string().optional(),
    user: z.looseObject({ id: z.string() }),
    view: z.looseObject({ state: z.looseObject({ values: z.record(z.string(), z.unknown()) }).optional() }).optional(),
  }),
])

const Command = z.looseObject({
  command: z.string(),
  trigger_id: z.string().optional(),
  response_url: z.string().optional(),
  user_id: z.string(),
  channel_id: z.string().optional(),
})

export interface ShownAt {
  readonly kind: 'button' | 'dialog' | 'command' | 'other'
  /** Opens one dialog within three seconds */
  readonly trigger: string | null
  readonly responseUrl: string | null
  readonly user: string | null
  readonly channel: string | null
  /** Blocks of the dialog that was sent, to show an error at */
  readonly blocks: readonly string[]
}

const NOWHERE: ShownAt = { kind: 'other', trigger: null, responseUrl: null, user: null, channel: null, blocks: [] }

export function shownAt(callback: RawCallback): ShownAt {
  const read = payloadOf(callback)
  const command = Command.safeParse(read)
  if (command.success) {
    const { trigger_id: trigger, response_url: responseUrl, user_id: user, channel_id: channel } = command.data
    return {
      ...NOWHERE,
      kind: 'command',
      trigger: trigger ?? null,
      responseUrl: responseUrl ?? null,
      user,
      channel: channel ?? null,
    }
  }
  const interaction = Interaction.safeParse(read)
  if (!interaction.success) return NOWHERE
  const { data } = interaction
  const common = { ...NOWHERE, trigger: data.trigger_id ?? null, user: data.user.id }
  if (data.type === 'view_submission')
    return { ...common, kind: 'dialog', blocks: Object.keys(data.view?.state?.values ?? {}) }
  return {
    ...common,
    kind: 'button',
    responseUrl: data.response_url ?? null,
    channel: data.container?.channel_id ?? null,
  }
}

/** Over HTTP a form, with JSON in `payload` or flat; over a socket JSON as it is. */
function payloadOf(callback: RawCallback): unknown {
  const text = new TextDecoder().decode(callback.body)
  try {
    if (callback.via === 'socket') return JSON.parse(text) as unknown
    const form = new URLSearchParams(text)
    const payload = form.get('payload')
    return payload === null ? Object.fromEntries(form) : (JSON.parse(payload) as unknown)
  } catch {
    return null
  }
}
