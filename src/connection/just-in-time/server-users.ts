import type { JustInTimeServer } from './just-in-time-server.ts'

// What the two kinds of servers have in common, seen from outside.

/** Every user that we made is a member; nobody else's user is ever touched. */
export const MARKER = 'sallyport_jit'

/** What the admin signs in with */
export type AdminCredential =
  | { readonly kind: 'password'; readonly password: string }
  | { readonly kind: 'certificate'; readonly keyPem: string; readonly certificatePem: string }

export interface AdminAccess {
  readonly server: JustInTimeServer
  readonly credential: AdminCredential
}

export interface OpenOrder {
  /** On the server */
  readonly name: string
  /** Exactly these */
  readonly dbRoles: readonly string[]
  /** Null: it signs in by certificate, and has none */
  readonly password: string | null
  readonly validUntil: number
  /** Its roles must permit reading alone; asked of servers that cannot keep a session to it */
  readonly isReadOnly: boolean
  /** For signing in as itself, once */
  readonly ownCredential: () => Promise<AdminCredential>
  /** Asked while nobody else can open or close this user: false, and nothing is done. */
  readonly isWanted: () => Promise<boolean>
}

export interface CloseOrder {
  readonly name: string
  readonly wish: 'lock' | 'drop'
  /** Asked while nobody else can open or close this user: false, and it stays open. */
  readonly isUnwanted: () => Promise<boolean>
}

export type Closed =
  | {
      readonly kind: 'locked'
      /** What was left that should have gone, and why; null: nothing */ readonly kept: string | null
    }
  | { readonly kind: 'dropped' }
  /** It was never made, or somebody else has dropped it */
  | { readonly kind: 'absent' }
  /** One of this name is there that we did not make: it was not touched */
  | { readonly kind: 'not_ours' }
  | { readonly kind: 'wanted_again' }

/** Makes, opens and closes users on one kind of server. Errors: Refused, with a text for the person who connects. */
export interface ServerUsers {
  /** False: it was not wanted any more */
  open(admin: AdminAccess, order: OpenOrder): Promise<boolean>
  close(admin: AdminAccess, order: CloseOrder): Promise<Closed>
}
