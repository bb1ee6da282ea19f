import type { AskAnswer, ControlPlane, RequestNews } from '../../control-plane.ts'

/** What Doors takes for an answer where no reason has to be given */
const NO_REASON = '-'

export type AskOutcome =
  /** Authorize anew, with the door */
  { readonly kind: 'go' } | { readonly kind: 'refused'; readonly code: string; readonly lines: readonly string[] }

export interface AskInsideOptions {
  readonly control: Pick<ControlPlane, 'ask' | 'watchRequest'>
  readonly door: string
  /** Why there is no access, and how to ask elsewhere */
  readonly refusal: readonly string[]
  /** Came with the connection; null: none */
  readonly reason: string | null
  /** Shows lines to whoever waits */
  show(lines: readonly string[]): void
}

/**
 * Asking within a connection whose client can be told things and cannot be asked any: it comes with its reason or has none.
 * Nothing here opens anything.
 */
export class AskInside {
  readonly #options: AskInsideOptions
  readonly #outcome = Promise.withResolvers<AskOutcome>()
  #watch: { stop(): void } | null = null
  /** News that came before the answer which says what is waited for; null: they are told as they come */
  #early: RequestNews[] | null = []
  #isOver = false

  constructor(options: AskInsideOptions) {
    this.#options = options
  }

  /** Resolves when the client may be authorized anew or is refused for good, and when `signal` is aborted. */
  async run(signal: AbortSignal): Promise<AskOutcome> {
    const left = (): void => this.#settle({ kind: 'refused', code: 'access_denied', lines: [] })
    signal.addEventListener('abort', left, { once: true })
    if (signal.aborted) left()
    this.#watch = this.#options.control.watchRequest(this.#options.door, (news) => this.#hear(news))
    this.#ask().catch(() => this.#settle(UNAVAILABLE))
    try {
      return await this.#outcome.promise
    } finally {
      signal.removeEventListener('abort', left)
    }
  }

  /** Gives the door up; not before authorize() has answered, which still needs it. */
  leave(): void {
    this.#watch?.stop()
  }

  /** The proxy ends: whoever waits is told. */
  end(text: string): void {
    this.#settle({ kind: 'refused', code: 'shutting_down', lines: [text] })
  }

  async #ask(): Promise<void> {
    const { control, door, reason } = this.#options
    const first = await control.ask({ door, reason: null })
    if (first.kind !== 'prompt') return this.#take(first)
    const second = await control.ask({ door, reason: reason ?? NO_REASON })
    if (second.kind !== 'prompt') return this.#take(second)
    const lines = [...this.#options.refusal, ...second.lines, ...HOW_TO_GIVE_A_REASON]
    this.#settle({ kind: 'refused', code: 'reason_required', lines })
  }

  #take(answer: Exclude<AskAnswer, { kind: 'prompt' }>): void {
    if (this.#isOver) return
    if (answer.kind === 'go') this.#settle({ kind: 'go' })
    else if (answer.kind === 'refused') this.#settle(answer)
    else {
      this.#options.show([...this.#options.refusal, ...answer.lines])
      const early = this.#early ?? []
      this.#early = null
      for (const news of early) this.#hear(news)
    }
  }

  #hear(news: RequestNews): void {
    if (this.#isOver) return
    if (this.#early) {
      this.#early.push(news)
      return
    }
    if (news.kind === 'over') return this.#settle({ kind: 'refused', code: 'access_denied', lines: news.lines })
    this.#options.show(news.lines)
    if (news.kind === 'go') this.#settle({ kind: 'go' })
  }

  #settle(outcome: AskOutcome): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#outcome.resolve(outcome)
  }
}

const UNAVAILABLE: AskOutcome = {
  kind: 'refused',
  code: 'store_unavailable',
  lines: ['sallyport: this cannot be asked for at the moment'],
}
const HOW_TO_GIVE_A_REASON = [
  '  Give it with the connection:',
  String.raw`    PGOPTIONS='-c sallyport.reason=why\ you\ need\ it' psql ...`,
]
