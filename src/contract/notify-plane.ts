import type { MessageTask } from './message.ts'
import type { Vendor } from './vendors/common.ts'

// What the engine of notify asks of the store. Everything that crosses is plain data that can be cloned.

/** An integration as its connector is made of it. */
export interface OpenIntegration {
  readonly id: string
  readonly name: string
  readonly vendor: Vendor
  /** Another one after every change of the document */
  readonly revision: string
  /** Parsed by its vendor's schema */
  readonly settings: unknown
  readonly secrets: unknown
  /** CIDRs inside private networks that it may reach */
  readonly allowNetworks: readonly string[]
}

/** `new`: of a message that is not there yet; `change`: of one that is; `look`: for one that may be */
export type LaneKind = 'new' | 'change' | 'look'

/** How many calls of one kind a vendor takes now. A message that is looked for may be sent as well: it counts as `look` and as `new`. */
export interface LaneRoom {
  readonly of: LaneKind
  readonly most: number
  /** No destination gets more than one */
  readonly oneEach: boolean
  /** `channel:ID` or `user:ID`: these get none */
  readonly closed: readonly string[]
}

export interface IntegrationRoom {
  readonly integration: string
  readonly most: number
  /** Kinds that are not named have no limit */
  readonly lanes: readonly LaneRoom[]
}

export interface ClaimOrder {
  /** How many more messages each integration takes now; those not named get none */
  readonly room: readonly IntegrationRoom[]
  /** After it the message may be claimed again: whoever has it must have given up before */
  readonly leaseMs: number
}

export interface ClaimedMessage {
  readonly task: MessageTask
  /** Names this attempt */
  readonly lease: string
  /** Version of the request that `task` shows; 0 for a notice */
  readonly version: number
  readonly claimedAt: number
  /** The vendor may have the message already: it is looked for first. null: it has not, or `task.external` names it */
  readonly lost: LostMessage | null
}

/** A message of which an attempt before this one may have left a copy that nobody knows the name of. */
export interface LostMessage {
  readonly since: number
  /** What is done where it turns out not to be there */
  readonly absent: 'send' | 'drop'
  /** What is done where it cannot be looked for */
  readonly blind: 'send' | 'drop'
  /** Why it is dropped then */
  readonly why: string
}

export interface ClaimAnswer {
  readonly items: readonly ClaimedMessage[]
  /** Something is due; with no items: it waits for a lane, or for another message */
  readonly due: boolean
  /** When the next one is due, of integrations that can send; null: none waits */
  readonly nextDueAt: number | null
}

export type DeliveryVerdict =
  | { readonly kind: 'delivered'; readonly external: string }
  /** `asked`: the vendor wants it so, and the attempt does not count. `hold`: nothing of this integration goes out before that */
  | {
      readonly kind: 'later'
      readonly why: string
      readonly afterMs: number
      readonly asked: boolean
      readonly hold: boolean
    }
  /** Never again by itself */
  | { readonly kind: 'dead'; readonly why: string; readonly failure: 'destination' | 'defect' | 'retry' }
  /** It is not there any more: a new one is sent */
  | { readonly kind: 'anew'; readonly why: string }
  /** The integration works no more until somebody changes something */
  | { readonly kind: 'trouble'; readonly why: string }
  /** Of no use any more */
  | { readonly kind: 'drop'; readonly why: string }

export interface DeliveryResult {
  readonly id: string
  readonly lease: string
  readonly version: number
  readonly verdict: DeliveryVerdict
  /** `task.external`, as it was */
  readonly knew: string | null
  /** What an earlier attempt turned out to have left, whatever became of this one; null: nothing was found, or looked for */
  readonly found: string | null
  /** Since when it is unknown from now on whether the vendor has it; null: it is known */
  readonly unknownSince: number | null
}

/** Where messages wait and what becomes of them is kept. Every call may fail while the store cannot be reached. */
export interface NotifyPlane {
  /** Those that are enabled, broken ones included */
  integrations(): Promise<readonly OpenIntegration[]>
  /** Makes messages of deliveries that wait in the outbox; how many deliveries it took, 0 = none is left. */
  claimDeliveries(): Promise<number>
  /** Messages that are due, with the newest state of what they show. One that was claimed is nobody else's until its lease ends. */
  claimMessages(order: ClaimOrder): Promise<ClaimAnswer>
  /** What became of claimed messages. A result whose lease has run out changes nothing but what has to be sent again. */
  storeDelivery(results: readonly DeliveryResult[]): Promise<void>
  /** Finds what nobody woke us for. */
  sweep(): Promise<void>
}

/** The plane behind a copy of everything that crosses: what cannot be cloned fails here, in tests too. */
export function clonedPlane(plane: NotifyPlane): NotifyPlane {
  return {
    integrations: async () => structuredClone(await plane.integrations()),
    claimDeliveries: () => plane.claimDeliveries(),
    claimMessages: async (order) => structuredClone(await plane.claimMessages(structuredClone(order))),
    storeDelivery: (results) => plane.storeDelivery(structuredClone(results)),
    sweep: () => plane.sweep(),
  }
}
