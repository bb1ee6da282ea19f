import type { Clock } from '../../../foundation/clock.ts'
import { NOTICE_RESERVE, type Channel } from './channel.ts'
import type { RelayContext } from './relay-host.ts'
import { bare, exitStatus, extendedData } from './wire/connection-messages.ts'
import { MESSAGE } from './wire/messages.ts'

/** How long a terminal is waited for whose window is used up, or which is to be closed. */
const PATIENCE_MS = 250
/** What ssh itself exits with when something went wrong */
export const EXIT_FAILED = 255

interface Waiting {
  readonly channel: Channel
  readonly retry: () => void
}

/** The proxy's own words on the client's terminals: as extended data (stderr), out of the window kept back for them. */
export class Notices {
  readonly #relay: RelayContext
  readonly #clock: Clock
  readonly #sendToClient: (payload: Buffer) => void
  #waiting: Waiting[] = []

  /** `send`: to the client, also while nothing else is sent any more. */
  constructor(relay: RelayContext, clock: Clock, send: (payload: Buffer) => void) {
    this.#relay = relay
    this.#clock = clock
    this.#sendToClient = send
  }

  /** On every terminal of the connection, out of what is kept back for it. Resolves when said or given up. */
  async tellTerminals(text: string): Promise<void> {
    await Promise.all(this.#terminals().map((channel) => this.#tell(channel, text, false)))
  }

  /**
   * The last words on every terminal: text, exit status, EOF and CLOSE. DISCONNECT alone would not do: the stock client
   * ends at once at that, without printing what it was sent before. Resolves when the client has closed these channels,
   * or could not be told, or takes too long.
   */
  async closeTerminals(text: string): Promise<void> {
    await Promise.all(this.#terminals().map((channel) => this.#closeTerminal(channel, text)))
  }

  async #closeTerminal(channel: Channel, text: string): Promise<void> {
    if (!(await this.#tell(channel, text, true))) return
    const { peerId } = channel.client
    this.#sendToClient(exitStatus(peerId, EXIT_FAILED))
    this.#sendToClient(bare(MESSAGE.CHANNEL_EOF, peerId))
    this.#sendToClient(bare(MESSAGE.CHANNEL_CLOSE, peerId))
    if (!channel.client.sentClose) await this.#until(channel, () => channel.client.sentClose)
  }

  #terminals(): readonly Channel[] {
    return [...this.#relay.channels.values()].filter((channel) => channel.hasTerminal && channel.hasStarted)
  }

  /** One line for this channel: a message, or none when there is no room for it now. */
  noticeFor(channel: Channel, text: string): readonly Buffer[] {
    return this.#take(channel, Buffer.from(`${text}\r\n`), text, false)
  }

  /** The client granted more on this channel, or closed it. */
  clientMoved(channel: Channel): void {
    if (this.#waiting.length === 0) return
    for (const waiting of this.#waiting.filter((one) => one.channel === channel)) waiting.retry()
  }

  /** False: given up. */
  async #tell(channel: Channel, text: string, last: boolean): Promise<boolean> {
    const bytes = Buffer.from(`\r\n${text}\r\n`)
    let told = false
    const tryIt = (): boolean => {
      if (channel.canShow && !channel.client.sentClose) told = this.#send(channel, bytes, text, last)
      return told || !channel.canShow || channel.client.sentClose
    }
    await this.#until(channel, tryIt)
    return told
  }

  /** Asks now and whenever the client moves on this channel; resolves at true, or when patience is used up. */
  #until(channel: Channel, isDone: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel()
        this.#waiting = this.#waiting.filter((one) => one !== waiting)
        resolve()
      }
      const waiting: Waiting = { channel, retry: () => void (isDone() && done()) }
      const timer = this.#clock.after(PATIENCE_MS, done)
      this.#waiting.push(waiting)
      waiting.retry()
    })
  }

  #send(channel: Channel, bytes: Buffer, text: string, last: boolean): boolean {
    const messages = this.#take(channel, bytes, text, last)
    for (const message of messages) this.#sendToClient(message)
    return messages.length > 0
  }

  #take(channel: Channel, bytes: Buffer, text: string, last: boolean): readonly Buffer[] {
    const most = Math.min(NOTICE_RESERVE, channel.client.maxPacket)
    const shown = bytes.length > most ? bytes.subarray(0, most) : bytes
    if (!channel.canShow || !channel.client.credit.takeOwn(shown.length, last)) return []
    this.#relay.host.observer.notice(channel.id, text)
    return [extendedData(channel.client.peerId, shown)]
  }
}
