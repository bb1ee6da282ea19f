import type { CallbackAnswer, FromChat, RawCallback } from '../contract/from-chat.ts'
import type { MessageTask } from '../contract/message.ts'
import type { Vendor } from '../contract/vendors/common.ts'
import type { Clock } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'
import type { OutboundConnect, OutboundFetch } from '../foundation/outbound-fetch.ts'

/** What a connector is made of. `settings` and `secrets` are those of its document, parsed by its vendor's schema. */
export interface ConnectorParts<Settings, Secrets> {
  readonly integration: string
  readonly settings: Settings
  readonly secrets: Secrets
  readonly clock: Clock
  readonly log: Log
  /** Connects to nothing private but what the integration allows; follows no redirect; limits time and size of the answer */
  readonly fetch: OutboundFetch
  /** The same for what is not HTTP */
  readonly connect: OutboundConnect
  /** `https://HOST:PORT` under which people and vendors reach the daemon */
  readonly publicUrl: string
  /** What `listen` says of itself: a sentence without secrets while nothing comes in until an operator changes something; null once it works */
  readonly report: (broken: string | null) => void
}

export interface Connector {
  readonly vendor: Vendor
  /**
   * Sends the message, or changes the one that `task.external` names. Never retries by itself: the engine does.
   * Returns what names the message from now on, at most 1 KiB. Errors: DeliveryFailed, and anything else counts as `retry`.
   */
  deliver(task: MessageTask, signal: AbortSignal): Promise<string>
  /** Answers a callback of the vendor within its limit. What it says about who and what is believed by `fromChat` alone. */
  receive?(callback: RawCallback, fromChat: FromChat, signal: AbortSignal): Promise<CallbackAnswer>
  /** Opens what brings callbacks without a public address: a socket, or polling. Until `signal` aborts; must not throw. */
  listen?(fromChat: FromChat, signal: AbortSignal): Promise<void>
  /**
   * Who reads a channel, as the vendor says now; asked before a request that is not for everybody's eyes goes there.
   * Absent, or an error: not known, and such a request does not go there.
   */
  audienceOf?(channel: string, signal: AbortSignal): Promise<ChannelReaders>
  /** Whether the credentials work and the channels can be reached, in sentences. Changes nothing that people see. */
  check(channels: readonly string[], signal: AbortSignal): Promise<readonly CheckLine[]>
}

/** `private`: members who were let in. `open`: every member may join or read. `outsiders`: guests or people of other organisations too. */
export type ChannelReaders = 'private' | 'open' | 'outsiders'

export interface CheckLine {
  readonly ok: boolean
  readonly text: string
}

/**
 * `retry`: later, not before `afterMs`. `destination`: nobody can be reached there, others can. `integration`: nothing works
 * until an operator changes something. `gone`: the message is not there any more, send it anew. `defect`: what we sent is wrong.
 */
export type FailureKind = 'retry' | 'destination' | 'integration' | 'gone' | 'defect'

export class DeliveryFailed extends Error {
  override readonly name = 'DeliveryFailed'
  readonly kind: FailureKind
  readonly afterMs: number | null

  /** `message` is shown to operators: it never holds a secret. */
  constructor(kind: FailureKind, message: string, afterMs: number | null = null) {
    super(message)
    this.kind = kind
    this.afterMs = afterMs
  }
}
