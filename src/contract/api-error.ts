import type { ErrorBody } from './common.ts'
import { EXIT, REFUSALS, type RefusalCode } from './errors.ts'

/** `unreachable`: no answer. `bad_answer`: an answer that the contract does not know. Others come from the server. */
export type ApiErrorCode = RefusalCode | 'unreachable' | 'bad_answer' | (string & {})

export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly code: ApiErrorCode
  /** What to do next; never empty text. */
  readonly hint: string | undefined
  /** What a command that fails with it exits with. */
  readonly exit: number
  /** Finds the line in the daemon's log. */
  readonly logId: string | undefined
  readonly details: Readonly<Record<string, unknown>>

  constructor(code: ApiErrorCode, message: string, rest: Partial<Omit<ErrorBody['error'], 'code' | 'message'>> = {}) {
    super(message)
    this.code = code
    this.hint = rest.hint === '' ? undefined : rest.hint
    this.logId = rest.id
    this.details = rest.details ?? {}
    this.exit = exitOf(code)
  }
}

function exitOf(code: string): number {
  if (!Object.hasOwn(REFUSALS, code)) return EXIT.failed
  return EXIT[REFUSALS[code as RefusalCode][1]]
}
