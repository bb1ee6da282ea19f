import type { RefusalCode } from '../contract/errors.ts'

/**
 * A refusal is an answer, not a crash: it is audited and shown, never reported as a bug.
 * `hint` names what to do next, in a sentence or as a command.
 */
export class Refused extends Error {
  override readonly name = 'Refused'
  readonly code: RefusalCode
  readonly hint: string | undefined
  readonly details: Readonly<Record<string, unknown>>

  constructor(code: RefusalCode, message: string, hint?: string, details: Readonly<Record<string, unknown>> = {}) {
    super(message)
    this.code = code
    this.hint = hint
    this.details = details
  }
}

/** A state or argument that our own code must never produce. */
export class Bug extends Error {
  override readonly name = 'Bug'
}
