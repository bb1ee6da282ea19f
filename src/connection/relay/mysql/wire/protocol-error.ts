/** What the client is shown: number and SQLSTATE of the server's own list of errors. */
export interface ErrorCode {
  readonly code: number
  /** Five characters */
  readonly state: string
}

export const ERROR = {
  badHandshake: { code: 1043, state: '08S01' },
  accessDenied: { code: 1045, state: '28000' },
  unknownThread: { code: 1094, state: 'HY000' },
  packetsOutOfOrder: { code: 1156, state: '08S01' },
  notPermitted: { code: 1227, state: '42000' },
  malformedPacket: { code: 1835, state: 'HY000' },
  /** Number of MariaDB; MySQL's clients show any number */
  connectionKilled: { code: 1927, state: '70100' },
  /** ER_UNKNOWN_ERROR. Numbers from 2000 to 2999 are the clients' own: they take them for a malformed packet. */
  noServer: { code: 1105, state: 'HY000' },
  tlsRequired: { code: 3159, state: 'HY000' },
} as const satisfies Record<string, ErrorCode>

/** A peer does what the protocol forbids, or what we have not agreed to. The message is shown to the client. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'
  readonly shown: ErrorCode

  constructor(message: string, shown: ErrorCode = ERROR.malformedPacket) {
    super(message)
    this.shown = shown
  }
}
