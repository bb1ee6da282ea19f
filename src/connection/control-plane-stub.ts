import type { Clock } from '../foundation/clock.ts'
import { Bug } from '../foundation/errors.ts'
import { Authorization, type AuthorizationFacts } from './authorization.ts'
import type { AskAnswer, AuthorizeAnswer, ControlPlane, EndNotice, Minted, RequestNews } from './control-plane.ts'
import type { CallInputs, CallName, Port, ToControl, ToWorker } from './control-plane-ipc.ts'

const CALL_DEADLINE_MS = 30_000

interface PendingCall {
  resolve(value: unknown): void
  reject(error: Error): void
}

/** The worker's side: the same interface, each call a message. Nothing is granted by silence: a call without an answer fails. */
export class ControlPlaneStub implements ControlPlane {
  readonly #port: Port<ToControl, ToWorker>
  readonly #clock: Clock
  readonly #pending = new Map<number, PendingCall>()
  readonly #watches = new Map<string, (notice: EndNotice) => void>()
  readonly #doors = new Map<string, (news: RequestNews) => void>()
  /** Facts that came as a yes and were not yet taken: only these become an Authorization. */
  readonly #authorized = new WeakSet<AuthorizationFacts>()
  #nextId = 1
  #lastHeard: number
  #closed = false

  constructor(port: Port<ToControl, ToWorker>, clock: Clock) {
    this.#port = port
    this.#clock = clock
    this.#lastHeard = clock.monotonic()
    port.onMessage((message) => this.#receive(message))
    port.onClose(() => this.#close())
  }

  async authorize(input: CallInputs['authorize']): Promise<AuthorizeAnswer> {
    const answer = (await this.#call('authorize', input)) as AuthorizeAnswer
    if (answer.ok) this.#authorized.add(answer.facts)
    return answer
  }

  async ask(input: CallInputs['ask']): Promise<AskAnswer> {
    return (await this.#call('ask', input)) as AskAnswer
  }

  watchRequest(door: string, onNews: (news: RequestNews) => void): { stop(): void } {
    this.#doors.set(door, onNews)
    this.#callAndForget('watchRequest', { door })
    return {
      stop: () => {
        if (this.#doors.delete(door)) this.#callAndForget('unwatchRequest', { door })
      },
    }
  }

  async mint(input: CallInputs['mint']): Promise<Minted> {
    return (await this.#call('mint', input)) as Minted
  }

  async startUse(sessionId: string): Promise<{ ok: true } | { ok: false; text: string }> {
    return (await this.#call('startUse', { sessionId })) as { ok: true } | { ok: false; text: string }
  }

  async append(sessionId: string, event: CallInputs['append']['event']): Promise<void> {
    await this.#call('append', { sessionId, event })
  }

  async endSession(sessionId: string, end: CallInputs['endSession']['end']): Promise<void> {
    await this.#call('endSession', { sessionId, end })
  }

  watchEnd(sessionId: string, onNotice: (notice: EndNotice) => void): { stop(): void } {
    this.#watches.set(sessionId, onNotice)
    this.#callAndForget('watchEnd', { sessionId })
    return {
      stop: () => {
        if (this.#watches.delete(sessionId)) this.#callAndForget('unwatchEnd', { sessionId })
      },
    }
  }

  reportHeads(heads: CallInputs['reportHeads']['heads']): void {
    this.#callAndForget('reportHeads', { heads })
  }

  reportAuthFailure(failure: CallInputs['reportAuthFailure']): void {
    this.#callAndForget('reportAuthFailure', failure)
  }

  silentFor(): number {
    return this.#clock.monotonic() - this.#lastHeard
  }

  /** Brings an answer of authorize() back to life on this side of the process boundary, once. */
  authorizationOf<Facts extends AuthorizationFacts>(facts: Facts): Authorization<Facts> {
    if (!this.#authorized.delete(facts)) throw new Bug(`authorize() did not say yes to ${facts.id}`)
    return Authorization.certify(facts)
  }

  #callAndForget<K extends CallName>(method: K, input: CallInputs[K]): void {
    // A lost report is made up for by the next one or by the end of the session.
    this.#call(method, input).catch(() => {})
  }

  #call<K extends CallName>(method: K, input: CallInputs[K]): Promise<unknown> {
    if (this.#closed) return Promise.reject(new Error('the control process is gone'))
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      const deadline = this.#clock.after(CALL_DEADLINE_MS, () => {
        this.#pending.delete(id)
        reject(new Error(`the control process did not answer ${method} in ${CALL_DEADLINE_MS / 1000} s`))
      })
      const settle = (finish: () => void): void => {
        deadline.cancel()
        this.#pending.delete(id)
        finish()
      }
      this.#pending.set(id, {
        resolve: (value) => settle(() => resolve(value)),
        reject: (error) => settle(() => reject(error)),
      })
      this.#port.send({ kind: 'call', id, method, input } as ToControl)
    })
  }

  #receive(message: ToWorker): void {
    this.#lastHeard = this.#clock.monotonic()
    if (message.kind === 'answer') {
      const call = this.#pending.get(message.id)
      if (message.ok && !call) this.#endUnwanted(message.value)
      else if (message.ok) call?.resolve(message.value)
      else call?.reject(new Error(message.message))
    }
    if (message.kind === 'news') this.#doors.get(message.door)?.(message.news)
    if (message.kind === 'notice') this.#watches.get(message.notice.sessionId)?.(message.notice)
  }

  /** A yes that came after its deadline: nobody waits for that session any more, and it must not stay open. */
  #endUnwanted(answer: unknown): void {
    const { facts } = (answer ?? {}) as { readonly facts?: AuthorizationFacts }
    if (!facts) return
    const end = { reason: 'authorized_too_late', head: null, complete: false, contents: [] }
    this.#callAndForget('endSession', { sessionId: facts.sessionId, end })
  }

  #close(): void {
    this.#closed = true
    for (const call of [...this.#pending.values()]) call.reject(new Error('the control process is gone'))
  }
}
