import { isatty } from 'node:tty'
import { systemClock, type Clock } from '../../foundation/clock.ts'

/** Everything a command line touches outside itself; tests give their own. */
export interface Terminal {
  readonly stdout: Screen
  readonly stderr: Screen
  readonly stdin: NodeJS.ReadableStream
  readonly env: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  /** A person sits there: questions may be asked. */
  readonly interactive: boolean
  /** Aborted by Ctrl-C or a request to stop. */
  readonly interrupted: AbortSignal
}

export interface Screen {
  write(text: string): void
  /** Cells per line; null when it is no terminal. */
  readonly columns: number | null
}

/** The process's own terminal. `SALLY_NONINTERACTIVE` or `CI` set: no questions even on a terminal. */
export function processTerminal(): Terminal {
  const interrupt = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      // The second time the person means it.
      if (interrupt.signal.aborted) process.exit(130)
      interrupt.abort(new Interrupted())
    })
  }
  const { env } = process
  const quiet = (env['SALLY_NONINTERACTIVE'] ?? '') !== '' || (env['CI'] ?? '') !== ''
  return {
    stdout: screen(() => process.stdout),
    stderr: screen(() => process.stderr),
    get stdin() {
      return process.stdin
    },
    env,
    clock: systemClock,
    interactive: !quiet && isatty(0) && isatty(2),
    interrupted: interrupt.signal,
  }
}

/** Ctrl-C. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted'
}

/** The streams are made at the first use: most starts use one of them. */
function screen(stream: () => NodeJS.WriteStream): Screen {
  const open = once(() => {
    // `sally ls | head`: the reader has left, which is no failure of ours.
    const opened = stream()
    opened.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))
    return opened
  })
  return {
    write: (text) => void open().write(text),
    get columns() {
      const { isTTY, columns } = open()
      return isTTY === true ? (columns ?? 80) : null
    },
  }
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined
  return () => (made ??= { value: make() }).value
}

/** Colours only on a terminal, and never against NO_COLOR (no-color.org: present and not empty). */
export function painter(terminal: Terminal, screenToPaint: Screen): (colour: Colour, text: string) => string {
  const wanted =
    screenToPaint.columns !== null && (terminal.env['NO_COLOR'] ?? '') === '' && terminal.env['TERM'] !== 'dumb'
  return (colour, text) => (wanted ? `\x1b[${CODES[colour]}m${text}\x1b[0m` : text)
}

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 } as const
export type Colour = keyof typeof CODES
