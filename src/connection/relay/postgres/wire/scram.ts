// SCRAM-SHA-256 as a client (RFC 5802, RFC 7677), with channel binding `tls-server-end-point` (RFC 5929) over TLS.

import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { ProtocolError } from './protocol-error.ts'

export const SCRAM = 'SCRAM-SHA-256'
export const SCRAM_PLUS = 'SCRAM-SHA-256-PLUS'

/** A server may ask for as many rounds as it likes; our processor is ours. PostgreSQL's default is 4096. */
const MOST_ITERATIONS = 1_000_000
/** RFC 7677 asks for at least this many; fewer make a stolen exchange cheap to guess. */
const FEWEST_ITERATIONS = 4096
const LONGEST_MESSAGE = 4096

/** What the exchange is bound to. `hash`: of the server's certificate, as tls-server-end-point has it */
export type ChannelBinding =
  | { readonly kind: 'bound'; readonly hash: Uint8Array }
  /** TLS, but the server offers no -PLUS: it is told that we could, so that a removed offer is noticed */
  | { readonly kind: 'not_offered' }
  | { readonly kind: 'none' }

export interface ScramStart {
  readonly mechanism: string
  readonly first: string
  readonly binding: ChannelBinding
  readonly nonce: string
}

/** `nonce`: printable ASCII without commas, at least 18 random bytes */
export function startScram(
  mechanisms: readonly string[],
  certificateHash: Uint8Array | null,
  nonce: string,
): ScramStart {
  const isPlus = certificateHash !== null && mechanisms.includes(SCRAM_PLUS)
  if (!isPlus && !mechanisms.includes(SCRAM)) throw new ProtocolError('the server offers no SCRAM-SHA-256')
  const binding: ChannelBinding = isPlus
    ? { kind: 'bound', hash: certificateHash }
    : { kind: certificateHash === null ? 'none' : 'not_offered' }
  const first = `${gs2Header(binding)}${bare(nonce)}`
  return { mechanism: isPlus ? SCRAM_PLUS : SCRAM, first, binding, nonce }
}

export interface ScramChallenge {
  /** The client's and the server's nonce */
  readonly nonce: string
  readonly salt: Buffer
  readonly iterations: number
  /** server-first-message as it came: it is signed over */
  readonly text: string
}

const SERVER_FIRST = /^r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/]+={0,2}),i=([1-9][0-9]{0,8})(?:,.*)?$/

/** Errors: ProtocolError */
export function readChallenge(data: Buffer, start: ScramStart): ScramChallenge {
  const text = ascii(data)
  const [, nonce = '', salt = '', rounds = ''] = SERVER_FIRST.exec(text) ?? []
  const iterations = Number(rounds)
  if (nonce === '') throw new ProtocolError('malformed SCRAM challenge')
  if (!nonce.startsWith(start.nonce) || nonce.length === start.nonce.length) {
    throw new ProtocolError('the SCRAM challenge answers somebody else')
  }
  if (iterations < FEWEST_ITERATIONS || iterations > MOST_ITERATIONS) {
    throw new ProtocolError(`the server asks for ${iterations} SCRAM iterations`)
  }
  return { nonce, salt: Buffer.from(salt, 'base64'), iterations, text }
}

export interface ScramFinal {
  readonly message: string
  /** What the server must answer to have shown that it knows the password, too */
  readonly expected: Buffer
}

/** `saltedPassword`: PBKDF2-HMAC-SHA-256 of the password with the challenge's salt and iterations, 32 bytes */
export function finishScram(start: ScramStart, challenge: ScramChallenge, saltedPassword: Uint8Array): ScramFinal {
  const { binding } = start
  const channel = Buffer.concat([
    Buffer.from(gs2Header(binding)),
    binding.kind === 'bound' ? binding.hash : Buffer.alloc(0),
  ]).toString('base64')
  const withoutProof = `c=${channel},r=${challenge.nonce}`
  const signed = `${bare(start.nonce)},${challenge.text},${withoutProof}`
  const clientKey = hmac(saltedPassword, 'Client Key')
  const signature = hmac(createHash('sha256').update(clientKey).digest(), signed)
  const proof = clientKey.map((value, index) => value ^ (signature[index] ?? 0))
  const expected = hmac(hmac(saltedPassword, 'Server Key'), signed)
  return { message: `${withoutProof},p=${Buffer.from(proof).toString('base64')}`, expected }
}

/** Errors: ProtocolError where the server does not know the password. */
export function checkServerSignature(data: Buffer, final: ScramFinal): void {
  const [, signature = ''] = /^v=([A-Za-z0-9+/]+={0,2})(?:,.*)?$/.exec(ascii(data)) ?? []
  const given = Buffer.from(signature, 'base64')
  if (given.length !== final.expected.length || !timingSafeEqual(given, final.expected)) {
    throw new ProtocolError('the server did not prove that it knows the password')
  }
}

/** The user name is the one of the startup message: PostgreSQL ignores the one here, and so libpq leaves it out. */
const bare = (nonce: string): string => `n=,r=${nonce}`

function gs2Header({ kind }: ChannelBinding): string {
  if (kind === 'bound') return 'p=tls-server-end-point,,'
  return kind === 'not_offered' ? 'y,,' : 'n,,'
}

const hmac = (key: Uint8Array, data: string): Buffer => createHmac('sha256', key).update(data).digest()

function ascii(data: Buffer): string {
  if (data.length > LONGEST_MESSAGE) throw new ProtocolError('SCRAM message too long')
  return data.toString('latin1')
}
