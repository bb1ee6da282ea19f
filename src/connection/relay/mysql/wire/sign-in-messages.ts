// What a server says while a client signs in.
// AuthSwitchRequest: u8 0xfe | nul-text method | data        AuthMoreData: u8 0x01 | data
import { MysqlReader, nulText } from './mysql-bytes.ts'
import { ProtocolError } from './protocol-error.ts'
import { readError, type ServerError } from './replies.ts'

/** Of caching_sha2_password */
export const FAST_OK = 3
export const FULL_SIGN_IN = 4

export type SignInMessage =
  | { readonly kind: 'ok' }
  | { readonly kind: 'error'; readonly error: ServerError }
  | { readonly kind: 'switch'; readonly method: string; readonly data: Buffer }
  | { readonly kind: 'more'; readonly data: Buffer }

export function readSignInMessage(payload: Buffer): SignInMessage {
  switch (payload[0]) {
    case 0x00:
      return { kind: 'ok' }
    case 0xff:
      return { kind: 'error', error: readError(payload) }
    case 0x01:
      return { kind: 'more', data: payload.subarray(1) }
    case 0xfe:
      return readSwitch(payload)
    default:
      throw new ProtocolError('the server answers the sign-in with something unknown')
  }
}

function readSwitch(payload: Buffer): SignInMessage {
  if (payload.length === 1)
    throw new ProtocolError('the server asks for the password hash from before 4.1, which is refused')
  const reader = new MysqlReader(payload, 1)
  return { kind: 'switch', method: reader.upToNul(64).toString('latin1'), data: reader.rest() }
}

export const writeSwitch = (method: string, scramble: Buffer): Buffer =>
  Buffer.concat([Buffer.from([0xfe]), nulText(method), scramble, Buffer.from([0])])

export const writeMore = (code: number): Buffer => Buffer.from([1, code])
