import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'

export interface ApplicationKey {
  readonly privateKey: KeyObject
  /** As the application's page shows it */
  readonly publicHex: string
}

export function applicationKey(): ApplicationKey {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const x = publicKey.export({ format: 'jwk' }).x ?? ''
  return { privateKey, publicHex: Buffer.from(x, 'base64url').toString('hex') }
}

/** `seconds`: since the epoch. */
export function signedHeaders(key: ApplicationKey, body: string | Uint8Array, seconds: number): Record<string, string> {
  const timestamp = String(seconds)
  const signature = sign(null, Buffer.concat([Buffer.from(timestamp), Buffer.from(body)]), key.privateKey)
  return { 'x-signature-ed25519': signature.toString('hex'), 'x-signature-timestamp': timestamp }
}
