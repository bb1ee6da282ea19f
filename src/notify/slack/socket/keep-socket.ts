import type { CallbackAnswer, RawCallback } from '../../../contract/from-chat.ts'
import { sleep, type Clock } from '../../../foundation/clock.ts'
import type { Log } from '../../../foundation/log.ts'
import { OutboundRefused, type OutboundConnect } from '../../../foundation/outbound-fetch.ts'
import { DeliveryFailed } from '../../connector.ts'
import type { SlackWebApi } from '../web-api.ts'
import { acknowledge, callbackOf, envelopeOf } from './envelope.ts'
import { pauseAfter } from './pause-after.ts'
import { SlackSocket, type Frame } from './slack-socket.ts'
import { socketAddress } from './socket-address.ts'

export interface KeepSocketParts {
  readonly integration: string
  /** With the app-level token */
  readonly app: SlackWebApi
  readonly apiUrl: string
  readonly clock: Clock
  readonly log: Log
  readonly connect: OutboundConnect
  readonly report: (broken: string | null) => void
  readonly take: (callback: RawCallback) => Promise<CallbackAnswer>
}

/** A socket that served for so long has not failed */
const STOOD_MS = 30_000
/** What Slack sent on the old socket in the meantime is answered there: it waits three seconds before it repeats */
const SERVES_ON_MS = 10_000
const SWITCHED_OFF = 'Socket Mode is switched off in the settings of the Slack app'

/**
 * Keeps one socket open until `signal` aborts, whatever Slack or the network do; never throws. When Slack asks for a new one, the old
 * one serves until the new one has said hello. Envelopes may come twice: the core's inbox takes each once.
 */
export async function keepSocket(parts: KeepSocketParts, signal: AbortSignal): Promise<void> {
  const { clock, log, report } = parts
  let serving: SlackSocket | null = null
  let failures = 0
  while (!signal.aborted) {
    try {
      const fresh = await openSocket(parts, signal)
      report(null)
      log.info({}, 'listening to Slack')
      retire(serving, SERVES_ON_MS)
      serving = fresh
      const opened = clock.monotonic()
      const end = await Promise.race([fresh.ended, aborted(signal)])
      if (end === 'aborted') break
      failures = clock.monotonic() - opened > STOOD_MS ? 0 : failures + 1
      if (end === 'link_disabled') throw new DeliveryFailed('integration', SWITCHED_OFF)
      if (failures > 1) await pause(parts, pauseAfter('network', failures), signal)
    } catch (error) {
      if (signal.aborted) break
      failures++
      await pause(parts, pauseAfter(said(parts, error), failures), signal)
    }
  }
  retire(serving, 0)
}

function retire(socket: SlackSocket | null, forMs: number): void {
  void socket?.retire(forMs).catch(() => {})
}

/** What an operator must repair is asked for rarely, and reported. */
function said({ log, report }: KeepSocketParts, error: unknown): 'operator' | 'network' {
  const text = error instanceof Error ? error.message : String(error)
  const broken = error instanceof OutboundRefused || (error instanceof DeliveryFailed && error.kind === 'integration')
  if (broken) {
    log.error({ err: text }, 'Slack takes no socket of ours: clicks and commands do not arrive')
    report(text)
    return 'operator'
  }
  log.warn({ err: text }, 'no socket of Slack could be opened')
  return 'network'
}

const pause = (parts: KeepSocketParts, ms: number, signal: AbortSignal): Promise<void> =>
  sleep(parts.clock, ms, signal).catch(() => {})

async function openSocket(parts: KeepSocketParts, signal: AbortSignal): Promise<SlackSocket> {
  const opened = await parts.app.call('apps.connections.open', {}, signal)
  const url = socketAddress(opened['url'], parts.apiUrl)
  if (url === null) throw new DeliveryFailed('integration', 'Slack named a socket that is not beside its Web API')
  const onFrame = (frame: Frame): Promise<object | null> => answerFrame(parts, frame)
  return SlackSocket.open(url, { ...parts, onFrame }, signal)
}

async function answerFrame(parts: KeepSocketParts, frame: Frame): Promise<object | null> {
  const envelope = envelopeOf(frame)
  if (envelope === null) return null
  const callback = callbackOf(envelope, parts.integration)
  if (callback === null) return acknowledge(envelope, null)
  const answer = await parts.take(callback)
  // 401: not for us, and not better the second time. Anything else that is not 200 is to come again.
  if (answer.status !== 200 && answer.status !== 401) throw new Error(`taken with status ${answer.status}`)
  return acknowledge(envelope, answer)
}

async function aborted(signal: AbortSignal): Promise<'aborted'> {
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
  return 'aborted'
}
