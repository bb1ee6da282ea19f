import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import type { KeyEncryptionKey } from './key-encryption.ts'

// Envelope encryption. Text form, all parts but the first two base64url:
//   s1 . key id (16 hex) . wrapped data key (12 nonce | 32 cipher text | 16 tag) . value (12 nonce | n cipher text | 16 tag)
// Both layers are AES-256-GCM and authenticate where the value belongs: a value moved to another row or column does not open.

const VERSION = 's1'
const NONCE = 12
const TAG = 16
const DATA_KEY = 32
const LONGEST = 1_048_576

/** Where a sealed value lives. */
export interface SealedPlace {
  readonly table: string
  readonly row: string
  readonly column: string
}

export interface Sealer {
  readonly keyId: string
  seal(place: SealedPlace, value: Uint8Array): string
  /** Throws SealError when the value is damaged, of another place or sealed with another key. */
  unseal(place: SealedPlace, sealed: string): Buffer
}

export class SealError extends Error {
  override readonly name = 'SealError'
}

export function createSealer({ id, key }: KeyEncryptionKey): Sealer {
  return {
    keyId: id,
    seal(place, value) {
      const dataKey = randomBytes(DATA_KEY)
      const wrapped = encrypt(key, associatedData('key', id, place), dataKey)
      const body = encrypt(dataKey, associatedData('value', id, place), value)
      dataKey.fill(0)
      return `${VERSION}.${id}.${wrapped.toString('base64url')}.${body.toString('base64url')}`
    },
    unseal(place, sealed) {
      const { keyId, wrapped, body } = parseSealed(sealed)
      if (keyId !== id)
        throw new SealError(`${place.table}.${place.column} was sealed with key ${keyId}, this daemon has ${id}`)
      try {
        const dataKey = decrypt(key, associatedData('key', id, place), wrapped)
        const value = decrypt(dataKey, associatedData('value', id, place), body)
        dataKey.fill(0)
        return value
      } catch {
        throw new SealError(`${place.table}.${place.column} of ${place.row} cannot be opened: altered or moved`)
      }
    },
  }
}

function parseSealed(sealed: string): { keyId: string; wrapped: Buffer; body: Buffer } {
  if (sealed.length > LONGEST) throw new SealError('a sealed value is too long')
  const match = /^s1\.([0-9a-f]{16})\.([A-Za-z0-9_-]{80})\.([A-Za-z0-9_-]{38,})$/.exec(sealed)
  if (!match) throw new SealError('a sealed value is damaged')
  const [, keyId = '', wrapped = '', body = ''] = match
  return { keyId, wrapped: Buffer.from(wrapped, 'base64url'), body: Buffer.from(body, 'base64url') }
}

function associatedData(layer: 'key' | 'value', keyId: string, place: SealedPlace): Buffer {
  return Buffer.from(JSON.stringify(['sallyport sealed', VERSION, layer, keyId, place.table, place.row, place.column]))
}

function encrypt(key: KeyObject | Buffer, aad: Buffer, value: Uint8Array): Buffer {
  const nonce = randomBytes(NONCE)
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG }).setAAD(aad)
  return Buffer.concat([nonce, cipher.update(value), cipher.final(), cipher.getAuthTag()])
}

function decrypt(key: KeyObject | Buffer, aad: Buffer, box: Buffer): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, box.subarray(0, NONCE), { authTagLength: TAG })
    .setAAD(aad)
    .setAuthTag(box.subarray(box.length - TAG))
  return Buffer.concat([decipher.update(box.subarray(NONCE, box.length - TAG)), decipher.final()])
}
