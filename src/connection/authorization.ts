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
export interface AuthorizationFacts {
  /** azn_... single use, 30 s */
  readonly id: string
  readonly sessionId: string
  readonly user: { readonly id: string; readonly name: string }
  readonly loginSessionId: string
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
  readonly grants: readonly string[]
  readonly requests: readonly string[]
  readonly permissions: SshPermissions
  /** Earliest of grant ends, session limit, login session's end; null = none. */
  readonly endsAt: number | null
  /** What the terminal shows when `endsAt` is reached. */
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
export class Authorization {
  readonly #proof = true
  readonly facts: AuthorizationFacts
  #spent = false

  private constructor(facts: AuthorizationFacts) {
    this.facts = facts
  }

  static certify(facts: AuthorizationFacts): Authorization {
    return new Authorization(facts)
  }

  /** Takes the facts, once. */
  spend(): AuthorizationFacts {
    if (!this.#proof || this.#spent) throw new Bug(`authorization ${this.facts.id} used twice`)
    this.#spent = true
    return this.facts
  }
}
