import { randomBytes } from 'node:crypto'
import { applicationKey, type ApplicationKey } from './sign-interaction.ts'

export interface DiscordChannel {
  readonly id: string
  /** null: a direct message */
  readonly guildId: string | null
  readonly recipient: string | null
  /** Whether the bot may see and write there */
  open: boolean
  /** Hidden from everybody who was not let in */
  private: boolean
  /** Whether the bot may read what was written before */
  history: boolean
}

export interface StoredMessage {
  readonly id: string
  readonly channelId: string
  readonly nonce: string
  content: string
  embeds: readonly object[]
  rows: readonly Row[]
  readonly replyTo: string | null
  /** Id of who wrote it */
  readonly author: string
  edits: number
}

export interface Row {
  readonly components: readonly { readonly label: string; readonly custom_id?: string; readonly url?: string }[]
}

export interface SeenCall {
  readonly method: string
  readonly path: string
  readonly body: unknown
  readonly status: number
}

export interface DiscordHouse {
  readonly applicationId: string
  readonly guildId: string
  /** Who the bot is among people: not the application's id */
  readonly botId: string
  readonly botToken: string
  readonly key: ApplicationKey
  readonly channels: Map<string, DiscordChannel>
  readonly messages: Map<string, StoredMessage>
  /** By name; a second one of the same name replaces the first */
  readonly commands: Map<string, object>
  readonly calls: SeenCall[]
  /** Of answered interactions: until when their tokens are good, and what was said since */
  readonly tokens: Map<string, { readonly until: number; readonly said: object[] }>
  /** Calls that a route takes in five seconds */
  bucketSize: number
  readonly buckets: Map<string, number[]>
  endpoint: { readonly url: string; readonly ca: string | undefined } | null
  /** What every call is answered while it is not null; `hang`: does its work, and the connection breaks before it is answered */
  outage: { readonly status: number } | 'hang' | null
  /** Takes messages and changes and answers nothing: whoever sent them never learns of it */
  silent: boolean
  /** Whether a list of messages has their nonces; Discord describes it and need not do it */
  tellsNonce: boolean
  /** How long a second message with the same nonce is dropped */
  nonceMs: number
  /** People who take no direct messages */
  readonly closed: Set<string>
  now(): number
  newId(): string
}

export function newDiscordHouse(): DiscordHouse {
  let last = 0n
  // Milliseconds since 2015 in front of 22 bits, and always larger than the one before.
  const newId = (): string => {
    const now = BigInt(Date.now() - 1_420_070_400_000) << 22n
    last = now > last ? now + BigInt(randomBytes(1)[0] ?? 0) : last + 1n
    return String(last)
  }
  return {
    applicationId: newId(),
    guildId: newId(),
    botId: newId(),
    botToken: `fake-discord-token-${randomBytes(8).toString('hex')}`,
    key: applicationKey(),
    channels: new Map(),
    messages: new Map(),
    commands: new Map(),
    calls: [],
    tokens: new Map(),
    bucketSize: 1000,
    buckets: new Map(),
    endpoint: null,
    outage: null,
    silent: false,
    tellsNonce: false,
    nonceMs: 300_000,
    closed: new Set(),
    now: () => Date.now(),
    newId,
  }
}

export function addDiscordChannel(house: DiscordHouse, wanted: Partial<DiscordChannel> = {}): DiscordChannel {
  const open = { open: true, private: false, history: true }
  const channel = { id: house.newId(), guildId: house.guildId, recipient: null, ...open, ...wanted }
  house.channels.set(channel.id, channel)
  return channel
}
