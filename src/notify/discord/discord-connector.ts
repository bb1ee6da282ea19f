import { z } from 'zod'
import type { MessageTask } from '../../contract/message.ts'
import { type DiscordSecrets, type DiscordSettings, Snowflake } from '../../contract/vendors/discord.ts'
import { sleep } from '../../foundation/clock.ts'
import {
  type ChannelReaders,
  type CheckLine,
  type Connector,
  type ConnectorParts,
  DeliveryFailed,
} from '../connector.ts'
import { answerInteraction } from './answer-interaction.ts'
import { DiscordApi } from './discord-api.ts'
import { findMessage } from './find-message.ts'
import { nonceOf, renderMessage } from './render-message.ts'

type Parts = ConnectorParts<DiscordSettings, DiscordSecrets>

const Created = z.object({ id: Snowflake })
const External = /^(?<channel>[0-9]{15,20})\/(?<message>[0-9]{15,20})$/

/** A bot: messages with buttons and forms in channels, links in direct messages, `/access`. */
export function discordConnector(parts: Parts): Connector {
  const { settings, secrets } = parts
  const api = new DiscordApi({ url: settings.api_url, token: secrets.bot_token, fetch: parts.fetch })
  let bot: Promise<string> | null = null
  const botId = (signal: AbortSignal): Promise<string> => {
    bot ??= ownId(api, signal).catch((error: unknown) => {
      bot = null
      throw error
    })
    return bot
  }
  return {
    vendor: 'discord',
    limits: LIMITS,
    deliver: (task, signal) =>
      task.external === null ? post(api, task, signal) : edit(api, task, task.external, signal),
    async find(task, since, signal) {
      const channel = await channelOf(api, task, signal)
      const where = { channel, since, replyTo: answered(task, channel), bot: await botId(signal) }
      return await findMessage(api, task, where, signal)
    },
    receive: (callback, fromChat) => answerInteraction({ ...parts, api }, callback, fromChat),
    listen: (_fromChat, signal) => offerCommand(api, parts, signal),
    audienceOf: (channel, signal) => readersOf(api, settings, channel, signal),
    async check(channels, signal) {
      const lines = [await checkApplication(api, settings, signal)]
      for (const channel of channels) lines.push(await checkChannel(api, settings, channel, signal))
      return lines
    },
  }
}

/** Calls of a route in one channel are counted by themselves. Discord publishes no figures; it allows about so many. */
const LIMITS = (['new', 'change', 'look'] as const).map((of) => ({
  ...{ of, per: 'destination' as const, burst: 5, everyMs: 1000 },
}))

const ownId = async (api: DiscordApi, signal: AbortSignal): Promise<string> =>
  Created.parse(await api.call('GET', '/users/@me', null, signal)).id

/** Id of the message that a line answers; null: of none in this channel. */
function answered({ thread }: MessageTask, channel: string): string | null {
  const known = External.exec(thread ?? '')?.groups
  return known?.['channel'] === channel ? (known['message'] ?? null) : null
}

async function post(api: DiscordApi, task: MessageTask, signal: AbortSignal): Promise<string> {
  const channel = await channelOf(api, task, signal)
  const replyTo = answered(task, channel)
  const reply =
    replyTo === null
      ? {}
      : { message_reference: { message_id: replyTo, channel_id: channel, fail_if_not_exists: false } }
  const body = { ...renderMessage(task), ...reply, nonce: nonceOf(task.onceId), enforce_nonce: true }
  const { id } = Created.parse(await api.call('POST', `/channels/${channel}/messages`, body, signal))
  return `${channel}/${id}`
}

async function edit(api: DiscordApi, task: MessageTask, external: string, signal: AbortSignal): Promise<string> {
  const { channel, message } = External.exec(external)?.groups ?? {}
  if (channel === undefined || message === undefined) throw new DeliveryFailed('gone', 'no message of Discord is known')
  await api.call('PATCH', `/channels/${channel}/messages/${message}`, renderMessage(task), signal)
  return external
}

async function channelOf(api: DiscordApi, { destination }: MessageTask, signal: AbortSignal): Promise<string> {
  if (destination.channel !== null) return checkedId(destination.channel, 'channel')
  const account = destination.person?.account ?? null
  if (account === null) throw new DeliveryFailed('destination', 'no account of Discord is linked')
  const body = { recipient_id: checkedId(account, 'account') }
  return Created.parse(await api.call('POST', '/users/@me/channels', body, signal)).id
}

function checkedId(id: string, what: string): string {
  const parsed = Snowflake.safeParse(id)
  if (!parsed.success) throw new DeliveryFailed('destination', `the ${what} is no id of Discord (15 to 20 digits)`)
  return parsed.data
}

const COMMAND = {
  name: 'access',
  type: 1,
  description: 'Ask for access, see what you asked for, link your account',
  contexts: [0],
  options: [{ type: 3, name: 'text', description: 'help, mine, link, request ROLE for 1h: REASON', required: false }],
} as const

const FIRST_WAIT = 1000
const LONGEST_WAIT = 300_000

/** Registers `/access`, which replaces the one of the same name, and then waits for the end. */
async function offerCommand(api: DiscordApi, { settings, clock, report }: Parts, signal: AbortSignal): Promise<void> {
  let wait = FIRST_WAIT
  while (!signal.aborted) {
    try {
      await api.call('POST', `/applications/${settings.application_id}/commands`, COMMAND, signal)
      report(null)
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
      return
    } catch (error) {
      if (signal.aborted) return
      if (error instanceof DeliveryFailed && error.kind !== 'retry') report(`/access is not offered: ${error.message}`)
      const asked = error instanceof DeliveryFailed ? (error.afterMs ?? 0) : 0
      await sleep(clock, Math.max(wait, asked), signal).catch(() => {})
      wait = Math.min(LONGEST_WAIT, wait * 2)
    }
  }
}

const Channel = z.object({
  guild_id: Snowflake.optional(),
  permission_overwrites: z.array(z.object({ id: z.string(), deny: z.string().regex(/^[0-9]{1,30}$/) })).default([]),
})
const VIEW_CHANNEL = 1n << 10n

/** A channel that everybody on the server sees is `open`; of a server that is not listed, `outsiders`. */
async function readersOf(
  api: DiscordApi,
  settings: DiscordSettings,
  channel: string,
  signal: AbortSignal,
): Promise<ChannelReaders> {
  const found = Channel.parse(await api.call('GET', `/channels/${checkedId(channel, 'channel')}`, null, signal))
  const guild = found.guild_id
  if (guild === undefined || !settings.guild_ids.includes(guild)) return 'outsiders'
  const everyone = found.permission_overwrites.find(({ id }) => id === guild)
  return everyone !== undefined && (BigInt(everyone.deny) & VIEW_CHANNEL) !== 0n ? 'private' : 'open'
}

const Application = z.object({ id: z.string(), verify_key: z.string().optional(), name: z.string().optional() })

async function checkApplication(api: DiscordApi, settings: DiscordSettings, signal: AbortSignal): Promise<CheckLine> {
  try {
    const found = Application.parse(await api.call('GET', '/applications/@me', null, signal))
    if (found.id !== settings.application_id)
      return { ok: false, text: `the token is that of the application ${found.id}` }
    if (found.verify_key !== undefined && found.verify_key !== settings.public_key)
      return { ok: false, text: 'public_key is not that of the application: interactions would be refused' }
    return { ok: true, text: 'the bot token works and belongs to the application' }
  } catch (error) {
    return { ok: false, text: textOf(error) }
  }
}

async function checkChannel(
  api: DiscordApi,
  settings: DiscordSettings,
  channel: string,
  signal: AbortSignal,
): Promise<CheckLine> {
  try {
    const readers = await readersOf(api, settings, channel, signal)
    if (readers === 'outsiders') return { ok: false, text: `channel ${channel} is on none of guild_ids` }
    if (!(await seesHistory(api, channel, signal)))
      return { ok: false, text: `channel ${channel}: the bot lacks the permission Read Message History there` }
    return {
      ok: true,
      text: `channel ${channel} can be seen${readers === 'open' ? '; everybody on the server reads it' : ''}`,
    }
  } catch (error) {
    return { ok: false, text: `channel ${channel}: ${textOf(error)}` }
  }
}

const Seen = z.object({ last_message_id: z.string().nullish() })

/** Without the permission Discord answers an empty list, also of a channel in which something was written. */
async function seesHistory(api: DiscordApi, channel: string, signal: AbortSignal): Promise<boolean> {
  const { last_message_id: last } = Seen.parse(await api.call('GET', `/channels/${channel}`, null, signal))
  if (last === undefined || last === null) return true
  const messages = z
    .array(z.unknown())
    .parse(await api.call('GET', `/channels/${channel}/messages?limit=1`, null, signal))
  return messages.length > 0
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : 'the call failed')
