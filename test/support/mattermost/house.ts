import { randomBytes } from 'node:crypto'
import { PostStore } from './post-store.ts'
import type { OpenDialog } from './schemas.ts'
import { triggerMaker, type TriggerMaker } from './trigger.ts'

// Who and what there is on the server.

export interface Person {
  readonly id: string
  readonly username: string
  readonly email: string
  readonly isBot: boolean
  readonly token: string
  readonly permissions: Set<string>
}

export interface Channel {
  readonly id: string
  /** O: open, P: private, D: direct */
  readonly type: 'O' | 'P' | 'D'
  readonly teamId: string
  readonly name: string
  readonly members: Set<string>
  readonly guests: Set<string>
  shared: boolean
  deleteAt: number
}

export interface Command {
  readonly token: string
  readonly teamId: string
  readonly trigger: string
  readonly url: string
}

/** One call of the API, as it came. */
export interface SeenCall {
  readonly method: string
  readonly path: string
  readonly body: unknown
  readonly status: number
}

export interface House {
  readonly siteId: string
  readonly teamId: string
  readonly bot: Person
  readonly people: Map<string, Person>
  readonly channels: Map<string, Channel>
  readonly posts: PostStore
  readonly commands: Command[]
  readonly triggers: TriggerMaker
  /** What clients were told to open; everything in it is visible to them */
  readonly dialogs: { readonly userId: string; readonly open: OpenDialog }[]
  /** Seen by one person, never stored */
  readonly ephemeral: { readonly userId: string; readonly channelId: string; readonly text: string }[]
  readonly calls: SeenCall[]
  now(): number
  newId(): string
}

const ALPHABET = 'ybndrfg8ejkmcpqxot1uwisza345h769'
export const newMattermostId = (): string =>
  Array.from(randomBytes(26), (byte) => ALPHABET[byte % ALPHABET.length]).join('')

export function newHouse(now: () => number, triggerLifeMs: number): House {
  const teamId = newMattermostId()
  const bot = newPerson('sallyport', true)
  return {
    siteId: newMattermostId(),
    teamId,
    bot,
    people: new Map([[bot.id, bot]]),
    channels: new Map(),
    posts: new PostStore(newMattermostId, now),
    commands: [],
    triggers: triggerMaker(newMattermostId, triggerLifeMs),
    dialogs: [],
    ephemeral: [],
    calls: [],
    now,
    newId: newMattermostId,
  }
}

export function newPerson(username: string, isBot = false): Person {
  const email = `${username}@example.org`
  return { id: newMattermostId(), username, email, isBot, token: newMattermostId(), permissions: new Set() }
}

/** The channel of these two, made when they have none. */
export function directChannel(house: House, a: string, b: string): Channel {
  const name = [a, b].toSorted().join('__')
  const there = [...house.channels.values()].find((channel) => channel.type === 'D' && channel.name === name)
  if (there) return there
  return addChannel(house, { type: 'D', name, teamId: '', members: [a, b] })
}

export function addChannel(
  house: House,
  wanted: { type: 'O' | 'P' | 'D'; name: string; teamId: string; members: readonly string[] },
): Channel {
  const channel: Channel = {
    id: house.newId(),
    type: wanted.type,
    teamId: wanted.teamId,
    name: wanted.name,
    members: new Set(wanted.members),
    guests: new Set(),
    shared: false,
    deleteAt: 0,
  }
  house.channels.set(channel.id, channel)
  return channel
}
