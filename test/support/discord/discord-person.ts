import { randomBytes } from 'node:crypto'
import { callIntegration, type IntegrationAnswer } from '../mattermost/call-integration.ts'
import { AcceptedAnswer } from './accepted.ts'
import type { DiscordHouse, StoredMessage } from './discord-house.ts'
import { checkWithVendor } from './discord-routes.ts'
import { applicationKey, signedHeaders } from './sign-interaction.ts'
import { shownText } from './read-markup.ts'

type Modal = Extract<AcceptedAnswer, { type: 9 }>['data']

/** What the person who did something sees of it. */
export type Seen =
  | { readonly kind: 'said'; readonly text: string; readonly url: string | null }
  | { readonly kind: 'modal'; readonly modal: Modal }
  | { readonly kind: 'thinking'; readonly token: string }
  | { readonly kind: 'nothing' }
  /** "This interaction failed": not answered in three seconds, or not as it should be */
  | { readonly kind: 'failed'; readonly why: string }

const ANSWER_MS = 3000
const TOKEN_MS = 15 * 60_000

/** Somebody with a Discord client, on one server. */
export class DiscordPerson {
  readonly id: string
  readonly #house: DiscordHouse
  readonly #name: string
  readonly #guild: string
  /** What was sent last, for sending it again as it was */
  last: { readonly body: string; readonly headers: Record<string, string> } | null = null

  constructor(house: DiscordHouse, name: string, guild: string) {
    this.id = house.newId()
    this.#house = house
    this.#name = name
    this.#guild = guild
  }

  press(message: StoredMessage, label: string): Promise<Seen> {
    const button = message.rows.flatMap((row) => row.components).find((each) => each.label === label)
    if (button?.custom_id === undefined) return Promise.resolve({ kind: 'failed', why: `there is no button ${label}` })
    return this.pressId(message, button.custom_id)
  }

  /** A button that was there once. */
  pressId(message: StoredMessage, customId: string): Promise<Seen> {
    const { id, channelId, content, embeds } = message
    return this.#interact(
      3,
      channelId,
      { component_type: 2, custom_id: customId },
      { message: { id, content, embeds } },
    )
  }

  type(channelId: string, text: string): Promise<Seen> {
    const options = text === '' ? [] : [{ type: 3, name: 'text', value: text }]
    return this.#interact(2, channelId, { id: this.#house.newId(), name: 'access', type: 1, options })
  }

  submit(channelId: string, modal: Modal, values: Readonly<Record<string, string>>): Promise<Seen> {
    const components = modal.components.map((part) => {
      if (part.type === 10) return { type: 10, id: 1 }
      const { type, custom_id } = part.component
      const given = values[custom_id]
      const value = part.component.type === 4 ? (given ?? part.component.value ?? '') : (given ?? '')
      const typed = type === 3 ? { values: value === '' ? [] : value.split(',') } : { value }
      return { type: 18, id: 1, component: { type, custom_id, ...typed } }
    })
    return this.#interact(5, channelId, { custom_id: modal.custom_id, components })
  }

  /** What was said after "thinking". */
  heard(token: string): string | null {
    const [said] = this.#house.tokens.get(token)?.said ?? []
    return said && 'content' in said && typeof said.content === 'string' ? shownText(said.content) : null
  }

  /** The last interaction once more, byte for byte. */
  async again(): Promise<IntegrationAnswer> {
    const { endpoint } = this.#house
    if (!endpoint || !this.last) throw new Error('nothing was sent yet')
    return await callIntegration(endpoint.url, this.last.body, {
      type: 'application/json',
      headers: this.last.headers,
      timeoutMs: ANSWER_MS * 10,
      ...(endpoint.ca === undefined ? {} : { ca: endpoint.ca }),
    })
  }

  async #interact(type: number, channelId: string, data: object, more: object = {}): Promise<Seen> {
    const house = this.#house
    const token = randomBytes(48).toString('base64url')
    const direct = house.channels.get(channelId)?.guildId === null
    const user = { id: this.id, username: this.#name, discriminator: '0' }
    const who = direct ? { user } : { guild_id: this.#guild, member: { user, roles: [], permissions: '0' } }
    const about = { id: house.newId(), application_id: house.applicationId, type, version: 1, token }
    const body = JSON.stringify({ ...about, ...who, channel_id: channelId, data, ...more })
    this.last = { body, headers: signedHeaders(house.key, body, Math.floor(house.now() / 1000)) }
    house.tokens.set(token, { until: house.now() + TOKEN_MS, said: [] })
    const answer = await this.again().catch((error: unknown) => String(error))
    const seen = typeof answer === 'string' ? { kind: 'failed' as const, why: answer } : seenOf(answer, type, token)
    if (seen.kind === 'failed') house.tokens.delete(token)
    return seen
  }
}

function seenOf({ status, type: contentType, body }: IntegrationAnswer, asked: number, token: string): Seen {
  if (status !== 200) return { kind: 'failed', why: `answered ${status}` }
  if (!contentType.startsWith('application/json')) return { kind: 'failed', why: `answered ${contentType}` }
  const parsed = AcceptedAnswer.safeParse(JSON.parse(body))
  if (!parsed.success) return { kind: 'failed', why: parsed.error.message }
  const answer = parsed.data
  checkWithVendor({ method: 'POST', path: '/interactions/1/token/callback' }, answer)
  switch (answer.type) {
    case 1:
      return { kind: 'failed', why: 'a pong nobody asked for' }
    case 4: {
      const url = answer.data.components?.flatMap((row) => row.components).find((part) => 'url' in part)?.url ?? null
      return { kind: 'said', text: shownText(answer.data.content), url }
    }
    case 5:
      return { kind: 'thinking', token }
    case 6:
      return asked === 3 ? { kind: 'nothing' } : { kind: 'failed', why: 'only for what is pressed' }
    case 9:
      return asked === 5 ? { kind: 'failed', why: 'a form after a form' } : { kind: 'modal', modal: answer.data }
  }
}

/** Throws unless the endpoint answers a ping and refuses what is signed badly. */
export async function pingEndpoint(house: DiscordHouse, url: string, ca: string | undefined): Promise<void> {
  const ping = JSON.stringify({
    id: house.newId(),
    application_id: house.applicationId,
    type: 1,
    token: 'x',
    version: 1,
  })
  const seconds = Math.floor(house.now() / 1000)
  const options = { type: 'application/json', timeoutMs: ANSWER_MS * 10, ...(ca === undefined ? {} : { ca }) }
  const bad = signedHeaders(applicationKey(), ping, seconds)
  const refused = await callIntegration(url, ping, { ...options, headers: bad })
  if (refused.status !== 401) throw new Error(`a badly signed ping was answered ${refused.status} instead of 401`)
  const taken = await callIntegration(url, ping, { ...options, headers: signedHeaders(house.key, ping, seconds) })
  const answer = taken.status === 200 ? AcceptedAnswer.safeParse(JSON.parse(taken.body)) : null
  if (answer?.data?.type !== 1) throw new Error(`a ping was answered ${taken.status} ${taken.body}`)
}
