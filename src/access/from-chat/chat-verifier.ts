import type { ChatEvent, RawCallback } from '../../contract/from-chat.ts'
import type { Vendor } from '../../contract/vendors/common.ts'
import type { OutboundFetch } from '../../foundation/outbound-fetch.ts'

/** A message of ours, as its row tells. */
export interface KnownMessage {
  readonly id: string
  readonly requestId: string | null
  readonly audience: string
  /** The vendor's id of the channel it was sent to; null: to a person */
  readonly channel: string | null
  /** The vendor's id of the account it was sent to, where it was sent to a person */
  readonly account: string | null
  /** The vendor's name of it; null: not known yet */
  readonly external: string | null
}

export interface VerifierParts {
  readonly integration: string
  readonly now: number
  /** Of which message of this integration the button with this id is; null: of none */
  messageOf(buttonId: string): Promise<KnownMessage | null>
  /** The message of this integration that the vendor calls so; null: there is none */
  messageNamed(external: string): Promise<KnownMessage | null>
  /** Under the integration's own rules of networks: for vendors that have to be asked again */
  readonly fetch: OutboundFetch
}

/**
 * `event`: authentic, and of the tenant that the settings name. `rejected`: neither; `why` is one of our own words, such as
 * `signature` or `other_tenant`, and never what came in. `ignored`: authentic and nobody did anything.
 */
export type Verified =
  | { readonly kind: 'event'; readonly event: ChatEvent }
  | { readonly kind: 'rejected'; readonly why: string }
  | { readonly kind: 'ignored'; readonly why: string }

/**
 * Says of a callback whether it is authentic, and then what it says. It decides nothing about rights and stores nothing. Must
 * not throw for what came in. `opened` is what its vendor's schemas parse (contract/vendors).
 */
export interface ChatVerifier {
  readonly vendor: Vendor
  verify(
    callback: RawCallback,
    opened: { readonly settings: unknown; readonly secrets: unknown },
    parts: VerifierParts,
  ): Promise<Verified> | Verified
}
