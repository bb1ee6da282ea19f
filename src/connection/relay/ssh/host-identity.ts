import type { KeyObject } from 'node:crypto'
import { CERTIFICATE_SUFFIX } from '../../../formats/openssh/algorithms.ts'
import { publicKeyOf } from '../../../formats/openssh/public-key.ts'
import { makeSignature } from '../../../formats/openssh/signature.ts'
import type { HostIdentity } from './wire/key-exchange.ts'

/** A host key that this process holds: shown as certificate where there is one and the client takes it, else plain. */
export function hostIdentityOf(privateKey: KeyObject, certificate: Uint8Array | null): HostIdentity {
  const { type, blob } = publicKeyOf(privateKey)
  const plain = { algorithm: type, blob }
  return {
    keys: certificate ? [{ algorithm: type + CERTIFICATE_SUFFIX, blob: certificate }, plain] : [plain],
    sign: (algorithm, data) => Promise.resolve(makeSignature(privateKey, algorithm, data)),
  }
}
