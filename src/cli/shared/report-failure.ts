import { ApiError } from '../../contract/api-error.ts'
import { EXIT, REFUSALS } from '../../contract/errors.ts'
import { Refused } from '../../foundation/errors.ts'
import { CommandFailed } from './command-failed.ts'
import type { Format, Surroundings } from './command-context.ts'
import { escapeInQuotes, harmless } from './harmless.ts'
import { Interrupted } from './terminal.ts'

/** What a shell reports for a program that Ctrl-C ended. */
const INTERRUPTED = 130

interface Failure {
  readonly exit: number
  readonly code: string
  readonly message: string
  readonly hint: string | undefined
}

/** Tells on stderr what went wrong and what to do next; returns the exit code. */
export function reportFailure(error: unknown, { program, terminal }: Surroundings, format: Format): number {
  if (error instanceof Interrupted) return INTERRUPTED
  const failure = describe(error, program)
  if (format === 'json') {
    const { code, message, hint } = failure
    terminal.stderr.write(`${escapeInQuotes(JSON.stringify({ error: { code, message, hint } }))}\n`)
    return failure.exit
  }
  terminal.stderr.write(`${program}: ${harmless(failure.message)}\n`)
  if (failure.hint !== undefined) terminal.stderr.write(`  ${harmless(failure.hint)}\n`)
  if (failure.code === 'bug' && error instanceof Error && (terminal.env['SALLY_DEBUG'] ?? '') !== '')
    terminal.stderr.write(`${error.stack ?? ''}\n`)
  return failure.exit
}

function describe(error: unknown, program: string): Failure {
  if (error instanceof ApiError) {
    const hint = error.hint ?? defaultHint(error)
    return { exit: error.exit, code: error.code, message: error.message, hint }
  }
  if (error instanceof CommandFailed) {
    const code = Object.entries(EXIT).find(([, exit]) => exit === error.exit)?.[0] ?? 'failed'
    return { exit: error.exit, code, message: error.message, hint: error.hint }
  }
  if (error instanceof Refused)
    return { exit: EXIT[REFUSALS[error.code][1]], code: error.code, message: error.message, hint: error.hint }
  const message = error instanceof Error ? error.message : String(error)
  return { exit: EXIT.failed, code: 'bug', message, hint: `With SALLY_DEBUG=1 ${program} prints where it happened.` }
}

function defaultHint(error: ApiError): string | undefined {
  if (error.exit === EXIT.notSignedIn) return 'Run: sally login'
  if (error.logId !== undefined) return `The daemon's log has it under ${error.logId}.`
  return undefined
}
