import type { StatementKind } from '../contract/role.ts'
import { Bug } from '../foundation/errors.ts'

export interface SshPermissions {
  readonly pty: boolean
  readonly portForwarding: boolean
  readonly agentForwarding: boolean
  readonly forceCommand: string | null
}

/** Where and how the worker stores the session's recording. The key opens this one file and nothing else. */
export interface RecordingOrder {
  /** Absolute path of the file to create */
  readonly path: string
  readonly keyId: string
  /** 32 bytes */
  readonly key: Uint8Array
  readonly mode: 'strict' | 'strict_sync' | 'best_effort'
  readonly recordInput: boolean
}

/** What authorize() decided, as data that may cross a process boundary. */
export type AuthorizationFacts = SshFacts | DatabaseFacts

/** Of an answer to a question about ssh. */
export function sshFacts(facts: AuthorizationFacts): SshFacts {
  if (facts.protocol === 'ssh') return facts
  throw new Bug(`authorized for ${facts.protocol}, asked for ssh`)
}

/** Of an answer to a question about a database. */
export function databaseFacts(facts: AuthorizationFacts): DatabaseFacts {
  if (facts.protocol !== 'ssh') return facts
  throw new Bug('authorized for ssh, asked for a database')
}

export interface SshFacts extends SessionFacts {
  readonly protocol: 'ssh'
  readonly node: {
    readonly id: string
    readonly name: string
    readonly host: string
    readonly port: number
    readonly hostKey: string | null
    readonly hostAuthority: string | null
    readonly hostPrincipal: string | null
  }
  readonly login: string
  readonly permissions: SshPermissions
}

export interface DatabaseFacts extends SessionFacts {
  readonly protocol: 'postgres' | 'mysql'
  readonly database: { readonly id: string; readonly name: string; readonly host: string; readonly port: number }
  readonly tls: UpstreamTls
  readonly dbUser: string
  /** Database inside the server. null: none was named, which MySQL permits */
  readonly dbName: string | null
  /** What `mint` gives for this session */
  readonly credential: 'certificate' | 'password'
  /** PostgreSQL: the password may be proven by MD5, which its server must be trusted with */
  readonly allowsMd5: boolean
  readonly options: DatabaseSessionOptions
  /** The db user is made for this session. Absent: it is there */
  readonly justInTime?: { readonly id: string; readonly dbRoles: readonly string[] }
}

/** How the server proves itself to us. */
export interface UpstreamTls {
  readonly mode: 'verify-full' | 'verify-ca' | 'insecure-disable'
  /** PEM of the authorities; null: those of the system */
  readonly authorities: string | null
  /** Sent as SNI and, with verify-full, expected in the certificate */
  readonly serverName: string
}

export interface DatabaseSessionOptions {
  /** To be made so by the server's own means before the client's first statement, and kept so */
  readonly readOnly: boolean
  /** ms; null: no limit */
  readonly statementTimeoutMs: number | null
  readonly deniedStatements: readonly StatementKind[]
  /** Values of parameters stand in the records */
  readonly recordParameters: boolean
  /** PostgreSQL's replication protocol may be used */
  readonly replication: boolean
}

/** What is said of a session whatever its protocol. */
export interface SessionFacts {
  /** azn_... single use, 30 s */
  readonly id: string
  readonly sessionId: string
  readonly user: { readonly id: string; readonly name: string }
  readonly loginSessionId: string
  readonly grants: readonly string[]
  readonly requests: readonly string[]
  /** Earliest of grant ends, session limit, login session's end; null = none. */
  readonly endsAt: number | null
  /** What the client is shown when `endsAt` is reached. */
  readonly endText: string
  /** The same end as a budget on the monotonic clock, so that a clock set back cannot lengthen it. */
  readonly budgetMs: number | null
  readonly idleMs: number | null
  readonly offlineGraceMs: number
  readonly recording: RecordingOrder
  /** Change position at which this was decided. */
  readonly position: number
}

/**
 * Proof that authorize() said yes. Opening an upstream takes one. Only connection/authorize.ts and the stub that brings its
 * answer over IPC (connection/control-plane-stub.ts) may call `certify`; the boundary checker names both.
 */
export class Authorization<Facts extends AuthorizationFacts = AuthorizationFacts> {
  readonly #proof = true
  readonly facts: Facts
  #spent = false

  private constructor(facts: Facts) {
    this.facts = facts
  }

  static certify<Facts extends AuthorizationFacts>(facts: Facts): Authorization<Facts> {
    return new Authorization(facts)
  }

  /** Takes the facts, once. */
  spend(): Facts {
    if (!this.#proof || this.#spent) throw new Bug(`authorization ${this.facts.id} used twice`)
    this.#spent = true
    return this.facts
  }
}
