// What comes in from a vendor, and what came of it. The core alone says who did it (DESIGN 3, `review.from_chat`).

/** A callback as it arrived. */
export interface RawCallback {
  /** Name of the integration, as in the path */
  readonly integration: string
  /** What follows it in the path: `interactions`, `commands`, `events` */
  readonly path: string
  /** Names in lower case; of repeated ones the first */
  readonly headers: Readonly<Record<string, string>>
  /** Exact bytes, at most 256 KiB: signatures are over these */
  readonly body: Uint8Array
  /** `socket`: over a connection that our connector opened with the integration's token, where nothing is signed */
  readonly via: 'http' | 'socket'
}

/** What the vendor is answered. */
export interface CallbackAnswer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** Takes what people did in chat. Never throws for what came in: that is an outcome. */
export interface FromChat {
  take(callback: RawCallback): Promise<ChatOutcome>
}

export type ChatOutcome =
  /** Not authentic: nothing was done. 401 where a status is answered */
  | { readonly kind: 'rejected'; readonly why: string }
  /** Authentic and of no interest, or here already (a repeated delivery, an echo of what we did) */
  | { readonly kind: 'ignored'; readonly why: string }
  /** For the eyes of who did it alone. `field`: the field of a form that is to be corrected */
  | { readonly kind: 'refused'; readonly text: string; readonly field?: FormField }
  /** It is done; for the eyes of who did it alone */
  | { readonly kind: 'done'; readonly text: string; readonly requestId: string | null }
  /** A form is to be shown; what is typed comes back with `nonce` */
  | { readonly kind: 'form'; readonly form: ChatForm }
  /** Goes on in a browser: confirmation by a second factor, or the page of the request */
  | { readonly kind: 'open'; readonly text: string; readonly url: string }

export const FORM_FIELDS = ['reason', 'duration', 'roles', 'resources', 'start', 'account'] as const
export type FormField = (typeof FORM_FIELDS)[number]

/** A form of a chat product. Fields are named by FormField; durations are typed as text (`1h30m`). */
export interface ChatForm {
  readonly kind: 'review' | 'ask' | 'extend'
  /** Comes back with what was typed; single use, of this person alone, ten minutes */
  readonly nonce: string
  readonly title: string
  /** Sentences above the fields */
  readonly text: readonly string[]
  readonly fields: readonly ChatFormField[]
  /** On the button that sends it */
  readonly submit: string
}

export interface ChatFormField {
  readonly name: FormField
  readonly label: string
  readonly hint: string | null
  readonly required: boolean
  readonly initial: string | null
  readonly maxLength: number
  readonly multiline: boolean
  /** Not null: to be chosen from; several where `several` */
  readonly options: readonly { readonly value: string; readonly label: string }[] | null
  readonly several: boolean
  /** Left out where a product's form has no room for it: what is typed can say it as well */
  readonly spare?: boolean
}

/** An account at a vendor, as the vendor vouches for it. */
export interface VendorAccount {
  /** Workspace, server, site or guild: an id of one tenant says nothing in another */
  readonly tenant: string
  readonly id: string
  /** For people; never for rights */
  readonly name: string
}

/** What an authentic callback says was done. Made by the core's verifier of its vendor and by nothing else. */
export interface ChatEvent {
  /** The same when the vendor delivers it again */
  readonly eventId: string
  readonly account: VendorAccount
  readonly act: ChatAct
}

export type ChatAct =
  /** `approve`, `deny` ... on the message with this button id; `message`: vendor's name of that message, as `deliver` returns it */
  | {
      readonly kind: 'button'
      readonly button: string
      readonly buttonId: string
      readonly message: string | null
    }
  | { readonly kind: 'form'; readonly nonce: string; readonly fields: Readonly<Partial<Record<FormField, string>>> }
  /** What was typed behind `/access` */
  | { readonly kind: 'command'; readonly text: string }
  /** A ticket was moved: `decision` by the settings' mapping of states */
  | {
      readonly kind: 'moved'
      readonly message: string
      readonly decision: 'approve' | 'deny'
      readonly reason: string
      /** What was answered (MessageTask.shown), where the vendor brings it back */
      readonly shown?: string
      /** When it was done, by the vendor's clock; absent: not known */
      readonly at?: number
    }
  | { readonly kind: 'other' }
