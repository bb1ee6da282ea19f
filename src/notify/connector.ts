import type { CallbackAnswer, FromChat, RawCallback } from '../contract/from-chat.ts'
import type { MessageTask } from '../contract/message.ts'
import type { LaneKind } from '../contract/notify-plane.ts'
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
  /**
   * Looks for a message that an attempt before this one may have left, by `task.onceId`: what `deliver` would have returned; null: it
   * is not there. `since`: an instant before the first attempt whose fate is unknown, with room for clocks that differ.
   * Errors: a DeliveryFailed of kind `retry`, or anything else that is thrown, counts as `later`, and nothing is sent before; any
   * other kind says that the vendor does not let us look: it is sent without, as where there is no `find`.
   */
  find?(task: MessageTask, since: number, signal: AbortSignal): Promise<string | null>
  /** What the vendor allows. Absent: it does not say, and whoever is told to wait waits with everything. */
  readonly limits?: readonly LaneLimit[]
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

/**
 * So many calls, the next one `everyMs` after another: a lane. `new`: of messages that are not there yet; `change`: of those that are;
 * `look`: of `find`. `destination`: each channel or person has a lane of its own.
 */
export interface LaneLimit {
  readonly of: LaneKind
  readonly per: 'destination' | 'integration'
  /** Calls that may be made at once after a rest, 1 or more */
  readonly burst: number
  readonly everyMs: number
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

export interface FailureDetails {
  /**
   * Whether the vendor may have done what it was asked for. Absent: `unknown` for a `retry` that names no time (a time-out, a lost
   * connection, HTTP 5xx), `no` for every other one.
   */
  readonly taken?: 'no' | 'unknown'
  /**
   * What `afterMs` holds up. Absent: the lane of this message, the narrowest one; `integration` where the vendor says so; `message`:
   * nothing else, as where it is our own wish to wait
   */
  readonly holds?: 'message' | 'lane' | 'integration'
}

export class DeliveryFailed extends Error {
  override readonly name = 'DeliveryFailed'
  readonly kind: FailureKind
  readonly afterMs: number | null
  readonly taken: 'no' | 'unknown'
  readonly holds: 'message' | 'lane' | 'integration'

  /** `message` is shown to operators: it never holds a secret. */
  constructor(kind: FailureKind, message: string, afterMs: number | null = null, details: FailureDetails = {}) {
    super(message)
    this.kind = kind
    // Vendors name parts of a second, and clocks have them.
    this.afterMs = afterMs === null ? null : Math.ceil(afterMs)
    this.taken = details.taken ?? (kind === 'retry' && afterMs === null ? 'unknown' : 'no')
    this.holds = details.holds ?? 'lane'
  }
}
