import type { Clock, Timer } from '../../../foundation/clock.ts'
import type { AskAnswer, ControlPlane, RequestNews } from '../../control-plane.ts'
import { plainLine, plainLines } from './refuse.ts'
import type { InboundPacket, SshLeg } from './ssh-leg.ts'
import { banner, partialSuccess } from './wire/auth-messages.ts'
import { infoRequest, readInfoResponse, readInteractiveRequest } from './wire/interactive-messages.ts'
import { MESSAGE } from './wire/messages.ts'
import { ProtocolError } from './wire/protocol-error.ts'

/** Without news the client is sent an empty question so often: address translators forget silent connections. */
const ALIVE_EVERY_MS = 15_000
/** What the client has not yet been shown; a suspended one reads nothing. */
const MOST_UNTOLD = 20
const LONGEST_PROMPT = 200

export type AskOutcome =
  | { readonly kind: 'go' }
  /** `lines` are still to be shown; empty: the client has been told why */
  | { readonly kind: 'refused'; readonly lines: readonly string[] }

export interface AskInsideOptions {
  readonly leg: SshLeg
  readonly control: ControlPlane
  readonly clock: Clock
  readonly door: string
  /** As sent in the request that was proven */
  readonly userName: string
  /** Why there is no access, and how to ask elsewhere */
  readonly refusal: readonly string[]
  /** Milliseconds within which the client must have gone on */
  readonly patienceMs: number
}

/**
 * Asking within the connection (RFC 4252 section 5.1, RFC 4256): the certificate was right and not enough. A client that
 * cannot be asked, or does not want to, has been told what it would have been told anyway. Nothing here opens anything.
 */
export class AskInside {
  readonly #options: AskInsideOptions
  readonly #outcome = Promise.withResolvers<AskOutcome>()
  readonly #untold: string[] = []
  #watch: { stop(): void } | null = null
  #isOver = false
  #stage: 'offered' | 'deciding' | 'reason' | 'waiting' = 'offered'
  /** Prompts of the question that is not answered yet; null: none is out */
  #asked: number | null = null
  #mayGo = false
  #timer: Timer

  constructor(options: AskInsideOptions) {
    this.#options = options
    this.#timer = options.clock.after(options.patienceMs, () => this.#settle({ kind: 'refused', lines: [] }))
  }

  /** Resolves when the client may be authorized anew or is refused for good, and when `signal` is aborted. */
  async run(signal: AbortSignal): Promise<AskOutcome> {
    const { leg, control, door, refusal } = this.#options
    const left = (): void => this.#settle({ kind: 'refused', lines: [] })
    signal.addEventListener('abort', left, { once: true })
    if (signal.aborted) left()
    this.#watch = control.watchRequest(door, (news) => this.#hear(news))
    leg.onPacket = (packet) => this.#receive(packet)
    this.#show(refusal)
    leg.send(partialSuccess('keyboard-interactive'))
    try {
      return await this.#outcome.promise
    } finally {
      signal.removeEventListener('abort', left)
      this.#timer.cancel()
      leg.onPacket = () => {
        throw new ProtocolError('nothing is expected now')
      }
    }
  }

  /** Gives the door up; not before authorize() has answered, which still needs it. */
  leave(): void {
    this.#watch?.stop()
  }

  /** The proxy ends: whoever waits is told. */
  end(text: string): void {
    this.#settle({ kind: 'refused', lines: [text] })
  }

  #receive({ payload }: InboundPacket): void {
    const message = payload[0]
    if (message === MESSAGE.USERAUTH_REQUEST) this.#goOn(payload)
    else if (message === MESSAGE.USERAUTH_INFO_RESPONSE && this.#asked !== null) this.#answered(payload, this.#asked)
    else throw new ProtocolError(`unexpected message ${message} while access is asked for`)
  }

  #goOn(payload: Buffer): void {
    const request = readInteractiveRequest(payload)
    // Another method: it does not want to ask. It was told why it is refused, and is refused.
    if (request === null) return this.#settle({ kind: 'refused', lines: [] })
    if (request.user !== this.#options.userName) throw new ProtocolError('the user name must not change')
    if (request.service !== 'ssh-connection') throw new ProtocolError('the service must not change')
    if (this.#stage !== 'offered') throw new ProtocolError('access is asked for already')
    this.#timer.cancel()
    this.#ask(null)
  }

  #answered(payload: Buffer, count: number): void {
    const [response] = readInfoResponse(payload, count)
    this.#asked = null
    if (this.#isOver) return
    if (this.#stage === 'reason' && response !== undefined) this.#ask(textOf(response))
    else if (this.#mayGo) this.#settle({ kind: 'go' })
    else this.#tellOn()
  }

  #ask(reason: string | null): void {
    this.#stage = 'deciding'
    const { control, door } = this.#options
    control.ask({ door, reason }).then(
      (answer) => this.#take(answer),
      () => this.#settle({ kind: 'refused', lines: ['sallyport: this cannot be asked for at the moment'] }),
    )
  }

  #take(answer: AskAnswer): void {
    if (this.#isOver) return
    if (answer.kind === 'go') return this.#go()
    if (answer.kind === 'refused') return this.#settle({ kind: 'refused', lines: answer.lines })
    this.#stage = answer.kind === 'prompt' ? 'reason' : 'waiting'
    this.#show(answer.lines)
    if (answer.kind === 'prompt') this.#question('', plainLine(answer.prompt).slice(0, LONGEST_PROMPT))
    else this.#tellOn()
  }

  #hear(news: RequestNews): void {
    if (this.#isOver) return
    if (news.kind === 'over') return this.#settle({ kind: 'refused', lines: news.lines })
    if (news.kind === 'progress') {
      this.#untold.push(...news.lines.map(plainLine))
      this.#untold.splice(0, this.#untold.length - MOST_UNTOLD)
      if (this.#stage === 'waiting') this.#tellOn()
      return
    }
    this.#show([...this.#untold.splice(0), ...news.lines])
    this.#go()
  }

  /** An unanswered question first: its answer must not arrive in the session. */
  #go(): void {
    this.#mayGo = true
    if (this.#asked === null) this.#settle({ kind: 'go' })
  }

  #tellOn(): void {
    if (this.#asked !== null) return
    this.#timer.cancel()
    const lines = this.#untold.splice(0)
    if (lines.length > 0) return this.#question(lines.join('\n'), null)
    this.#timer = this.#options.clock.after(ALIVE_EVERY_MS, () => this.#question('', null))
  }

  #question(instruction: string, prompt: string | null): void {
    this.#asked = prompt === null ? 0 : 1
    this.#options.leg.send(infoRequest(instruction, prompt))
  }

  #show(lines: readonly string[]): void {
    const shown = plainLines(lines)
    if (shown.length > 0) this.#options.leg.send(banner(`${shown.join('\r\n')}\r\n`))
  }

  #settle(outcome: AskOutcome): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#outcome.resolve(outcome)
  }
}

/** What is no text is kept as the replacement character, which shows that something was wrong with it. */
const textOf = (bytes: Buffer): string => bytes.toString('utf8')
