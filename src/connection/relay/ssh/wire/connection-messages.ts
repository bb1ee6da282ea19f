// RFC 4254. Channel messages all begin: byte message | uint32 recipient channel | ...
import { SshReader } from '../../../../formats/openssh/ssh-bytes.ts'
import { MESSAGE } from './messages.ts'
import { payload } from './payload.ts'
import { ProtocolError } from './protocol-error.ts'

/** RFC 4254 section 5.1 */
export const OPEN_FAILURE = { prohibited: 1, connectFailed: 2, unknownType: 3, resourceShortage: 4 } as const

export const STDERR = 1
const MAX_NAME = 64
const MAX_COMMAND = 128 * 1024
const MAX_ADDRESS = 1024

/** string type | uint32 sender channel | uint32 initial window | uint32 maximum packet | type's own fields */
export interface ChannelOpen {
  readonly type: string
  readonly sender: number
  readonly window: number
  readonly maxPacket: number
  /** Offset of `sender` in the payload; window and maximum packet follow it. */
  readonly senderAt: number
  readonly rest: SshReader
}

export function readChannelOpen(bytes: Buffer): ChannelOpen {
  const r = new SshReader(bytes, 1)
  const type = r.text(MAX_NAME)
  const senderAt = r.position
  return { type, senderAt, sender: r.u32(), window: r.u32(), maxPacket: r.u32(), rest: r }
}

/** uint32 recipient | uint32 sender channel | uint32 initial window | uint32 maximum packet | type's own fields */
export interface OpenConfirmation {
  readonly sender: number
  readonly window: number
  readonly maxPacket: number
}
export const CONFIRMATION_SENDER_AT = 5

export function readOpenConfirmation(bytes: Buffer): OpenConfirmation {
  const r = new SshReader(bytes, CONFIRMATION_SENDER_AT)
  return { sender: r.u32(), window: r.u32(), maxPacket: r.u32() }
}

export function openFailure(recipient: number, reason: number, text: string): Buffer {
  return payload(MESSAGE.CHANNEL_OPEN_FAILURE, recipient, reason, text, '')
}

/** The channel that a message from 91 to 100 is for. */
export function recipientOf(bytes: Buffer): number {
  if (bytes.length < 5) throw new ProtocolError('message cut short')
  return bytes.readUInt32BE(1)
}

/** uint32 recipient | string data */
export function dataOf(bytes: Buffer): Buffer {
  if (bytes.length < 9 || bytes.readUInt32BE(5) !== bytes.length - 9) throw new ProtocolError('wrong data length')
  return bytes.subarray(9)
}

/** uint32 recipient | uint32 kind (1 = stderr) | string data */
export function extendedDataOf(bytes: Buffer): Buffer {
  if (bytes.length < 13 || bytes.readUInt32BE(9) !== bytes.length - 13) throw new ProtocolError('wrong data length')
  if (bytes.readUInt32BE(5) !== STDERR) throw new ProtocolError('extended data that is not stderr')
  return bytes.subarray(13)
}

export function extendedData(recipient: number, bytes: Uint8Array): Buffer {
  return payload(MESSAGE.CHANNEL_EXTENDED_DATA, recipient, STDERR, bytes)
}

export const WINDOW_AMOUNT_AT = 5
/** uint32 recipient | uint32 bytes to add */
export function windowAmountOf(bytes: Buffer): number {
  const r = new SshReader(bytes, WINDOW_AMOUNT_AT)
  const amount = r.u32()
  r.end()
  return amount
}

export function windowAdjust(recipient: number, amount: number): Buffer {
  return payload(MESSAGE.CHANNEL_WINDOW_ADJUST, recipient, amount)
}

/** uint32 recipient, and nothing behind it: EOF, CLOSE, SUCCESS, FAILURE */
export function bare(message: number, recipient: number): Buffer {
  return payload(message, recipient)
}

export function mustBeBare(bytes: Buffer): void {
  if (bytes.length !== 5) throw new ProtocolError('bytes behind the end of the message')
}

/** uint32 recipient | string type | boolean want reply | type's own fields */
export interface ChannelRequest {
  readonly type: string
  readonly wantReply: boolean
  readonly rest: SshReader
}

export function readChannelRequest(bytes: Buffer): ChannelRequest {
  const r = new SshReader(bytes, 5)
  return { type: r.text(MAX_NAME), wantReply: r.bool(), rest: r }
}

/** string type | boolean want reply | type's own fields */
export function readGlobalRequest(bytes: Buffer): ChannelRequest {
  const r = new SshReader(bytes, 1)
  return { type: r.text(MAX_NAME), wantReply: r.bool(), rest: r }
}

/** string TERM | uint32 columns | uint32 rows | uint32 width | uint32 height | string modes */
export function readPty(r: SshReader): { readonly term: string; readonly columns: number; readonly rows: number } {
  const answer = { term: r.text(128), columns: r.u32(), rows: r.u32() }
  r.u32()
  r.u32()
  r.string(4096)
  r.end()
  return answer
}

/** uint32 columns | uint32 rows | uint32 width | uint32 height */
export function readWindowChange(r: SshReader): { readonly columns: number; readonly rows: number } {
  const answer = { columns: r.u32(), rows: r.u32() }
  r.u32()
  r.u32()
  r.end()
  return answer
}

/** string name | string value. Latin-1, because values may hold any byte. */
export function readEnv(r: SshReader): { readonly name: string; readonly value: string } {
  const answer = { name: r.string(256).toString('latin1'), value: r.string(8192).toString('latin1') }
  r.end()
  return answer
}

/** string command: bytes for a shell, not always UTF-8. */
export function readCommand(r: SshReader): Buffer {
  const command = r.string(MAX_COMMAND)
  r.end()
  return command
}

export function readSubsystem(r: SshReader): string {
  const name = r.text(MAX_NAME)
  r.end()
  return name
}

/** string host | uint32 port | string originator | uint32 originator's port */
export function readTcpForward(r: SshReader): { readonly host: string; readonly port: number } {
  const answer = { host: r.text(MAX_ADDRESS), port: r.u32() }
  r.text(MAX_ADDRESS)
  r.u32()
  r.end()
  return answer
}

/** direct: string path | string reserved | uint32 reserved; forwarded: string path | string reserved */
export function readStreamlocal(r: SshReader, direct: boolean): string {
  const path = r.text(MAX_ADDRESS)
  r.string(MAX_ADDRESS)
  if (direct) r.u32()
  r.end()
  return path
}

/** string address | uint32 port */
export function readTcpListen(r: SshReader): { readonly host: string; readonly port: number } {
  const answer = { host: r.text(MAX_ADDRESS), port: r.u32() }
  r.end()
  return answer
}

export function readStreamlocalListen(r: SshReader): string {
  const path = r.text(MAX_ADDRESS)
  r.end()
  return path
}

/** uint32 status */
export function readExitStatus(r: SshReader): number {
  const status = r.u32()
  r.end()
  return status
}

/** string signal without SIG | boolean core dumped | string message | string language */
export function readExitSignal(r: SshReader): string {
  return r.text(MAX_NAME)
}

export function signalRequest(recipient: number, signal: string): Buffer {
  return payload(MESSAGE.CHANNEL_REQUEST, recipient, 'signal', false, signal)
}

export function execRequest(recipient: number, wantReply: boolean, command: string): Buffer {
  return payload(MESSAGE.CHANNEL_REQUEST, recipient, 'exec', wantReply, command)
}

export function exitStatus(recipient: number, status: number): Buffer {
  return payload(MESSAGE.CHANNEL_REQUEST, recipient, 'exit-status', false, status)
}
