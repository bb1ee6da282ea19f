// curve25519-sha256: RFC 8731.  mlkem768x25519-sha256: draft-ietf-sshm-mlkem-hybrid-kex, where the client sends
// mlkem public[1184] | x25519 public[32], the server answers mlkem ciphertext[1088] | x25519 public[32].
import {
  createHash,
  createPublicKey,
  decapsulate,
  diffieHellman,
  encapsulate,
  generateKeyPairSync,
  timingSafeEqual,
} from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { SshWriter } from '../../../../formats/openssh/ssh-bytes.ts'
import type { KexName } from './kex-init.ts'
import { DISCONNECT_REASON } from './messages.ts'
import { ProtocolError } from './protocol-error.ts'

const X25519 = { size: 32, spki: Buffer.from('302a300506032b656e032100', 'hex') }
const MLKEM = {
  publicSize: 1184,
  ciphertextSize: 1088,
  spki: Buffer.from('308204b2300b0609608648016503040402038204a100', 'hex'),
}
/** The longest value either side sends */
export const MAX_EXCHANGE_VALUE = MLKEM.publicSize + X25519.size

/** Encoded as it enters the exchange hash: an mpint for curve25519, a string for the hybrid. */
export type EncodedSecret = Buffer

export interface ClientOffer {
  readonly publicValue: Buffer
  /** Throws ProtocolError for a value that is no answer to the offer. */
  finish(serverValue: Buffer): EncodedSecret
}

export function offerAgreement(name: KexName): ClientOffer {
  const curve = generateKeyPairSync('x25519')
  const curvePublic = rawPublic(curve.publicKey, X25519.size)
  if (name !== 'mlkem768x25519-sha256') {
    return { publicValue: curvePublic, finish: (value) => encodeCurve(curveSecret(curve.privateKey, value)) }
  }
  const kem = generateKeyPairSync('ml-kem-768')
  return {
    publicValue: Buffer.concat([rawPublic(kem.publicKey, MLKEM.publicSize), curvePublic]),
    finish(value) {
      if (value.length !== MLKEM.ciphertextSize + X25519.size) throw badValue()
      const shared = decapsulate(kem.privateKey, value.subarray(0, MLKEM.ciphertextSize))
      return encodeHybrid(shared, curveSecret(curve.privateKey, value.subarray(MLKEM.ciphertextSize)))
    },
  }
}

export function answerAgreement(
  name: KexName,
  clientValue: Buffer,
): { readonly publicValue: Buffer; readonly secret: EncodedSecret } {
  const curve = generateKeyPairSync('x25519')
  const curvePublic = rawPublic(curve.publicKey, X25519.size)
  if (name !== 'mlkem768x25519-sha256') {
    return { publicValue: curvePublic, secret: encodeCurve(curveSecret(curve.privateKey, clientValue)) }
  }
  if (clientValue.length !== MAX_EXCHANGE_VALUE) throw badValue()
  const kemPublic = publicKey(MLKEM.spki, clientValue.subarray(0, MLKEM.publicSize))
  const { sharedKey, ciphertext } = encapsulate(kemPublic)
  const secret = encodeHybrid(sharedKey, curveSecret(curve.privateKey, clientValue.subarray(MLKEM.publicSize)))
  return { publicValue: Buffer.concat([ciphertext, curvePublic]), secret }
}

function encodeCurve(secret: Buffer): EncodedSecret {
  return new SshWriter(40).mpint(secret).toBuffer()
}

function encodeHybrid(kemSecret: Uint8Array, curve: Buffer): EncodedSecret {
  return new SshWriter(40).string(createHash('sha256').update(kemSecret).update(curve).digest()).toBuffer()
}

function curveSecret(privateKey: KeyObject, peerValue: Buffer): Buffer {
  if (peerValue.length !== X25519.size) throw badValue()
  const peer = publicKey(X25519.spki, peerValue)
  let secret: Buffer
  try {
    secret = diffieHellman({ privateKey, publicKey: peer })
  } catch {
    throw badValue()
  }
  // All zero comes of a point of small order, which lets the peer choose the secret (RFC 8731 section 3).
  if (timingSafeEqual(secret, Buffer.alloc(X25519.size))) throw badValue()
  return secret
}

function rawPublic(key: KeyObject, size: number): Buffer {
  return key.export({ type: 'spki', format: 'der' }).subarray(-size)
}

function publicKey(spkiPrefix: Buffer, raw: Buffer): KeyObject {
  try {
    return createPublicKey({ key: Buffer.concat([spkiPrefix, raw]), format: 'der', type: 'spki' })
  } catch {
    throw badValue()
  }
}

function badValue(): ProtocolError {
  return new ProtocolError('bad key exchange value', DISCONNECT_REASON.KEY_EXCHANGE_FAILED)
}
