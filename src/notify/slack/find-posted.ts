import { z } from 'zod'
import { DeliveryFailed } from '../connector.ts'
import type { SlackWebApi } from './web-api.ts'

/** As many as Slack advises */
const PAGE = 200
/** More than 4,000 messages are not read for one of ours */
const MOST_PAGES = 20
const EVENT = 'sallyport_message'

/** What a message of ours carries, unseen, so that it can be found. Everybody in the workspace could read it: it says nothing. */
export const markOf = (onceId: string): object => ({ event_type: EVENT, event_payload: { once: onceId } })

const Mark = z.looseObject({ event_type: z.literal(EVENT), event_payload: z.looseObject({ once: z.string() }) })
const Message = z.looseObject({
  ts: z.string(),
  app_id: z.string().optional(),
  bot_profile: z.looseObject({ app_id: z.string().optional() }).optional(),
  metadata: z.unknown(),
})
const Page = z.looseObject({
  messages: z.array(Message),
  response_metadata: z.looseObject({ next_cursor: z.string().optional() }).nullish(),
})

export interface Wanted {
  readonly appId: string
  readonly channel: string
  /** `ts` of the message that it answers; null: it stands by itself */
  readonly thread: string | null
  readonly onceId: string
  /** Milliseconds since 1970 */
  readonly since: number
}

/** `ts` of the message of this app that carries the mark; null: there is none since then. Errors: DeliveryFailed. */
export async function findPosted(bot: SlackWebApi, wanted: Wanted, signal: AbortSignal): Promise<string | null> {
  const oldest = `${Math.max(0, Math.floor(wanted.since / 1000))}.000000`
  const about = { channel: wanted.channel, oldest, limit: PAGE, include_all_metadata: true }
  let cursor: string | undefined
  for (let page = 0; page < MOST_PAGES; page++) {
    const answer =
      wanted.thread === null
        ? await bot.call('conversations.history', { ...about, cursor }, signal)
        : await bot.call('conversations.replies', { ...about, ts: wanted.thread, cursor }, signal)
    const parsed = Page.safeParse(answer)
    if (!parsed.success) throw new DeliveryFailed('retry', 'Slack showed messages that are not readable')
    const found = parsed.data.messages.find((message) => isWanted(message, wanted))
    if (found) return found.ts
    cursor = parsed.data.response_metadata?.next_cursor ?? ''
    if (cursor === '') return null
  }
  throw new DeliveryFailed('defect', `there are more than ${PAGE * MOST_PAGES} messages to look through`)
}

/** Any app can copy a mark that it has read: only ours counts. */
function isWanted({ app_id, bot_profile, metadata }: z.infer<typeof Message>, { appId, onceId }: Wanted): boolean {
  const mark = Mark.safeParse(metadata)
  return mark.success && mark.data.event_payload.once === onceId && (app_id ?? bot_profile?.app_id) === appId
}
