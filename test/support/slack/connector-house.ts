import type { CallbackAnswer, ChatOutcome, FromChat, RawCallback } from '../../../src/contract/from-chat.ts'
import { SlackSecrets, SlackSettings } from '../../../src/contract/vendors/slack.ts'
import { systemClock, type Clock } from '../../../src/foundation/clock.ts'
import type { Log } from '../../../src/foundation/log.ts'
import { outboundConnect, outboundFetch } from '../../../src/foundation/outbound-fetch.ts'
import { SlackConnector } from '../../../src/notify/slack/slack-connector.ts'
import { FakeSlack } from './fake-slack.ts'

/** The connector against the stand-in, with a core that says what a test tells it to. */
export interface ConnectorHouse {
  readonly slack: FakeSlack
  readonly connector: SlackConnector
  readonly fromChat: TellingCore
  /** What the listener reported, oldest first */
  readonly reports: (string | null)[]
  /** Everything that was logged, as one text */
  logged(): string
  stop(): Promise<void>
}

/** Keeps what came in; answers what it was told to, once each, and `ignored` else. */
export class TellingCore implements FromChat {
  readonly taken: RawCallback[] = []
  readonly #outcomes: (ChatOutcome | Error)[] = []

  willSay(...outcomes: (ChatOutcome | Error)[]): void {
    this.#outcomes.push(...outcomes)
  }

  async take(callback: RawCallback): Promise<ChatOutcome> {
    this.taken.push(callback)
    const outcome = this.#outcomes.shift() ?? { kind: 'ignored', why: 'nothing was told' }
    if (outcome instanceof Error) throw outcome
    return Promise.resolve(outcome)
  }
}

export async function connectorHouse(mode: 'http' | 'socket', clock: Clock = systemClock): Promise<ConnectorHouse> {
  const slack = await FakeSlack.start({ mode, now: () => clock.now() })
  const lines: string[] = []
  const log = logInto(lines)
  const reports: (string | null)[] = []
  const networks = { allowNetworks: ['127.0.0.0/8'] }
  const connector = new SlackConnector({
    integration: 'chat',
    settings: SlackSettings.parse({ team_id: slack.teamId, app_id: slack.appId, mode, api_url: slack.apiUrl }),
    secrets: SlackSecrets.parse({
      bot_token: slack.botToken,
      app_token: slack.appToken,
      signing_secret: slack.signingSecret,
    }),
    clock,
    log,
    fetch: outboundFetch(networks),
    connect: outboundConnect(networks),
    publicUrl: 'https://access.example.org',
    report: (broken) => reports.push(broken),
  })
  const fromChat = new TellingCore()
  slack.deliver = async (path, headers, body) => {
    const callback: RawCallback = { integration: 'chat', path, headers, body, via: 'http' }
    const answer: CallbackAnswer = await connector.receive(callback, fromChat, AbortSignal.timeout(10_000))
    return { status: answer.status, body: answer.body ?? '' }
  }
  return { slack, connector, fromChat, reports, logged: () => lines.join('\n'), stop: () => slack.stop() }
}

function logInto(lines: string[]): Log {
  const line = (fields: object, message: string): void => void lines.push(`${message} ${JSON.stringify(fields)}`)
  const log: Log = { debug: line, info: line, warn: line, error: line, child: () => log }
  return log
}
