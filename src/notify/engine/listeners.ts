import type { FromChat } from '../../contract/from-chat.ts'
import { sleep, type Clock } from '../../foundation/clock.ts'
import type { Log } from '../../foundation/log.ts'
import type { Connector } from '../connector.ts'

const FIRST_PAUSE_MS = 1000
const LONGEST_PAUSE_MS = 60_000
/** A listener that stood for so long starts again at once */
const STOOD_MS = 60_000

export interface ListenerParts {
  readonly integration: string
  readonly connector: Connector
  readonly fromChat: FromChat
  readonly clock: Clock
  readonly log: Log
  /** In [0, 1) */
  readonly random: () => number
}

/** Keeps what brings callbacks without a public address open until `signal` aborts: whatever ends it, it is opened again. */
export async function keepListening(parts: ListenerParts, signal: AbortSignal): Promise<void> {
  const { connector, fromChat, clock, log, integration } = parts
  let failures = 0
  while (!signal.aborted) {
    const began = clock.monotonic()
    try {
      await connector.listen?.(fromChat, signal)
      if (signal.aborted) return
      log.warn({ integration }, 'the vendor ended the connection that brings callbacks')
    } catch (error) {
      if (signal.aborted) return
      log.error({ integration, err: String(error) }, 'listening for callbacks failed')
    }
    failures = clock.monotonic() - began > STOOD_MS ? 1 : failures + 1
    const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(10, failures - 1))
    await sleep(clock, Math.round(pause * (0.8 + 0.4 * parts.random())), signal).catch(() => {})
  }
}
