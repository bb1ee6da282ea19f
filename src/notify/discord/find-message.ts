import { z } from 'zod'
import type { MessageTask } from '../../contract/message.ts'
import { Snowflake } from '../../contract/vendors/discord.ts'
import type { DiscordApi } from './discord-api.ts'
import { nonceOf, renderMessage } from './render-message.ts'

// Discord drops a second message with the same nonce for some minutes only. Later we look for the first one ourselves.

/** 2015-01-01, from which ids of Discord count milliseconds */
const FIRST_MS = 1_420_070_400_000
const TOGETHER = 100
/** A channel in which more was said since is not read to its end */
const MOST_PAGES = 20

const Message = z.object({
  id: Snowflake,
  author: z.object({ id: z.string() }),
  nonce: z.union([z.string(), z.number()]).nullish(),
  content: z.string().default(''),
  embeds: z.array(z.object({ footer: z.object({ text: z.string() }).optional() })).default([]),
  message_reference: z.object({ message_id: z.string().optional() }).nullish(),
})
type Message = z.infer<typeof Message>

/** Ours among what was written in the channel since: `CHANNEL/MESSAGE`, or null. `bot`: who we are there. `replyTo`: id of a message. */
export async function findMessage(
  api: DiscordApi,
  task: MessageTask,
  where: { readonly channel: string; readonly bot: string; readonly replyTo: string | null; readonly since: number },
  signal: AbortSignal,
): Promise<string | null> {
  const isIt = recognizer(task, where.replyTo)
  let after = firstIdAt(where.since)
  for (let page = 0; page < MOST_PAGES; page++) {
    const path = `/channels/${where.channel}/messages?after=${after}&limit=${TOGETHER}`
    const all = z.array(z.unknown()).parse(await api.call('GET', path, null, signal))
    const read = all.flatMap((each) => Message.safeParse(each).data ?? [])
    // Anybody's bot may write what ours writes.
    const own = read.find((message) => message.author.id === where.bot && isIt(message))
    if (own !== undefined) return `${where.channel}/${own.id}`
    const newest = read.reduce((most, { id }) => (BigInt(id) > BigInt(most) ? id : most), after)
    if (all.length < TOGETHER || newest === after) return null
    after = newest
  }
  return null
}

const firstIdAt = (ms: number): string => String(BigInt(Math.max(1, ms - FIRST_MS)) << 22n)

/** By the nonce where Discord still tells it; else by what stands at the foot of a request, or by the words of a line. */
function recognizer(task: MessageTask, replyTo: string | null): (message: Message) => boolean {
  const nonce = nonceOf(task.onceId)
  const { content } = renderMessage(task)
  const foot = task.content.kind === 'request' ? task.content.view.id : null
  return (message) => {
    if (message.nonce !== undefined && message.nonce !== null) return message.nonce === nonce
    if (foot !== null) return message.embeds.some(({ footer }) => footer?.text === foot)
    const answers = message.message_reference?.message_id ?? null
    return message.embeds.length === 0 && message.content.trim() === content.trim() && answers === replyTo
  }
}
