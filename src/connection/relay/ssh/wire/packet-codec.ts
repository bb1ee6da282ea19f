// u32 length | body | tag[16]      body: u8 padding length | payload | padding (RFC 4253 section 6, RFC 5647 section 7)
// length counts the body. With AES-GCM it is sent in clear and authenticated; before the first NEWKEYS there is no tag.
import { createCipheriv, createDecipheriv, createSecretKey, randomFillSync } from 'node:crypto'
import type { CipherGCM, CipherGCMTypes, DecipherGCM, KeyObject } from 'node:crypto'
import { ownBytes } from '../../../../formats/own-bytes.ts'
import { DISCONNECT_REASON } from './messages.ts'
import { ProtocolError } from './protocol-error.ts'

export const TAG = 16
const MIN_PADDING = 4

/** Makes what the next packet needs while there is time: an AES-GCM object serves one packet and is slow to make. */
interface Preparing {
  prepare(): void
  /** Drops it again: an idle connection should not hold it. */
  rest(): void
}

export type Room = (bytes: number) => Buffer

export const roomOfItsOwn: Room = (bytes) => Buffer.allocUnsafeSlow(bytes)

/** Turns bodies into frames of one direction, under one set of keys. */
export interface Sealer extends Preparing {
  /** The body's length is a multiple of this when the length field is not counted (GCM) or with the length field (clear). */
  readonly isEncrypting: boolean
  /** `room`: gives memory for the frame */
  seal(body: Buffer, room?: Room): Buffer
}

/** Turns frames back into bodies. */
export interface Opener extends Preparing {
  readonly tagLength: 0 | 16
  /** `frame` is complete; its length field was already checked. The body has memory of its own when it was encrypted. */
  open(frame: Buffer): Buffer
}

export interface CipherKeys {
  readonly cipher: CipherGCMTypes
  readonly key: Buffer
  /** 12 bytes: four fixed, eight that count packets */
  readonly iv: Buffer
}

const nothingToPrepare: Preparing = { prepare() {}, rest() {} }

export const clearSealer: Sealer = {
  ...nothingToPrepare,
  isEncrypting: false,
  seal(body, room = roomOfItsOwn) {
    const frame = room(4 + body.length)
    frame.writeUInt32BE(body.length, 0)
    frame.set(body, 4)
    return frame
  },
}

export const clearOpener: Opener = { ...nothingToPrepare, tagLength: 0, open: (frame) => frame.subarray(4) }

/** A key object: with raw bytes createCipheriv makes one each time, which costs five times as much as the rest of it. */
function secretKey(keys: CipherKeys): KeyObject {
  return createSecretKey(keys.key)
}

export class GcmSealer implements Sealer {
  readonly isEncrypting = true
  readonly #cipher: CipherGCMTypes
  readonly #key: KeyObject
  readonly #iv: Buffer
  #next: CipherGCM | null = null

  constructor(keys: CipherKeys) {
    this.#cipher = keys.cipher
    this.#key = secretKey(keys)
    this.#iv = ownBytes(keys.iv)
  }

  prepare(): void {
    this.#next ??= createCipheriv(this.#cipher, this.#key, this.#iv)
  }

  rest(): void {
    this.#next = null
  }

  seal(body: Buffer, room = roomOfItsOwn): Buffer {
    const length = body.length
    const frame = room(4 + length + TAG)
    frame.writeUInt32BE(length, 0)
    const cipher = this.#next ?? createCipheriv(this.#cipher, this.#key, this.#iv)
    this.#next = null
    cipher.setAAD(frame.subarray(0, 4))
    frame.set(cipher.update(body), 4)
    cipher.final()
    frame.set(cipher.getAuthTag(), 4 + length)
    countUp(this.#iv)
    return frame
  }
}

export class GcmOpener implements Opener {
  readonly tagLength = TAG
  readonly #cipher: CipherGCMTypes
  readonly #key: KeyObject
  readonly #iv: Buffer
  #next: DecipherGCM | null = null

  constructor(keys: CipherKeys) {
    this.#cipher = keys.cipher
    this.#key = secretKey(keys)
    this.#iv = ownBytes(keys.iv)
  }

  prepare(): void {
    this.#next ??= createDecipheriv(this.#cipher, this.#key, this.#iv)
  }

  rest(): void {
    this.#next = null
  }

  open(frame: Buffer): Buffer {
    const tagAt = frame.length - TAG
    const decipher = this.#next ?? createDecipheriv(this.#cipher, this.#key, this.#iv)
    this.#next = null
    decipher.setAAD(frame.subarray(0, 4))
    decipher.setAuthTag(frame.subarray(tagAt))
    const body = decipher.update(frame.subarray(4, tagAt))
    try {
      decipher.final()
    } catch {
      throw new ProtocolError('packet is not authentic', DISCONNECT_REASON.MAC_ERROR)
    }
    countUp(this.#iv)
    return body
  }
}

/** The invocation counter, the last eight bytes, goes up by one (RFC 5647 section 7.1). */
function countUp(iv: Buffer): void {
  const low = (iv.readUInt32BE(8) + 1) >>> 0
  iv.writeUInt32BE(low, 8)
  if (low === 0) iv.writeUInt32BE((iv.readUInt32BE(4) + 1) >>> 0, 4)
}

/** A body for `payload` with fresh padding. */
export function bodyOf(payload: Uint8Array, isEncrypting: boolean): Buffer {
  const block = isEncrypting ? 16 : 8
  const counted = payload.length + (isEncrypting ? 1 : 5)
  let padding = block - (counted % block)
  if (padding < MIN_PADDING) padding += block
  const body = Buffer.allocUnsafe(1 + payload.length + padding)
  body[0] = padding
  body.set(payload, 1)
  randomFillSync(body, 1 + payload.length, padding)
  return body
}

/** The payload within a body. Throws for padding that does not fit, or for an empty payload. */
export function payloadOf(body: Buffer): Buffer {
  const padding = body[0] ?? 0
  if (padding < MIN_PADDING || padding + 2 > body.length) throw new ProtocolError('bad padding')
  return body.subarray(1, body.length - padding)
}
