import type { Socket } from 'node:net'
import type { Clock, Timer } from '../foundation/clock.ts'
import type { ControlPlane, RecordingHead } from './control-plane.ts'

const REPORT_HEADS_MS = 5_000
/** After so long without a packet the kernel asks whether the peer is still there. */
const KEEPALIVE_MS = 30_000

/** What a relay keeps of a session, whatever its protocol */
export interface RelaySession {
  /** Session id and where its recording stands; null before one is open */
  readonly recordingHead: readonly [string, RecordingHead] | null
  /** Until the session has ended and its end is stored */
  run(): Promise<void>
  /** Ends it; its client is told `text`. */
  tellAndClose(text: string): Promise<void>
}

/** The sessions that one worker relays in one protocol. While there are any, the heads of their recordings are reported for the checkpoints. */
export class RelaySessions {
  readonly #control: Pick<ControlPlane, 'reportHeads'>
  readonly #clock: Clock
  readonly #sessions = new Set<RelaySession>()
  #reporting: Timer | null = null
  #isStopping = false

  constructor({ control, clock }: { readonly control: Pick<ControlPlane, 'reportHeads'>; readonly clock: Clock }) {
    this.#control = control
    this.#clock = clock
  }

  get size(): number {
    return this.#sessions.size
  }

  /** True from the first tellAndClose on: nothing new may be started. */
  get isStopping(): boolean {
    return this.#isStopping
  }

  /** Rejects with what `run` rejects with. */
  async run(session: RelaySession): Promise<void> {
    this.#sessions.add(session)
    this.#reportLater()
    try {
      await session.run()
    } finally {
      this.#sessions.delete(session)
    }
  }

  async tellAndClose(text: string): Promise<void> {
    this.#isStopping = true
    await Promise.all([...this.#sessions].map((session) => session.tellAndClose(text)))
    this.#reporting?.cancel()
  }

  /** Where each open recording stands. */
  heads(): ReadonlyMap<string, RecordingHead> {
    return new Map([...this.#sessions].flatMap((session) => (session.recordingHead ? [session.recordingHead] : [])))
  }

  #reportLater(): void {
    this.#reporting ??= this.#clock.after(REPORT_HEADS_MS, () => {
      this.#reporting = null
      const heads = this.heads()
      if (heads.size > 0) this.#control.reportHeads(heads)
      if (this.#sessions.size > 0) this.#reportLater()
    })
  }
}

/** A keystroke or a short query must not wait for the acknowledgement of the one before. */
export function prepareSocket(socket: Socket): void {
  socket.setNoDelay(true)
  socket.setKeepAlive(true, KEEPALIVE_MS)
}
