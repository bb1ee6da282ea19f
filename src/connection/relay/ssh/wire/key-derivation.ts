// RFC 4253 sections 7.2 and 8, all with SHA-256
import { createHash } from 'node:crypto'
import type { CipherGCMTypes } from 'node:crypto'
import { SshWriter } from '../../../../formats/openssh/ssh-bytes.ts'
import type { EncodedSecret } from './key-agreement.ts'
import type { CipherKeys } from './packet-codec.ts'

export interface ExchangeFacts {
  readonly clientIdent: string
  readonly serverIdent: string
  /** Payloads of the two KEXINIT */
  readonly clientInit: Buffer
  readonly serverInit: Buffer
  readonly hostKey: Uint8Array
  readonly clientValue: Buffer
  readonly serverValue: Buffer
  readonly secret: EncodedSecret
}

export function exchangeHash(facts: ExchangeFacts): Buffer {
  const writer = new SshWriter(8192).string(facts.clientIdent).string(facts.serverIdent)
  writer.string(facts.clientInit).string(facts.serverInit).string(facts.hostKey)
  writer.string(facts.clientValue).string(facts.serverValue).raw(facts.secret)
  return createHash('sha256').update(writer.toBuffer()).digest()
}

export type Direction = 'toServer' | 'toClient'
const LETTERS = { toServer: { iv: 'A', key: 'C' }, toClient: { iv: 'B', key: 'D' } } as const

export function deriveKeys(
  cipher: CipherGCMTypes,
  direction: Direction,
  secret: EncodedSecret,
  hash: Buffer,
  sessionId: Buffer,
): CipherKeys {
  const derive = (letter: string): Buffer =>
    createHash('sha256').update(secret).update(hash).update(letter, 'latin1').update(sessionId).digest()
  const letters = LETTERS[direction]
  const keySize = cipher === 'aes-256-gcm' ? 32 : 16
  return { cipher, key: derive(letters.key).subarray(0, keySize), iv: derive(letters.iv).subarray(0, 12) }
}
