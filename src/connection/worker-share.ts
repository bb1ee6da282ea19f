import { Refused } from '../foundation/errors.ts'
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
} from './control-plane.ts'

/** The control plane as one relay worker sees it: only the sessions that were authorized for it are there. */
export class WorkerShare implements ControlPlane {
  readonly #control: ControlPlane
  readonly #closeOrphan: (sessionId: string) => void
  /** Authorization by session */
  readonly #sessions = new Map<string, string>()
  readonly #authorizations = new Set<string>()
  readonly #doors = new Set<string>()
  #isGone = false

  /** `closeOrphan`: ends a session whose worker has died. */
  constructor(control: ControlPlane, closeOrphan: (sessionId: string) => void) {
    this.#control = control
    this.#closeOrphan = closeOrphan
  }

  get size(): number {
    return this.#sessions.size
  }

  /** The worker has died: ends what it had, and what is still being authorized for it. */
  gone(): void {
    this.#isGone = true
    for (const id of this.#sessions.keys()) this.#closeOrphan(id)
  }

  async authorize(input: AuthorizeInput): Promise<AuthorizeAnswer> {
    if (input.door !== undefined && !this.#doors.delete(input.door)) throw foreign()
    const answer = await this.#control.authorize(input)
    if (!answer.ok) {
      if (answer.door !== undefined) this.#doors.add(answer.door)
      return answer
    }
    this.#sessions.set(answer.facts.sessionId, answer.facts.id)
    this.#authorizations.add(answer.facts.id)
    if (this.#isGone) this.#closeOrphan(answer.facts.sessionId)
    return answer
  }

  async ask(input: AskInput): Promise<AskAnswer> {
    if (!this.#doors.has(input.door)) throw foreign()
    return this.#control.ask(input)
  }

  watchRequest(door: string, onNews: (news: RequestNews) => void): { stop(): void } {
    if (!this.#doors.has(door)) throw foreign()
    const watch = this.#control.watchRequest(door, onNews)
    return {
      stop: () => {
        this.#doors.delete(door)
        watch.stop()
      },
    }
  }

  async mint(input: MintInput): Promise<Minted> {
    const isToEnd = input.kind === 'x509-certificate' && input.toEnd === true
    const isOurs = isToEnd
      ? [...this.#sessions.values()].includes(input.authorizationId)
      : this.#authorizations.delete(input.authorizationId)
    if (!isOurs) throw foreign()
    return this.#control.mint(input)
  }

  async startUse(sessionId: string): Promise<{ readonly ok: true } | { readonly ok: false; readonly text: string }> {
    this.#mustBeOurs(sessionId)
    return this.#control.startUse(sessionId)
  }

  watchEnd(sessionId: string, onNotice: (notice: EndNotice) => void): { stop(): void } {
    this.#mustBeOurs(sessionId)
    return this.#control.watchEnd(sessionId, onNotice)
  }

  async append(sessionId: string, event: SessionRecordEvent): Promise<void> {
    this.#mustBeOurs(sessionId)
    await this.#control.append(sessionId, event)
  }

  reportHeads(heads: ReadonlyMap<string, RecordingHead>): void {
    this.#control.reportHeads(new Map([...heads].filter(([id]) => this.#sessions.has(id))))
  }

  async endSession(sessionId: string, end: SessionEnd): Promise<void> {
    this.#mustBeOurs(sessionId)
    await this.#control.endSession(sessionId, end)
    this.#authorizations.delete(this.#sessions.get(sessionId) ?? '')
    this.#sessions.delete(sessionId)
  }

  reportAuthFailure(failure: { readonly address: string; readonly code: string }): void {
    this.#control.reportAuthFailure(failure)
  }

  silentFor(): number {
    return this.#control.silentFor()
  }

  #mustBeOurs(sessionId: string): void {
    if (!this.#sessions.has(sessionId)) throw foreign()
  }
}

const foreign = (): Refused => new Refused('not_allowed', 'that is no session of this worker')
