import { randomBytes, randomInt } from 'node:crypto'
import type { MessageBlocks, Modal } from './block-kit.ts'

export interface FakeUser {
  readonly id: string
  readonly name: string
  readonly restricted: boolean
  /** Of another workspace, in a shared channel */
  readonly team: string | null
  disabled: boolean
}

export interface FakeChannel {
  readonly id: string
  readonly private: boolean
  readonly members: Set<string>
  /** Of a direct message: with whom */
  readonly with: string | null
  shared: boolean
  archived: boolean
  botIsIn: boolean
}

export interface FakeMessage {
  readonly channel: string
  readonly ts: string
  readonly thread: string | null
  text: string
  blocks: MessageBlocks
  /** Seen by apps alone */
  readonly metadata?: object | undefined
  /** Of the app that wrote it; undefined: this one */
  readonly app?: string
  /** How often it was changed */
  edits: number
}

export interface Whisper {
  readonly channel: string | null
  readonly user: string
  readonly text: string
}

export interface OpenView {
  readonly id: string
  readonly user: string
  view: Modal
}

const TRIGGER_LIVES_MS = 3000

/** A workspace of Slack: who is there, what was said, which dialogs stand open. Time comes from `now`, in ms since 1970. */
export class FakeWorkspace {
  readonly teamId: string
  readonly users = new Map<string, FakeUser>()
  readonly channels = new Map<string, FakeChannel>()
  readonly messages: FakeMessage[] = []
  readonly whispers: Whisper[] = []
  readonly views: OpenView[] = []
  /** Every dialog that was opened, also those that are closed */
  readonly opened: { readonly user: string; readonly view: Modal }[] = []
  readonly #triggers = new Map<string, { user: string; until: number; used: boolean }>()
  readonly #now: () => number
  #ids = 0

  constructor(teamId: string, now: () => number) {
    this.teamId = teamId
    this.#now = now
  }

  addUser(id: string, name: string, more: { restricted?: boolean; team?: string } = {}): FakeUser {
    const user = { id, name, restricted: more.restricted ?? false, team: more.team ?? null, disabled: false }
    this.users.set(id, user)
    return user
  }

  addChannel(
    id: string,
    members: readonly string[] = [],
    more: { private?: boolean; shared?: boolean } = {},
  ): FakeChannel {
    const channel: FakeChannel = {
      id,
      private: more.private ?? true,
      members: new Set(members),
      with: null,
      shared: more.shared ?? false,
      archived: false,
      botIsIn: true,
    }
    this.channels.set(id, channel)
    return channel
  }

  directWith(user: string): FakeChannel {
    for (const channel of this.channels.values()) if (channel.with === user) return channel
    const id = `D${user.slice(1)}`
    const channel = {
      id,
      private: true,
      members: new Set([user]),
      with: user,
      shared: false,
      archived: false,
      botIsIn: true,
    }
    this.channels.set(id, channel)
    return channel
  }

  /** Of a person's click or command: good once, for three seconds. */
  newTrigger(user: string): string {
    const id = `${randomInt(10 ** 9)}.${randomInt(10 ** 9)}.${randomBytes(16).toString('hex')}`
    this.#triggers.set(id, { user, until: this.#now() + TRIGGER_LIVES_MS, used: false })
    return id
  }

  /** The user it belongs to, or Slack's error. */
  useTrigger(id: string): { user: string } | { error: string } {
    const trigger = this.#triggers.get(id)
    if (!trigger) return { error: 'invalid_trigger_id' }
    if (trigger.used) return { error: 'exchanged_trigger_id' }
    if (this.#now() > trigger.until) return { error: 'expired_trigger_id' }
    trigger.used = true
    return { user: trigger.user }
  }

  newTs(): string {
    this.#ids++
    return `${Math.floor(this.#now() / 1000)}.${String(this.#ids).padStart(6, '0')}`
  }

  newId(prefix: string): string {
    this.#ids++
    return `${prefix}${String(this.#ids).padStart(8, '0')}`
  }

  messageAt(channel: string, ts: string): FakeMessage | undefined {
    return this.messages.find((message) => message.channel === channel && message.ts === ts)
  }

  in(channel: string): FakeMessage[] {
    return this.messages.filter((message) => message.channel === channel && message.thread === null)
  }

  threadOf(message: FakeMessage): FakeMessage[] {
    return this.messages.filter((each) => each.channel === message.channel && each.thread === message.ts)
  }

  viewOf(user: string): OpenView | undefined {
    return this.views.findLast((open) => open.user === user)
  }
}

/** All that a message or dialog shows, in one text. */
export function shownText(value: unknown): string {
  if (Array.isArray(value)) return value.map(shownText).filter(Boolean).join('\n')
  if (typeof value !== 'object' || value === null) return ''
  const { text, ...rest } = value as Record<string, unknown>
  const own = typeof text === 'string' ? text : shownText(text)
  return [own, ...Object.values(rest).map(shownText)].filter(Boolean).join('\n')
}

export function buttonsOf(
  blocks: MessageBlocks | Modal['blocks'],
): { label: string; action: string; value: string | undefined; url: string | undefined }[] {
  return blocks.flatMap((block) =>
    block.type === 'actions'
      ? block.elements.map(({ text, action_id: action, value, url }) => ({ label: text.text, action, value, url }))
      : [],
  )
}
