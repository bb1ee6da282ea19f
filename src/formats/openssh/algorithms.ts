// Which names belong together: the type inside a key blob, the algorithm a signature must have, the certificate's name.

export type SshKeyType =
  | 'ssh-ed25519'
  | 'ecdsa-sha2-nistp256'
  | 'ecdsa-sha2-nistp384'
  | 'ecdsa-sha2-nistp521'
  | 'ssh-rsa'

/** `ssh-rsa` (SHA-1) is a key type and no signature algorithm here. */
export type SignatureAlgorithm = Exclude<SshKeyType, 'ssh-rsa'> | 'rsa-sha2-256' | 'rsa-sha2-512'

export const CERTIFICATE_SUFFIX = '-cert-v01@openssh.com'

/** In the order we like them. */
export const SIGNATURE_ALGORITHMS: readonly SignatureAlgorithm[] = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
]

const KEY_TYPES: readonly string[] = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'ssh-rsa',
] satisfies SshKeyType[]

export function isKeyType(name: string): name is SshKeyType {
  return KEY_TYPES.includes(name)
}

export function isSignatureAlgorithm(name: string): name is SignatureAlgorithm {
  return (SIGNATURE_ALGORITHMS as readonly string[]).includes(name)
}

/** The signature algorithms a key of this type may use. */
export function signatureAlgorithmsOf(type: SshKeyType): readonly SignatureAlgorithm[] {
  return type === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256'] : [type]
}

export interface PublicKeyAlgorithm {
  /** What the signature must be made with */
  readonly signature: SignatureAlgorithm
  /** Type of the (plain) key */
  readonly keyType: SshKeyType
  /** The blob is a certificate */
  readonly isCertificate: boolean
}

/**
 * Takes apart a name as negotiated for host keys or sent in a publickey request: `ssh-ed25519-cert-v01@openssh.com`,
 * `rsa-sha2-512`. Null for everything else, SHA-1 included.
 */
export function publicKeyAlgorithm(name: string): PublicKeyAlgorithm | null {
  const isCertificate = name.endsWith(CERTIFICATE_SUFFIX)
  const signature = isCertificate ? name.slice(0, -CERTIFICATE_SUFFIX.length) : name
  if (!isSignatureAlgorithm(signature)) return null
  const keyType = signature === 'rsa-sha2-256' || signature === 'rsa-sha2-512' ? 'ssh-rsa' : signature
  return { signature, keyType, isCertificate }
}
