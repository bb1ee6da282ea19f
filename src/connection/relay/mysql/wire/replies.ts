// OK:  u8 0x00 (0xfe at the end of rows) | lenenc affected rows | lenenc last id | u16 status | u16 warnings | text
// ERR: u8 0xff | u16 code | '#' | 5 bytes SQLSTATE | text        (before the sign-in some servers leave '#' and SQLSTATE out)
// EOF: u8 0xfe | u16 warnings | u16 status
import { MysqlReader, u16 } from './mysql-bytes.ts'
import { ProtocolError, type ErrorCode } from './protocol-error.ts'

export const STATUS = { MORE_RESULTS: 8, CURSOR_EXISTS: 0x40 } as const
/** Clients keep no more of a text. */
export const LONGEST_TEXT = 512
const HASH = 0x23

export interface ServerError extends ErrorCode {
  readonly text: string
}

export function writeError({ code, state }: ErrorCode, text: string): Buffer {
  return Buffer.concat([Buffer.from([0xff]), u16(code), Buffer.from(`#${state}`, 'latin1'), shortened(text)])
}

/** Whole characters, at most 512 bytes less the NUL that clients put behind. */
function shortened(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8')
  if (bytes.length < LONGEST_TEXT) return bytes
  let end = LONGEST_TEXT - 1
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--
  return bytes.subarray(0, end)
}

/** A server's error, as much of it as is there. */
export function readError(payload: Buffer): ServerError {
  const reader = new MysqlReader(payload)
  if (reader.u8() !== 0xff) throw new ProtocolError('an error was expected')
  const code = reader.left >= 2 ? reader.u16() : 0
  const hasState = reader.left >= 6 && payload[reader.position] === HASH
  const state = hasState ? reader.raw(6).toString('latin1', 1) : 'HY000'
  return { code, state, text: reader.rest().subarray(0, LONGEST_TEXT).toString('utf8') }
}

export interface Okay {
  readonly affectedRows: number
  readonly status: number
}

/** The front of an OK packet, in either of its headers. */
export function readOkay(payload: Buffer): Okay {
  const reader = new MysqlReader(payload, 1)
  const affectedRows = reader.lenenc()
  reader.lenenc()
  return { affectedRows, status: reader.u16() }
}

export function readEofStatus(payload: Buffer): number {
  return new MysqlReader(payload, 3).u16()
}
