import { z } from 'zod'
import type { CallbackAnswer, FromChat, RawCallback } from '../../contract/from-chat.ts'
import type { MessageTask } from '../../contract/message.ts'
import { slackMessage, type SlackSecrets, type SlackSettings } from '../../contract/vendors/slack.ts'
import {
  DeliveryFailed,
  type ChannelReaders,
  type CheckLine,
  type Connector,
  type ConnectorParts,
  type LaneLimit,
} from '../connector.ts'
import { answerCallback } from './answer-callback.ts'
import { ChannelFacts } from './channel-facts.ts'
import { checkSlack } from './check-slack.ts'
import { findPosted, markOf } from './find-posted.ts'
import { renderNotice } from './render-notice.ts'
import { renderRequest, type SlackMessage } from './render-request.ts'
import { keepSocket } from './socket/keep-socket.ts'
import { SlackWebApi } from './web-api.ts'

export type SlackParts = ConnectorParts<SlackSettings, SlackSecrets>

const Posted = z.looseObject({ channel: z.string().min(1), ts: z.string().min(1) })
const Opened = z.looseObject({ channel: z.looseObject({ id: z.string().min(1) }) })

/** Direct messages are opened once for each person while the daemon runs */
const MOST_DIRECT = 10_000

/**
 * https://docs.slack.dev/apis/web-api/rate-limits: one message a second in each conversation, with short bursts, and some hundred a
 * minute in a workspace; fifty a minute for methods of tier 3, as chat.update and conversations.history are.
 */
const LIMITS: readonly LaneLimit[] = [
  { of: 'new', per: 'destination', burst: 3, everyMs: 1000 },
  { of: 'new', per: 'integration', burst: 20, everyMs: 215 },
  // Fifty in any minute: many at once, so that the buttons of one request are gone from all its copies with the decision.
  { of: 'change', per: 'integration', burst: 20, everyMs: 2000 },
  { of: 'look', per: 'integration', burst: 4, everyMs: 1300 },
]

export class SlackConnector implements Connector {
  readonly vendor = 'slack'
  readonly limits = LIMITS
  readonly #parts: SlackParts
  readonly #bot: SlackWebApi
  readonly #channels: ChannelFacts
  readonly #direct = new Map<string, string>()

  constructor(parts: SlackParts) {
    this.#parts = parts
    this.#bot = this.#api(parts.secrets.bot_token)
    this.#channels = new ChannelFacts(this.#bot, parts.clock)
    const { app_token: appToken } = parts.secrets
    if (parts.settings.mode === 'socket' && appToken !== undefined)
      this.listen = (fromChat, signal) => this.#keepSocket(this.#api(appToken), fromChat, signal)
  }

  /** Only in mode `socket` */
  readonly listen?: (fromChat: FromChat, signal: AbortSignal) => Promise<void>

  async deliver(task: MessageTask, signal: AbortSignal): Promise<string> {
    if (task.content.kind === 'notice') {
      // Said once: a line that is there is not said again.
      if (task.external !== null) return task.external
      return this.#post(task, renderNotice(task.content.view), signal)
    }
    const { view, buttons } = task.content
    const message = renderRequest(view, buttons, task.buttonId, task.audience)
    return task.external === null ? this.#post(task, message, signal) : this.#update(task.external, message, signal)
  }

  /** Without the scope to read there, Slack says so, and the message is sent without a look. */
  async find(task: MessageTask, since: number, signal: AbortSignal): Promise<string | null> {
    const thread = task.thread === null ? null : splitMessage(task.thread)
    const channel = thread?.channel ?? (await this.#channelOf(task, signal))
    const wanted = {
      appId: this.#parts.settings.app_id,
      channel,
      thread: thread?.ts ?? null,
      onceId: task.onceId,
      since,
    }
    const ts = await findPosted(this.#bot, wanted, signal)
    return ts === null ? null : slackMessage(channel, ts)
  }

  receive(callback: RawCallback, fromChat: FromChat, signal: AbortSignal): Promise<CallbackAnswer> {
    const { fetch, clock, log, settings } = this.#parts
    const directTo = (user: string): Promise<string> => this.#directTo(user, signal)
    const parts = { bot: this.#bot, fetch, clock, log, apiUrl: settings.api_url, directTo }
    return answerCallback(parts, callback, fromChat, signal)
  }

  audienceOf(channel: string, signal: AbortSignal): Promise<ChannelReaders> {
    return this.#channels.readersOf(channel, signal)
  }

  check(channels: readonly string[], signal: AbortSignal): Promise<readonly CheckLine[]> {
    const { settings, secrets } = this.#parts
    const app = secrets.app_token === undefined ? null : this.#api(secrets.app_token)
    return checkSlack({ bot: this.#bot, app, channels: this.#channels, settings }, channels, signal)
  }

  #api(token: string): SlackWebApi {
    const { fetch, settings } = this.#parts
    return new SlackWebApi({ fetch, apiUrl: settings.api_url, token })
  }

  async #post(task: MessageTask, message: SlackMessage, signal: AbortSignal): Promise<string> {
    const thread = task.thread === null ? null : splitMessage(task.thread)
    const channel = thread?.channel ?? (await this.#channelOf(task, signal))
    const unseen = { metadata: markOf(task.onceId), unfurl_links: false, unfurl_media: false }
    const args = { channel, ...message, thread_ts: thread?.ts, ...unseen }
    const posted = Posted.safeParse(await this.#bot.call('chat.postMessage', args, signal))
    if (!posted.success) throw new DeliveryFailed('retry', 'Slack took the message and did not say where it is')
    return slackMessage(posted.data.channel, posted.data.ts)
  }

  async #update(external: string, message: SlackMessage, signal: AbortSignal): Promise<string> {
    const { channel, ts } = splitMessage(external)
    await this.#bot.call('chat.update', { channel, ts, ...message }, signal)
    return external
  }

  async #channelOf({ destination }: MessageTask, signal: AbortSignal): Promise<string> {
    if (destination.channel !== null) return destination.channel
    const account = destination.person?.account ?? null
    // By the account that was linked and nothing else: a mail address names nobody for sure.
    if (account === null) throw new DeliveryFailed('destination', 'no Slack account is linked: /access link in Slack')
    return await this.#directTo(account, signal)
  }

  async #directTo(account: string, signal: AbortSignal): Promise<string> {
    const known = this.#direct.get(account)
    if (known !== undefined) return known
    const opened = Opened.safeParse(await this.#bot.call('conversations.open', { users: account }, signal))
    if (!opened.success) throw new DeliveryFailed('retry', 'Slack opened a direct message and did not say which')
    if (this.#direct.size >= MOST_DIRECT) this.#direct.clear()
    this.#direct.set(account, opened.data.channel.id)
    return opened.data.channel.id
  }

  #keepSocket(app: SlackWebApi, fromChat: FromChat, signal: AbortSignal): Promise<void> {
    const { integration, settings, clock, log, connect, report } = this.#parts
    return keepSocket(
      {
        app,
        apiUrl: settings.api_url,
        clock,
        log: log.child({ integration }),
        connect,
        report,
        integration,
        take: (callback) => this.receive(callback, fromChat, signal),
      },
      signal,
    )
  }
}

/** As `slackMessage` writes it. */
function splitMessage(external: string): { channel: string; ts: string } {
  const at = external.indexOf(':')
  if (at < 1) throw new DeliveryFailed('gone', 'the name of a message in Slack is not readable')
  return { channel: external.slice(0, at), ts: external.slice(at + 1) }
}
