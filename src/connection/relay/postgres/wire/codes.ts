// Type bytes and limits of protocol 3 (PostgreSQL documentation, "Message Formats").

const byte = (letter: string): number => letter.charCodeAt(0)

export const FROM_CLIENT = {
  bind: byte('B'),
  close: byte('C'),
  copyData: byte('d'),
  copyDone: byte('c'),
  copyFail: byte('f'),
  describe: byte('D'),
  execute: byte('E'),
  flush: byte('H'),
  functionCall: byte('F'),
  parse: byte('P'),
  password: byte('p'),
  query: byte('Q'),
  sync: byte('S'),
  terminate: byte('X'),
} as const

export const FROM_SERVER = {
  authentication: byte('R'),
  bindComplete: byte('2'),
  closeComplete: byte('3'),
  commandComplete: byte('C'),
  copyBoth: byte('W'),
  copyData: byte('d'),
  copyDone: byte('c'),
  copyIn: byte('G'),
  copyOut: byte('H'),
  dataRow: byte('D'),
  emptyQuery: byte('I'),
  error: byte('E'),
  functionResult: byte('V'),
  keyData: byte('K'),
  negotiateVersion: byte('v'),
  noData: byte('n'),
  notice: byte('N'),
  notification: byte('A'),
  parameterDescription: byte('t'),
  parameterStatus: byte('S'),
  parseComplete: byte('1'),
  portalSuspended: byte('s'),
  ready: byte('Z'),
  rowDescription: byte('T'),
} as const

/** Codes in place of a protocol version in the first packet of a connection */
export const OPENING_CODE = { cancel: 80877102, ssl: 80877103, gss: 80877104 } as const

export const SQLSTATE = {
  notice: '01000',
  protocolViolation: '08P01',
  connectionFailure: '08006',
  cannotConnect: '08001',
  invalidAuthorization: '28000',
  insufficientPrivilege: '42501',
  featureNotSupported: '0A000',
  tooManyConnections: '53300',
  adminShutdown: '57P01',
  internal: 'XX000',
} as const

/** Of the first packet of a connection, as the server itself limits it */
export const LONGEST_OPENING = 10_000
/** Of one message, its length field included: what the server itself can hold (1 GiB less one) */
export const LONGEST_MESSAGE = 0x3fffffff
/** Type byte and length field */
export const HEADER = 5
/** Highest minor version of protocol 3 that is spoken with clients. 3.2 lengthens the key of a cancel request, nothing else. */
export const NEWEST_MINOR = 2
