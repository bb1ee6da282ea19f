import type { Clock, Instant, Timer } from '../foundation/clock.ts'
import { BEAT_MS } from './control-plane.ts'

/** Why a session ends: a word for the event, a sentence for the terminal. */
export interface EndReason {
  readonly reason: string
  readonly text: string
}

export interface EndFacts {
  readonly endsAt: Instant | null
  readonly endText: string
  /** Monotonic instant by which `budgetMs` is used up */
  readonly budgetEnd: number | null
  readonly idleMs: number | null
  readonly offlineGraceMs: number
}

export interface EndNow {
  readonly wall: Instant
  readonly monotonic: number
  /** Monotonic instant of the last sign of work */
  readonly lastActive: number
  /** Milliseconds since the control side was heard of */
  readonly silentFor: number
}

/** A grace of 0 means: as soon as it is certain. Three beats missed in a row are. */
const LEAST_GRACE_MS = 3 * BEAT_MS
const LONGEST_SLEEP_MS = 1000

/** The rule: whichever comes first of wall clock, budget, idle time and silence of the control side. */
export function dueEnd(facts: EndFacts, now: EndNow): EndReason | null {
  if (facts.endsAt !== null && now.wall >= facts.endsAt) return { reason: 'expired', text: facts.endText }
  if (facts.budgetEnd !== null && now.monotonic >= facts.budgetEnd) return { reason: 'expired', text: facts.endText }
  if (facts.idleMs !== null && now.monotonic - now.lastActive >= facts.idleMs) {
    return { reason: 'idle', text: `Session ended: nothing was typed for ${inWords(facts.idleMs)}.` }
  }
  if (now.silentFor > Math.max(facts.offlineGraceMs, LEAST_GRACE_MS)) {
    return { reason: 'offline', text: 'Session ended: whether it may go on cannot be checked at the moment.' }
  }
  return null
}

function inWords(ms: number): string {
  return ms >= 120_000 ? `${Math.round(ms / 60_000)} minutes` : `${Math.round(ms / 1000)} seconds`
}

export interface LiveEndOptions {
  readonly clock: Clock
  readonly endsAt: Instant | null
  readonly endText: string
  readonly budgetMs: number | null
  readonly idleMs: number | null
  readonly offlineGraceMs: number
  readonly silentFor: () => number
  /** What is at work without a byte passing: a query that runs for an hour. Absent: nothing is */
  readonly isBusy?: () => boolean
  readonly onEnd: (reason: EndReason) => void
}

/**
 * Watches one session's end in the worker itself, so that it comes even when the control side is stalled. The wall clock
 * may jump, so it is looked at every second and not trusted to a long timer.
 */
export class LiveEnd {
  readonly #options: LiveEndOptions
  #facts: EndFacts
  #lastActive: number
  #timer: Timer | null = null
  #isOver = false

  constructor(options: LiveEndOptions) {
    const now = options.clock.monotonic()
    this.#options = options
    this.#lastActive = now
    this.#facts = { ...options, budgetEnd: options.budgetMs === null ? null : now + options.budgetMs }
  }

  start(): void {
    this.#look()
  }

  active(): void {
    this.#lastActive = this.#options.clock.monotonic()
  }

  /** The end moved: an extension, or another grant carries the session now. */
  move(endsAt: Instant | null, budgetMs: number | null, endText: string): void {
    const now = this.#options.clock.monotonic()
    this.#facts = { ...this.#facts, endsAt, endText, budgetEnd: budgetMs === null ? null : now + budgetMs }
    this.#look()
  }

  stop(): void {
    this.#isOver = true
    this.#timer?.cancel()
  }

  #look(): void {
    if (this.#isOver) return
    this.#timer?.cancel()
    const { clock, isBusy } = this.#options
    if (isBusy?.()) this.active()
    const wall = clock.now()
    const monotonic = clock.monotonic()
    const silentFor = this.#options.silentFor()
    const end = dueEnd(this.#facts, { wall, monotonic, lastActive: this.#lastActive, silentFor })
    if (end) {
      this.stop()
      this.#options.onEnd(end)
      return
    }
    const { endsAt, budgetEnd } = this.#facts
    const left = Math.min(
      LONGEST_SLEEP_MS,
      endsAt === null ? LONGEST_SLEEP_MS : endsAt - wall,
      budgetEnd === null ? LONGEST_SLEEP_MS : budgetEnd - monotonic,
    )
    this.#timer = clock.after(Math.max(1, left), () => this.#look())
  }
}
