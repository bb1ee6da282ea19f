import { z } from 'zod'
import type { Clock } from '../../foundation/clock.ts'
import type { ChannelReaders } from '../connector.ts'
import type { SlackWebApi } from './web-api.ts'

const Info = z.looseObject({
  channel: z.looseObject({
    id: z.string(),
    name: z.string().optional(),
    is_private: z.boolean().optional(),
    is_archived: z.boolean().optional(),
    is_member: z.boolean().optional(),
    is_ext_shared: z.boolean().optional(),
    is_org_shared: z.boolean().optional(),
    is_pending_ext_shared: z.boolean().optional(),
  }),
})
const Paging = z.looseObject({ next_cursor: z.string().optional() }).optional()
const Members = z.looseObject({ members: z.array(z.string()), response_metadata: Paging })
const Users = z.looseObject({
  members: z.array(
    z.looseObject({ id: z.string(), is_restricted: z.boolean().optional(), is_stranger: z.boolean().optional() }),
  ),
  response_metadata: Paging,
})

export type ChannelInfo = z.infer<typeof Info>['channel']

const MOST_PAGES = 20
/** The list of users costs a call of the second tier for each 200 to 1,000 of them */
const GUESTS_FRESH_MS = 600_000
const CHANNEL_FRESH_MS = 60_000

interface Remembered<T> {
  readonly at: number
  readonly value: T
}

/** Who reads a channel. What Slack does not say, or says in more pages than are read, is an error: such a channel is not known. */
export class ChannelFacts {
  readonly #bot: SlackWebApi
  readonly #clock: Clock
  readonly #readers = new Map<string, Remembered<ChannelReaders>>()
  #guests: Remembered<ReadonlySet<string>> | null = null

  constructor(bot: SlackWebApi, clock: Clock) {
    this.#bot = bot
    this.#clock = clock
  }

  async info(channel: string, signal: AbortSignal): Promise<ChannelInfo> {
    return Info.parse(await this.#bot.call('conversations.info', { channel }, signal)).channel
  }

  async readersOf(channel: string, signal: AbortSignal): Promise<ChannelReaders> {
    const known = this.#readers.get(channel)
    if (known && this.#clock.monotonic() - known.at < CHANNEL_FRESH_MS) return known.value
    const value = await this.#askReaders(channel, signal)
    if (this.#readers.size > 1000) this.#readers.clear()
    this.#readers.set(channel, { at: this.#clock.monotonic(), value })
    return value
  }

  async #askReaders(channel: string, signal: AbortSignal): Promise<ChannelReaders> {
    const info = await this.info(channel, signal)
    if (info.is_ext_shared || info.is_pending_ext_shared || info.is_org_shared) return 'outsiders'
    const guests = await this.#guestsOfWorkspace(signal)
    if (guests.size > 0 && (await this.#hasOneOf(guests, channel, signal))) return 'outsiders'
    return info.is_private === true ? 'private' : 'open'
  }

  async #guestsOfWorkspace(signal: AbortSignal): Promise<ReadonlySet<string>> {
    const now = this.#clock.monotonic()
    if (this.#guests && now - this.#guests.at < GUESTS_FRESH_MS) return this.#guests.value
    const guests = new Set<string>()
    for await (const page of this.#pages('users.list', { limit: 1000 }, Users, signal))
      for (const user of page.members) if (user.is_restricted || user.is_stranger) guests.add(user.id)
    this.#guests = { at: now, value: guests }
    return guests
  }

  async #hasOneOf(guests: ReadonlySet<string>, channel: string, signal: AbortSignal): Promise<boolean> {
    for await (const page of this.#pages('conversations.members', { channel, limit: 1000 }, Members, signal))
      if (page.members.some((member) => guests.has(member))) return true
    return false
  }

  async *#pages<T extends { response_metadata?: z.infer<typeof Paging> }>(
    method: 'users.list' | 'conversations.members',
    args: Record<string, string | number>,
    shape: z.ZodType<T>,
    signal: AbortSignal,
  ): AsyncGenerator<T> {
    let cursor = ''
    for (let page = 0; page < MOST_PAGES; page++) {
      const answer = shape.parse(await this.#bot.call(method, cursor === '' ? args : { ...args, cursor }, signal))
      yield answer
      cursor = answer.response_metadata?.next_cursor ?? ''
      if (cursor === '') return
    }
    throw new Error(`Slack has more than ${MOST_PAGES} pages of ${method}`)
  }
}
