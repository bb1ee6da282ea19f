import { randomBytes, type KeyObject } from 'node:crypto'
import { join } from 'node:path'
import { Authorization, type AuthorizationFacts, type SshFacts } from '../../src/connection/authorization.ts'
import type {
  AskAnswer,
  AskInput,
  AuthorizeAnswer,
  AuthorizeInput,
  ControlPlane,
  EndNotice,
  MintInput,
  Minted,
  RecordingHead,
  RequestNews,
  SessionEnd,
  SessionRecordEvent,
  SshSignIn,
} from '../../src/connection/control-plane.ts'
import { mintCertificate } from '../../src/formats/openssh/mint-certificate.ts'
import { parsePublicKey } from '../../src/formats/openssh/public-key.ts'
import { newId } from '../../src/foundation/ids.ts'

export type FactsChange = Partial<Omit<SshFacts, 'node' | 'protocol'>> & {
  readonly node?: Partial<SshFacts['node']>
}

export interface FakeControlPlaneOptions {
  /** Signs what targets are shown */
  readonly onwardAuthority: KeyObject
  readonly node: SshFacts['node']
  readonly login: string
  /** Folder for recordings */
  readonly folder: string
}

/**
 * A control plane that says yes, and writes down what it is told. Everything crosses it as a structured clone, as it
 * would cross a process boundary. Tests change its answers by its public fields.
 */
export class FakeControlPlane implements ControlPlane {
  readonly asked: SshSignIn[] = []
  readonly events: SessionRecordEvent[] = []
  readonly ends = new Map<string, SessionEnd[]>()
  readonly facts = new Map<string, SshFacts>()
  readonly authFailures: { readonly address: string; readonly code: string }[] = []
  heads: ReadonlyMap<string, RecordingHead> = new Map()
  silence = 0
  /** Laid over the facts of the next sessions */
  change: FactsChange = {}
  refusal: Extract<AuthorizeAnswer, { ok: false }> | null = null
  /** What was said at the door */
  readonly reasons: (string | null)[] = []
  onAsk: (input: AskInput) => Promise<AskAnswer> = () =>
    Promise.resolve({ kind: 'refused', code: 'access_denied', lines: ['sallyport: nothing can be asked'] })
  onStartUse: (sessionId: string) => Promise<{ ok: true } | { ok: false; text: string }> = () =>
    Promise.resolve({ ok: true })
  onAppend: (event: SessionRecordEvent) => Promise<void> = () => Promise.resolve()
  onMint: () => void = () => {}
  readonly #options: FakeControlPlaneOptions
  /** Doors that are held */
  readonly doors = new Map<string, (news: RequestNews) => void>()
  readonly #watches = new Map<string, (notice: EndNotice) => void>()
  readonly #mintable = new Set<string>()

  constructor(options: FakeControlPlaneOptions) {
    this.#options = options
  }

  async authorize(input: AuthorizeInput): Promise<AuthorizeAnswer> {
    await Promise.resolve()
    if (input.protocol !== 'ssh') throw new Error('this fake knows ssh alone')
    this.asked.push(structuredClone(input))
    if (this.refusal) return structuredClone(this.refusal)
    const facts = this.#factsFor(structuredClone(input))
    this.facts.set(facts.sessionId, facts)
    this.#mintable.add(facts.id)
    return structuredClone({ ok: true, facts })
  }

  async ask(input: AskInput): Promise<AskAnswer> {
    this.reasons.push(input.reason)
    return structuredClone(await this.onAsk(structuredClone(input)))
  }

  watchRequest(door: string, onNews: (news: RequestNews) => void): { stop(): void } {
    this.doors.set(door, (news) => onNews(structuredClone(news)))
    return { stop: () => void this.doors.delete(door) }
  }

  async mint(input: MintInput): Promise<Minted> {
    await Promise.resolve()
    this.onMint()
    if (input.kind !== 'ssh-certificate') throw new Error('this fake knows ssh alone')
    const { authorizationId, publicKey, sourceAddress } = structuredClone(input)
    if (!this.#mintable.delete(authorizationId)) throw new Error('minted twice, or never authorized')
    const facts = [...this.facts.values()].find((one) => one.id === authorizationId)
    const now = Date.now()
    const { blob } = mintCertificate(
      {
        subject: parsePublicKey(publicKey),
        kind: 'user',
        keyId: 'test',
        principals: [facts?.login ?? ''],
        validAfter: now - 60_000,
        validBefore: now + 60_000,
        criticalOptions: sourceAddress === null ? {} : { 'source-address': sourceAddress },
        extensions: { 'permit-pty': '', 'permit-port-forwarding': '', 'permit-agent-forwarding': '' },
      },
      this.#options.onwardAuthority,
    )
    return structuredClone({ kind: 'certificate', certificate: new Uint8Array(blob) })
  }

  async startUse(sessionId: string): Promise<{ ok: true } | { ok: false; text: string }> {
    return structuredClone(await this.onStartUse(sessionId))
  }

  watchEnd(sessionId: string, onNotice: (notice: EndNotice) => void): { stop(): void } {
    this.#watches.set(sessionId, onNotice)
    return { stop: () => void this.#watches.delete(sessionId) }
  }

  async append(_sessionId: string, event: SessionRecordEvent): Promise<void> {
    const cloned = structuredClone(event)
    await this.onAppend(cloned)
    this.events.push(cloned)
  }

  reportHeads(heads: ReadonlyMap<string, RecordingHead>): void {
    this.heads = structuredClone(heads)
  }

  endSession(sessionId: string, end: SessionEnd): Promise<void> {
    this.ends.set(sessionId, [...(this.ends.get(sessionId) ?? []), structuredClone(end)])
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

  authorizationOf<Facts extends AuthorizationFacts>(facts: Facts): Authorization<Facts> {
    return Authorization.certify(facts)
  }

  #factsFor(input: SshSignIn): SshFacts {
    const now = Date.now()
    const sessionId = newId('session', now)
    return {
      id: newId('authorization', now),
      protocol: 'ssh',
      sessionId,
      user: { id: input.userId, name: 'alice' },
      loginSessionId: input.loginSessionId,
      login: input.login ?? this.#options.login,
      grants: [],
      requests: [],
      permissions: { pty: true, portForwarding: false, agentForwarding: false, forceCommand: null },
      endsAt: null,
      endText: 'access to this node has expired',
      budgetMs: null,
      idleMs: null,
      offlineGraceMs: 60_000,
      recording: {
        path: join(this.#options.folder, `${sessionId}.rec`),
        keyId: 'test',
        key: new Uint8Array(randomBytes(32)),
        mode: 'strict',
        recordInput: false,
      },
      position: 1,
      ...this.change,
      node: { ...this.#options.node, ...this.change.node },
    }
  }
}
