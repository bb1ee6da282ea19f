import { SQLSTATE } from './codes.ts'

/** The peer did what the protocol forbids. The message is shown to a client, with the SQLSTATE. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'
  readonly sqlState: string

  constructor(message: string, sqlState: string = SQLSTATE.protocolViolation) {
    super(message)
    this.sqlState = sqlState
  }
}
