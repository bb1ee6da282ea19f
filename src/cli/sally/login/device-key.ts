import { generateKeyPairSync } from 'node:crypto'
import { writePrivateKey } from '../../../formats/openssh/private-key.ts'
import { formatPublicKeyLine, publicKeyOf } from '../../../formats/openssh/public-key.ts'

export interface DeviceKey {
  /** OpenSSH private key file, unencrypted: it works only with a certificate that lives for hours. */
  readonly privateFile: string
  readonly publicLine: string
}

/** A fresh Ed25519 key for each login; the private half never leaves the device. */
export function createDeviceKey(comment: string): DeviceKey {
  const { privateKey } = generateKeyPairSync('ed25519')
  return {
    privateFile: writePrivateKey(privateKey, comment),
    publicLine: formatPublicKeyLine(publicKeyOf(privateKey).blob, comment),
  }
}
