import { EXIT, type ExitName } from '../../contract/errors.ts'

/** A command that cannot go on, in words for the person who typed it. `hint` names the next command. */
export class CommandFailed extends Error {
  override readonly name = 'CommandFailed'
  readonly exit: number
  readonly hint: string | undefined

  constructor(exit: ExitName, message: string, hint?: string) {
    super(message)
    this.exit = EXIT[exit]
    this.hint = hint
  }
}
