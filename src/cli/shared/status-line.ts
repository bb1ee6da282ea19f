import { fitTo } from './display-width.ts'
import { harmless } from './harmless.ts'
import type { Terminal } from './terminal.ts'

const EVERY_MS = 1000
const ERASE = '\r\x1b[K'

/**
 * The last line of stderr, drawn anew in its place each second on a terminal; elsewhere each new text is a line.
 * `quiet`: programs read the result, nothing is shown.
 */
export class StatusLine {
  readonly #terminal: Terminal
  readonly #quiet: boolean
  readonly #since: number
  #text: string | null = null
  #timer: { cancel(): void } | null = null

  constructor(terminal: Terminal, quiet = false) {
    this.#terminal = terminal
    this.#quiet = quiet
    this.#since = terminal.clock.monotonic()
  }

  get #redraws(): boolean {
    return this.#terminal.stderr.columns !== null && this.#terminal.env['TERM'] !== 'dumb'
  }

  /** What is going on. On a terminal the time that has passed stands before it. */
  set(text: string): void {
    if (this.#quiet || text === this.#text) return
    this.#text = text
    if (this.#redraws) this.#draw()
    else this.#terminal.stderr.write(`${harmless(text)}\n`)
  }

  /** A line that stays, above the status. */
  say(line: string): void {
    if (this.#quiet) return
    this.#terminal.stderr.write(`${this.#drawn ? ERASE : ''}${harmless(line)}\n`)
    if (this.#drawn) this.#draw()
  }

  /** Takes the status away; what was said stays. */
  clear(): void {
    if (this.#drawn) this.#terminal.stderr.write(ERASE)
    this.#timer?.cancel()
    this.#timer = null
    this.#text = null
  }

  get #drawn(): boolean {
    return this.#timer !== null
  }

  #draw(): void {
    this.#timer?.cancel()
    const { stderr, clock } = this.#terminal
    const line = `${passed(clock.monotonic() - this.#since)}  ${harmless(this.#text ?? '')}`
    // One cell stays free: a full line would wrap on some terminals.
    stderr.write(`${ERASE}${fitTo(line, (stderr.columns ?? 80) - 1)}`)
    this.#timer = clock.after(EVERY_MS, () => this.#draw())
  }
}

/** `0:07`, `12:03`, `1:02:03` */
function passed(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  const two = (value: number): string => String(value).padStart(2, '0')
  const minutes = Math.floor(seconds / 60)
  const hours = Math.floor(minutes / 60)
  return hours === 0 ? `${minutes}:${two(seconds % 60)}` : `${hours}:${two(minutes % 60)}:${two(seconds % 60)}`
}
