import type { z } from 'zod'
import { vendorDescription, type VendorDescription } from '../vendor-apis.ts'
import {
  AcceptedCommand,
  AcceptedDirect,
  AcceptedFollowUp,
  AcceptedMessage,
  AcceptedPost,
  DistinctButtons,
} from './accepted.ts'
import { addDiscordChannel, type DiscordHouse, type StoredMessage } from './discord-house.ts'

export interface ApiCall {
  readonly method: string
  readonly path: string
  readonly authorization: string
  readonly type: string
  readonly body: string
}

export interface ApiAnswer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: unknown
  readonly hang?: boolean
  /** It is done, and nobody is told */
  readonly never?: boolean
}

class ApiRefusal extends Error {
  readonly status: number
  readonly code: number

  constructor(status: number, code: number, message: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

const BUCKET_MS = 5000

type Handler = (house: DiscordHouse, parts: readonly string[], body: unknown) => unknown

const ROUTES: readonly {
  readonly method: string
  readonly path: RegExp
  readonly handle: Handler
  readonly open?: true
}[] = [
  { method: 'POST', path: /^\/channels\/(\d+)\/messages$/, handle: createMessage },
  { method: 'GET', path: /^\/channels\/(\d+)\/messages\?(?:after=(\d+)&)?limit=(\d+)$/, handle: listMessages },
  { method: 'GET', path: /^\/users\/@me$/, handle: ({ botId }) => ({ id: botId, username: 'sallyport', bot: true }) },
  { method: 'PATCH', path: /^\/channels\/(\d+)\/messages\/(\d+)$/, handle: updateMessage },
  { method: 'GET', path: /^\/channels\/(\d+)$/, handle: getChannel },
  { method: 'POST', path: /^\/users\/@me\/channels$/, handle: openDirect },
  { method: 'POST', path: /^\/applications\/(\d+)\/commands$/, handle: createCommand },
  { method: 'GET', path: /^\/applications\/@me$/, handle: getApplication },
  { method: 'PATCH', path: /^\/webhooks\/(\d+)\/([^/]+)\/messages\/@original$/, handle: followUp, open: true },
]

export function discordApi(house: DiscordHouse, call: ApiCall): ApiAnswer {
  const parsed = call.body === '' ? null : parseJson(call)
  const answer = answerTo(house, call, parsed)
  house.calls.push({ method: call.method, path: call.path, body: parsed, status: answer.status })
  if (answer.status < 400 && parsed !== null) checkWithVendor(call, parsed)
  if (house.outage === 'hang') return { ...answer, hang: true }
  return house.silent && call.method !== 'GET' && call.path.includes('/messages') ? { ...answer, never: true } : answer
}

let description: VendorDescription | null | undefined

/** Throws when Discord's own description, where it is at hand (VENDOR_APIS), does not allow what was sent. */
export function checkWithVendor({ method, path }: Pick<ApiCall, 'method' | 'path'>, body: unknown): void {
  description ??= vendorDescription('discord.json')
  const problem = description?.problemWith(method, path, body) ?? null
  if (problem !== null) throw new Error(`${method} ${path} is not as Discord describes it: ${problem}`)
}

function answerTo(house: DiscordHouse, call: ApiCall, body: unknown): ApiAnswer {
  try {
    if (house.outage !== null && house.outage !== 'hang') throw new ApiRefusal(house.outage.status, 0, 'outage')
    const route = ROUTES.find(({ method, path }) => method === call.method && path.test(call.path))
    if (!route) throw new ApiRefusal(404, 0, '404: Not Found')
    if (!route.open && call.authorization !== `Bot ${house.botToken}`) throw new ApiRefusal(401, 0, `401: Unauthorized`)
    const limited = limit(house, call)
    if (limited) return limited
    if (body !== null && call.type !== 'application/json') throw new ApiRefusal(400, 50_035, 'not JSON')
    const parts = route.path.exec(call.path)?.slice(1) ?? []
    return { status: 200, body: route.handle(house, parts, body) }
  } catch (error) {
    if (!(error instanceof ApiRefusal)) throw error
    return { status: error.status, body: { code: error.code, message: error.message } }
  }
}

const parseJson = ({ body }: ApiCall): unknown => {
  try {
    return JSON.parse(body) as unknown
  } catch {
    return undefined
  }
}

function limit(house: DiscordHouse, { method, path }: ApiCall): ApiAnswer | null {
  const bucket = `${method} ${path.replace(/\/messages\/\d+$/, '/messages/*').replace(/\?.*$/, '')}`
  const now = house.now()
  const recent = (house.buckets.get(bucket) ?? []).filter((at) => at > now - BUCKET_MS)
  const [first] = recent
  if (recent.length >= house.bucketSize && first !== undefined) {
    const seconds = (first + BUCKET_MS - now) / 1000
    return {
      status: 429,
      headers: { 'retry-after': String(Math.ceil(seconds)), 'x-ratelimit-scope': 'user' },
      body: { message: 'You are being rate limited.', retry_after: seconds, global: false },
    }
  }
  house.buckets.set(bucket, [...recent, now])
  return null
}

function valid<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body)
  if (parsed.success) return parsed.data
  throw new ApiRefusal(
    400,
    50_035,
    `Invalid Form Body: ${parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ')}`,
  )
}

function writable(house: DiscordHouse, id: string): string {
  const channel = house.channels.get(id)
  if (!channel) throw new ApiRefusal(404, 10_003, 'Unknown Channel')
  if (!channel.open) throw new ApiRefusal(403, 50_001, 'Missing Access')
  if (channel.recipient !== null && house.closed.has(channel.recipient))
    throw new ApiRefusal(403, 50_007, 'Cannot send messages to this user')
  return id
}

function createMessage(house: DiscordHouse, [channel = '']: readonly string[], body: unknown): unknown {
  const channelId = writable(house, channel)
  const post = valid(AcceptedPost, body)
  valid(DistinctButtons, post.components)
  const known = [...house.messages.values()].find(
    (each) => each.channelId === channelId && each.nonce === post.nonce && ageOf(house, each) < house.nonceMs,
  )
  if (known) return shown(known)
  const message: StoredMessage = {
    id: house.newId(),
    channelId,
    nonce: post.nonce,
    content: post.content,
    embeds: post.embeds,
    rows: post.components,
    replyTo: post.message_reference?.message_id ?? null,
    author: house.botId,
    edits: 0,
  }
  house.messages.set(message.id, message)
  born.set(message, house.now())
  return shown(message)
}

const born = new WeakMap<StoredMessage, number>()
const ageOf = (house: DiscordHouse, message: StoredMessage): number => house.now() - (born.get(message) ?? 0)
const shown = ({ id, channelId, content }: StoredMessage): object => ({ id, channel_id: channelId, content })

/** Without the permission to read the history the list is empty, which is no error. */
function listMessages(house: DiscordHouse, [id = '', after = '0', limit = '']: readonly string[]): unknown {
  const channel = house.channels.get(id)
  if (!channel) throw new ApiRefusal(404, 10_003, 'Unknown Channel')
  if (!channel.open) throw new ApiRefusal(403, 50_001, 'Missing Access')
  if (Number(limit) < 1 || Number(limit) > 100) throw new ApiRefusal(400, 50_035, 'limit: 1 to 100')
  if (!channel.history) return []
  return [...house.messages.values()]
    .filter((message) => message.channelId === id && BigInt(message.id) > BigInt(after))
    .slice(0, Number(limit))
    .toReversed()
    .map((message) => ({
      ...shown(message),
      ...{ type: 0, author: { id: message.author, username: 'somebody' }, embeds: message.embeds },
      ...(house.tellsNonce ? { nonce: message.nonce } : {}),
      ...(message.replyTo === null ? {} : { message_reference: { message_id: message.replyTo } }),
    }))
}

function updateMessage(house: DiscordHouse, [channel = '', id = '']: readonly string[], body: unknown): unknown {
  const channelId = writable(house, channel)
  const message = house.messages.get(id)
  if (message?.channelId !== channelId) throw new ApiRefusal(404, 10_008, 'Unknown Message')
  if (message.author !== house.botId)
    throw new ApiRefusal(403, 50_005, 'Cannot edit a message authored by another user')
  const changed = valid(AcceptedMessage, body)
  valid(DistinctButtons, changed.components)
  Object.assign(message, { content: changed.content, embeds: changed.embeds, rows: changed.components })
  message.edits += 1
  return shown(message)
}

function getChannel(house: DiscordHouse, [id = '']: readonly string[]): unknown {
  const channel = house.channels.get(id)
  if (!channel) throw new ApiRefusal(404, 10_003, 'Unknown Channel')
  if (!channel.open) throw new ApiRefusal(403, 50_001, 'Missing Access')
  const deny = channel.private ? '1024' : '0'
  const overwrites = channel.guildId === null ? [] : [{ id: channel.guildId, type: 0, allow: '0', deny }]
  const last = [...house.messages.values()].findLast((message) => message.channelId === id)?.id ?? null
  const about = { id, type: 0, guild_id: channel.guildId ?? undefined, permission_overwrites: overwrites }
  return { ...about, last_message_id: last }
}

function openDirect(house: DiscordHouse, _: readonly string[], body: unknown): unknown {
  const { recipient_id: recipient } = valid(AcceptedDirect, body)
  const known = [...house.channels.values()].find((channel) => channel.recipient === recipient)
  return { id: (known ?? addDiscordChannel(house, { guildId: null, recipient })).id, type: 1 }
}

function createCommand(house: DiscordHouse, [application = '']: readonly string[], body: unknown): unknown {
  if (application !== house.applicationId)
    throw new ApiRefusal(403, 20_012, 'You are not authorized to perform this action on this application')
  const command = valid(AcceptedCommand, body)
  house.commands.set(command.name, command)
  return { id: house.newId(), ...command }
}

function getApplication(house: DiscordHouse): unknown {
  return { id: house.applicationId, name: 'Sallyport', verify_key: house.key.publicHex }
}

function followUp(house: DiscordHouse, [application = '', token = '']: readonly string[], body: unknown): unknown {
  const known = house.tokens.get(decodeURIComponent(token))
  if (application !== house.applicationId || !known) throw new ApiRefusal(404, 10_015, 'Unknown Webhook')
  if (house.now() > known.until) throw new ApiRefusal(401, 50_027, 'Invalid Webhook Token')
  const said = valid(AcceptedFollowUp, body)
  known.said.push(said)
  return { id: house.newId() }
}
