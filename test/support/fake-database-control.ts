import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { Authorization, type DatabaseFacts } from '../../src/connection/authorization.ts'
import type {
  AskAnswer,
  AuthorizeAnswer,
  AuthorizeInput,
  ControlPlane,
  DatabaseSignIn,
  EndNotice,
  Minted,
  MintInput,
  RecordingHead,
  SessionEnd,
} from '../../src/connection/control-plane.ts'
import { newId } from '../../src/foundation/ids.ts'
import type { TestAuthority } from './test-authority.ts'

export interface FakeDatabaseOptions {
  readonly protocol: DatabaseFacts['protocol']
  readonly database: DatabaseFacts['database']
  readonly tls: DatabaseFacts['tls']
  readonly installation: string
  /** Signs what servers are shown */
  readonly authority: TestAuthority
  /** Folder for recordings */
  readonly folder: string
}

/**
 * A control plane for databases that says yes, and writes down what it is told. Everything crosses it as a structured
 * clone, as it would cross a process boundary. Tests change its answers by its public fields.
 */
export class FakeDatabaseControl implements ControlPlane {
  readonly asked: DatabaseSignIn[] = []
  readonly ends = new Map<string, SessionEnd>()
  readonly facts = new Map<string, DatabaseFacts>()
  readonly authFailures: { readonly address: string; readonly code: string }[] = []
  heads: ReadonlyMap<string, RecordingHead> = new Map()
  silence = 0
  /** Laid over the facts of the next sessions */
  change: Partial<DatabaseFacts> = {}
  refusal: Extract<AuthorizeAnswer, { ok: false }> | null = null
  /** What `mint` gives for the credential kind password, by db user */
  readonly passwords = new Map<string, string>()
  onStartUse: (sessionId: string) => Promise<{ ok: true } | { ok: false; text: string }> = () =>
    Promise.resolve({ ok: true })
  minted = 0
  readonly #options: FakeDatabaseOptions
  readonly #watches = new Map<string, (notice: EndNotice) => void>()

  constructor(options: FakeDatabaseOptions) {
    this.#options = options
  }

  async authorize(input: AuthorizeInput): Promise<AuthorizeAnswer> {
    await Promise.resolve()
    if (input.protocol === 'ssh') throw new Error('this fake knows databases alone')
    this.asked.push(structuredClone(input))
    if (this.refusal) return structuredClone(this.refusal)
    const facts = this.#factsFor(structuredClone(input))
    this.facts.set(facts.sessionId, facts)
    return structuredClone({ ok: true, facts })
  }

  ask(): Promise<AskAnswer> {
    return Promise.resolve({ kind: 'refused', code: 'access_denied', lines: ['sallyport: nothing can be asked'] })
  }

  watchRequest(): { stop(): void } {
    return { stop: () => {} }
  }

  async mint(input: MintInput): Promise<Minted> {
    const facts = [...this.facts.values()].find((one) => one.id === input.authorizationId)
    if (!facts) throw new Error('never authorized')
    this.minted++
    const { dbUser, sessionId } = facts
    if (input.kind === 'password') {
      const password = this.passwords.get(dbUser)
      if (password === undefined) throw new Error(`no password is stored for ${dbUser}`)
      return structuredClone({ kind: 'password', password })
    }
    if (input.kind !== 'x509-certificate') throw new Error('this fake knows databases alone')
    const { authority, installation } = this.#options
    const certificate = await authority.databaseClient(installation, { publicKey: input.publicKey, dbUser, sessionId })
    return structuredClone({ kind: 'certificate', certificate })
  }

  async startUse(sessionId: string): Promise<{ ok: true } | { ok: false; text: string }> {
    return structuredClone(await this.onStartUse(sessionId))
  }

  watchEnd(sessionId: string, onNotice: (notice: EndNotice) => void): { stop(): void } {
    this.#watches.set(sessionId, onNotice)
    return { stop: () => void this.#watches.delete(sessionId) }
  }

  append(): Promise<void> {
    return Promise.resolve()
  }

  reportHeads(heads: ReadonlyMap<string, RecordingHead>): void {
    this.heads = structuredClone(heads)
  }

  endSession(sessionId: string, end: SessionEnd): Promise<void> {
    if (this.ends.has(sessionId)) throw new Error(`${sessionId} ended twice`)
    this.ends.set(sessionId, structuredClone(end))
    return Promise.resolve()
  }

  reportAuthFailure(failure: { readonly address: string; readonly code: string }): void {
    this.authFailures.push(structuredClone(failure))
  }

  silentFor(): number {
    return this.silence
  }

  /** To every session that is watched. */
  notify(notice: Omit<EndNotice, 'sessionId'>): void {
    for (const [sessionId, onNotice] of this.#watches) onNotice(structuredClone({ ...notice, sessionId }))
  }

  authorizationOf(facts: DatabaseFacts): Authorization<DatabaseFacts> {
    return Authorization.certify(facts)
  }

  #factsFor(input: DatabaseSignIn): DatabaseFacts {
    const now = Date.now()
    const sessionId = newId('session', now)
    const { protocol, database, tls, folder } = this.#options
    return {
      ...{ id: newId('authorization', now), sessionId, protocol, database, tls },
      user: { id: input.userId, name: 'alice' },
      loginSessionId: input.loginSessionId,
      dbUser: input.dbUser ?? 'app',
      dbName: input.dbName,
      ...{ credential: 'password', allowsMd5: false },
      grants: [],
      requests: [],
      options: {
        ...{
          readOnly: false,
          statementTimeoutMs: null,
          deniedStatements: [],
          recordParameters: false,
          replication: false,
        },
      },
      endsAt: null,
      endText: 'access to this database has expired',
      budgetMs: null,
      idleMs: null,
      offlineGraceMs: 60_000,
      recording: {
        path: join(folder, `${sessionId}.rec`),
        keyId: 'test',
        key: new Uint8Array(randomBytes(32)),
        mode: 'strict',
        recordInput: false,
      },
      position: 1,
      ...this.change,
    }
  }
}
