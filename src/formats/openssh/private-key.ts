// The file ssh-keygen writes (OpenSSH PROTOCOL.key), unencrypted, ed25519 only:
// "openssh-key-v1\0" | string "none" | string "none" | string "" | u32 1 | string public | string inner
// inner: u32 check | u32 check | string "ssh-ed25519" | string pub[32] | string seed[32] pub[32] | string comment | 1 2 3 ...
import { createPrivateKey, randomBytes } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { FormatError } from '../format-error.ts'
import { publicKeyOf } from './public-key.ts'
import { SshReader, SshWriter } from './ssh-bytes.ts'

const MAGIC = Buffer.from('openssh-key-v1\0')
const BEGIN = '-----BEGIN OPENSSH PRIVATE KEY-----'
const END = '-----END OPENSSH PRIVATE KEY-----'
const MAX_FILE = 16_384
const BLOCK = 8

/** PEM text that stock ssh and ssh-keygen read. `key` is a private Ed25519 key. */
export function writePrivateKey(key: KeyObject, comment: string): string {
  const seed = key.export({ format: 'jwk' }).d
  const publicKey = publicKeyOf(key)
  if (publicKey.type !== 'ssh-ed25519' || seed === undefined) throw new FormatError('not a private ed25519 key')
  const point = publicKey.blob.subarray(-32)
  const check = randomBytes(4)
  const inner = new SshWriter().raw(check).raw(check).string('ssh-ed25519').string(point)
  inner.string(Buffer.concat([Buffer.from(seed, 'base64url'), point])).string(comment)
  for (let pad = 1; inner.toBuffer().length % BLOCK !== 0; pad++) inner.u8(pad)
  const file = new SshWriter().raw(MAGIC).string('none').string('none').string('').u32(1)
  const base64 = file.string(publicKey.blob).string(inner.toBuffer()).toBuffer().toString('base64')
  return `${BEGIN}\n${base64.replace(/.{1,70}/g, '$&\n')}${END}\n`
}

/** Reads what writePrivateKey or `ssh-keygen -t ed25519 -N ''` wrote. Throws FormatError. */
export function readPrivateKey(pem: string): { readonly key: KeyObject; readonly comment: string } {
  const reader = new SshReader(unarmoured(pem))
  if (!readBytes(reader, MAGIC.length).equals(MAGIC)) throw new FormatError('not an OpenSSH private key')
  if (reader.text(64) !== 'none' || reader.text(64) !== 'none' || reader.string(1024).length > 0) {
    throw new FormatError('the key is protected by a passphrase')
  }
  if (reader.u32() !== 1) throw new FormatError('the file holds more than one key')
  const publicBlob = reader.string(1024)
  const inner = new SshReader(reader.string(4096))
  reader.end()
  return readInner(inner, publicBlob)
}

function readInner(inner: SshReader, publicBlob: Buffer): { key: KeyObject; comment: string } {
  if (inner.u32() !== inner.u32()) throw new FormatError('check numbers differ')
  if (inner.text(64) !== 'ssh-ed25519') throw new FormatError('not an ed25519 key')
  const point = inner.string(32)
  const secret = inner.string(64)
  const comment = inner.text(1024)
  if (point.length !== 32 || secret.length !== 64) throw new FormatError('key of a wrong length')
  for (let pad = 1; inner.left > 0; pad++) if (inner.u8() !== pad || pad >= BLOCK) throw new FormatError('bad padding')
  const jwk = { kty: 'OKP', crv: 'Ed25519', d: secret.toString('base64url', 0, 32), x: point.toString('base64url') }
  const key = privateKeyFrom(jwk)
  // A file whose halves belong to different keys would make signatures that leak the private one.
  const blob = publicKeyOf(key).blob
  const halvesAgree = blob.subarray(-32).equals(point) && secret.subarray(32).equals(point)
  if (!blob.equals(publicBlob) || !halvesAgree) throw new FormatError('public and private half differ')
  return { key, comment }
}

function privateKeyFrom(jwk: { kty: string; crv: string; d: string; x: string }): KeyObject {
  try {
    return createPrivateKey({ key: jwk, format: 'jwk' })
  } catch {
    throw new FormatError('not a valid key')
  }
}

function unarmoured(pem: string): Buffer {
  if (pem.length > MAX_FILE) throw new FormatError('private key file too long')
  const lines = pem.trim().split(/\r?\n/)
  if (lines[0] !== BEGIN || lines.at(-1) !== END) throw new FormatError('not an OpenSSH private key')
  const base64 = lines.slice(1, -1).join('')
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) throw new FormatError('not base64')
  return Buffer.from(base64, 'base64')
}

function readBytes(reader: SshReader, count: number): Buffer {
  const at = reader.position
  reader.skip(count)
  return reader.bytes.subarray(at, at + count)
}
