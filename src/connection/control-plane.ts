import { Bug } from '../foundation/errors.ts'
import type { AuthorizationFacts } from './authorization.ts'

// The one interface between the data path and the side that holds keys and the store. Every argument and answer survives
// structured clone; the in-process form passes everything through it too.

export type AuthorizeInput = SshSignIn | DatabaseSignIn

interface SignIn {
  readonly loginSessionId: string
  /** As the certificate says it */
  readonly userId: string
  /** `SHA256:...` of the key that the client has proven to hold */
  readonly keyFingerprint: string
  /** Peer address, without port */
  readonly address: string
  /** Where this very sign-in was refused and asked: it is decided anew, with everything checked again, once. */
  readonly door?: string
}

export interface SshSignIn extends SignIn {
  readonly protocol: 'ssh'
  readonly certificateSerial: string
  readonly node: string
  /** null: none named */
  readonly login: string | null
  /** What the control side verifies all the above by, as far as a client can sign it */
  readonly proof: SignInProof
}

export interface DatabaseSignIn extends SignIn {
  readonly protocol: 'postgres' | 'mysql'
  /**
   * DER of the client certificate shown in TLS (formats/x509). The control side verifies it anew; that the client holds its
   * key is the worker's word, because a TLS handshake leaves no proof that could be passed on.
   */
  readonly certificate: Uint8Array
  /** Name of the resource */
  readonly database: string
  /** null: none named */
  readonly dbUser: string | null
  /** Database inside the server. null: none named */
  readonly dbName: string | null
}

/** A client's signed USERAUTH_REQUEST (RFC 4252 section 7); certificate, algorithm and user name stand in it. */
export interface SignInProof {
  /** The connection's session id (RFC 4253 section 7.2) */
  readonly sessionId: Uint8Array
  /** The request without its signature */
  readonly request: Uint8Array
  readonly signature: Uint8Array
}

export type AuthorizeAnswer<Facts extends AuthorizationFacts = AuthorizationFacts> =
  | { readonly ok: true; readonly facts: Facts }
  | {
      readonly ok: false
      readonly code: string
      /** At most ten, no control characters */ readonly lines: readonly string[]
      /** The client may ask for access right here; absent: it may not. Held by watchRequest, given up by its `stop`. */
      readonly door?: string
    }

export interface AskInput {
  readonly door: string
  /** null: the client has come to ask and has said nothing yet */
  readonly reason: string | null
}

/** `lines`: for the client to read, plain text */
export type AskAnswer =
  /** Say why: a line of text is expected */
  | { readonly kind: 'prompt'; readonly lines: readonly string[]; readonly prompt: string }
  /** A request is pending; watchRequest tells how it goes on */
  | { readonly kind: 'waiting'; readonly lines: readonly string[] }
  /** Nothing needs to be asked any more: authorize anew */
  | { readonly kind: 'go' }
  | { readonly kind: 'refused'; readonly code: string; readonly lines: readonly string[] }

export type RequestNews =
  | { readonly kind: 'progress'; readonly lines: readonly string[] }
  /** authorize anew, with the door */
  | { readonly kind: 'go'; readonly lines: readonly string[] }
  | { readonly kind: 'over'; readonly lines: readonly string[] }

/** What the target is shown, for the one session of this authorization. */
export type MintInput =
  | {
      readonly kind: 'ssh-certificate'
      readonly authorizationId: string
      /** SSH public key blob (RFC 4253 section 6.6) of the key that the worker made for this one connection */
      readonly publicKey: Uint8Array
      /** Local address of the socket to the target: becomes source-address */
      readonly sourceAddress: string | null
    }
  | {
      readonly kind: 'x509-certificate'
      readonly authorizationId: string
      /** DER SubjectPublicKeyInfo of a P-256 key that the worker made for this one connection */
      readonly publicKey: Uint8Array
      /**
       * Once more, once, until the end of the session is stored: MySQL stops a statement only when somebody signs in a
       * second time and says so.
       */
      readonly toEnd?: true
    }
  | { readonly kind: 'password'; readonly authorizationId: string }

export type Minted =
  /** OpenSSH certificate blob, or DER of an X.509 certificate whose CN is the db user; good for a minute */
  | { readonly kind: 'certificate'; readonly certificate: Uint8Array }
  /** The stored password of the db user */
  | { readonly kind: 'password'; readonly password: string }

export type SessionRecordEvent =
  /** `sha256`: of a command that is not UTF-8, whose text shows those bytes as \xHH */
  | { readonly type: 'exec'; readonly channel: number; readonly command: string; readonly sha256?: string }
  | { readonly type: 'shell'; readonly channel: number }
  | { readonly type: 'sftp'; readonly channel: number }
  | { readonly type: 'scp'; readonly channel: number; readonly command: string; readonly sha256?: string }
  | {
      readonly type: 'port_forward'
      readonly channel: number
      readonly direction: 'local' | 'remote'
      readonly target: string
      readonly allowed: boolean
    }
  | { readonly type: 'agent_forward'; readonly channel: number; readonly allowed: boolean }

export interface RecordingHead {
  readonly chunks: number
  readonly bytes: number
  /** Hex SHA-256 of the last chunk */
  readonly digest: string
}

export interface SessionEnd {
  readonly reason: string
  readonly head: RecordingHead | null
  /** False: the recording misses something and says what */
  readonly complete: boolean
  readonly contents: readonly string[]
}

export interface EndNotice {
  readonly sessionId: string
  /** end: close now. move: the end moved (extension, other grant). tell: show the text, nothing else. */
  readonly kind: 'end' | 'move' | 'tell'
  readonly text: string
  /** What is said when `endsAt` comes */
  readonly endText: string
  readonly endsAt: number | null
  readonly budgetMs: number | null
}

export interface ControlPlane {
  /** Decides, and on yes stores session.start (which names the recording file) before it answers. On no stores session.reject. */
  authorize(input: AuthorizeInput): Promise<AuthorizeAnswer>
  /** At the door of a refused sign-in: asks for what would let it in, or joins what was asked already. */
  ask(input: AskInput): Promise<AskAnswer>
  /** Calls back about the request that this door waits for. `stop` gives the door up; the request stays as it is. */
  watchRequest(door: string, onNews: (news: RequestNews) => void): { stop(): void }
  /** Once per authorization, within 30 s. */
  mint(input: MintInput): Promise<Minted>
  /** After the target let us in, before the first byte: checks against everything that changed since authorize. */
  startUse(sessionId: string): Promise<{ readonly ok: true } | { readonly ok: false; readonly text: string }>
  /** Calls back until the session is ended or `stop` is called. */
  watchEnd(sessionId: string, onNotice: (notice: EndNotice) => void): { stop(): void }
  /** Stores what the session does before it does it. Rejects = it must not happen. */
  append(sessionId: string, event: SessionRecordEvent): Promise<void>
  /** Heads of open recordings, for the next checkpoint. */
  reportHeads(heads: ReadonlyMap<string, RecordingHead>): void
  endSession(sessionId: string, end: SessionEnd): Promise<void>
  /** Wrong certificates and signatures, aggregated on the other side. */
  reportAuthFailure(failure: { readonly address: string; readonly code: string }): void
  /** Milliseconds (monotonic) since the control side was last heard of. */
  silentFor(): number
}

/** What a worker is told at start and whenever it changes. No authority in it: public keys, and the proxy's own leaf keys. */
export interface WorkerSettings {
  readonly installation: string
  readonly proxyName: string
  /** Public key blobs of user-SSH authorities that are trusted now */
  readonly userAuthorities: readonly Uint8Array[]
  /** PEM of the user-X.509 authorities that are trusted now */
  readonly userX509Authorities: readonly string[]
  readonly hostKey: { readonly privatePem: string; readonly certificate: Uint8Array; readonly publicBlob: Uint8Array }
  readonly tls: { readonly keyPem: string; readonly certificatePem: string }
  /** What browsers and vendors are shown that come by one of its names. null: `tls`, as everybody else */
  readonly webTls: { readonly keyPem: string; readonly certificatePem: string } | null
  /** Unix socket of the API */
  readonly apiSocket: string
  readonly limits: ListenerLimits
  /** What MySQL clients are greeted with, before it is known where they want to go */
  readonly mysqlServerVersion: string
}

export interface ListenerLimits {
  readonly loginGraceMs: number
  readonly connections: number
  /** Not yet signed in, per address */
  readonly unauthenticatedPerAddress: number
  readonly unauthenticated: number
  readonly channelsPerConnection: number
}

/** The control side is heard of at least this often while it lives. */
export const BEAT_MS = 1000

/** Of an answer to an order of a certificate. */
export function mintedCertificate(minted: Minted): Uint8Array {
  if (minted.kind === 'certificate') return minted.certificate
  throw new Bug('a certificate was ordered, and a password came')
}

/** Of an answer to an order of a password. */
export function mintedPassword(minted: Minted): string {
  if (minted.kind === 'password') return minted.password
  throw new Bug('a password was ordered, and a certificate came')
}
