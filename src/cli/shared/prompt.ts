import { CommandFailed } from './command-failed.ts'
import { Interrupted, type Terminal } from './terminal.ts'

/** Questions to a person. Every caller has a way without: an option, a variable or stdin. */
export interface Prompt {
  text(question: string): Promise<string>
  secret(question: string): Promise<string>
  confirm(question: string): Promise<boolean>
}

/** Questions go to stderr: stdout belongs to the result. Ctrl-C rejects with the terminal's interruption. */
export function terminalPrompt(terminal: Terminal): Prompt {
  // Loaded at the first question: most commands ask none.
  const ask = async <T>(show: (clack: typeof import('@clack/prompts')) => Promise<T | symbol>): Promise<T> => {
    const clack = await import('@clack/prompts')
    const answer = await show(clack)
    if (clack.isCancel(answer)) throw interruption(terminal)
    return answer as T
  }
  const output = process.stderr
  return {
    text: (message) => ask<string>((clack) => clack.text({ message, output, defaultValue: '' })),
    secret: (message) => ask<string>((clack) => clack.password({ message, output })),
    confirm: (message) => ask<boolean>((clack) => clack.confirm({ message, output, initialValue: false })),
  }
}

function interruption(terminal: Terminal): Error {
  return terminal.interrupted.aborted ? (terminal.interrupted.reason as Error) : new Interrupted()
}

const LONGEST_INPUT = 64 * 1024

/** The first line of what was piped in, for `--password-stdin`. */
export async function readFirstLine(stdin: NodeJS.ReadableStream): Promise<string> {
  return (await readAll(stdin)).split(/\r?\n/, 1)[0] ?? ''
}

/** All of stdin as UTF-8, at most 64 KiB unless told otherwise. */
export async function readAll(stdin: NodeJS.ReadableStream, limit = LONGEST_INPUT): Promise<string> {
  const parts: Buffer[] = []
  let length = 0
  for await (const chunk of stdin) {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
    length += bytes.length
    if (length > limit) throw new CommandFailed('usage', `more than ${limit / 1024} KiB on standard input`)
    parts.push(bytes)
  }
  return Buffer.concat(parts).toString('utf8')
}
