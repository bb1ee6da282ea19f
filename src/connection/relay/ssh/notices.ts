import type { Clock } from '../../../foundation/clock.ts'
import { NOTICE_RESERVE, type Channel } from './channel.ts'
import type { RelayContext } from './relay-host.ts'
import { extendedData } from './wire/connection-messages.ts'

/** How long a terminal whose window is used up is waited for. */
const PATIENCE_MS = 250

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

  /** On every terminal of the connection. `last`: nothing of the target's follows. Resolves when said or given up. */
  async tellTerminals(text: string, last: boolean): Promise<void> {
    const terminals = [...this.#relay.channels.values()].filter((channel) => channel.hasTerminal && channel.hasStarted)
    await Promise.all(terminals.map((channel) => this.#tell(channel, `\r\n${text}\r\n`, last)))
  }

  /** One line for this channel: a message, or none when there is no room for it now. */
  noticeFor(channel: Channel, text: string): readonly Buffer[] {
    return this.#take(channel, Buffer.from(`${text}\r\n`), text, false)
  }

  /** The client granted more on this channel. */
  windowGrew(channel: Channel): void {
    if (this.#waiting.length === 0) return
    for (const waiting of this.#waiting.filter((one) => one.channel === channel)) waiting.retry()
  }

  #tell(channel: Channel, text: string, last: boolean): Promise<void> {
    const bytes = Buffer.from(text)
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel()
        this.#waiting = this.#waiting.filter((one) => one !== waiting)
        resolve()
      }
      const waiting: Waiting = {
        channel,
        retry: () => {
          if (!channel.canShow || this.#send(channel, bytes, text, last)) done()
        },
      }
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
