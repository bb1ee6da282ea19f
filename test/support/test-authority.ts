import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { tlsAuthorityCertificate, tlsLeaf } from '../../src/identity/tls-certificates.ts'
import {
  databaseX509Certificate,
  userX509Certificate,
  type UserX509Input,
} from '../../src/identity/x509-certificates.ts'

export interface KeyAndCertificate {
  readonly keyPem: string
  readonly certificatePem: string
}

/** An X.509 authority of a test's own, with whatever it may sign. */
export class TestAuthority {
  readonly privateKey: KeyObject
  readonly certificatePem: string

  private constructor(privateKey: KeyObject, certificatePem: string) {
    this.privateKey = privateKey
    this.certificatePem = certificatePem
  }

  static async make(name: string): Promise<TestAuthority> {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    return new TestAuthority(privateKey, await tlsAuthorityCertificate(privateKey, name, Date.now()))
  }

  server(names: readonly string[]): Promise<KeyAndCertificate> {
    return tlsLeaf(this, names, Date.now())
  }

  /** A person's certificate, with a new key. */
  async user(installation: string, input: Omit<UserX509Input, 'publicKey'>): Promise<KeyAndCertificate> {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const spki = new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }))
    const certificatePem = userX509Certificate(this, installation, { ...input, publicKey: spki })
    return { keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), certificatePem }
  }

  /** DER. */
  databaseClient(
    installation: string,
    input: { publicKey: Uint8Array; dbUser: string; sessionId: string },
  ): Promise<Uint8Array> {
    const made = databaseX509Certificate(this, installation, { ...input, now: Date.now() })
    return Promise.resolve(new Uint8Array(made))
  }
}
