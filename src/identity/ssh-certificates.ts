import { generateKeyPairSync } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { isIP } from 'node:net'
import { LOGIN_SESSION_OPTION } from '../formats/openssh/check-certificate.ts'
import { mintCertificate } from '../formats/openssh/mint-certificate.ts'
import type { MintedCertificate } from '../formats/openssh/mint-certificate.ts'
import { parsePublicKey, publicKeyOf } from '../formats/openssh/public-key.ts'
import type { SshPublicKey } from '../formats/openssh/public-key.ts'
import { Bug } from '../foundation/errors.ts'

/** Principal of a person's certificate is this and the user's id. */
export const USER_PRINCIPAL_PREFIX = 'sallyport-user-'

const SKEW_MS = 60_000
const HOST_DAYS = 30
const DAY_MS = 86_400_000

export interface UserCertificateInput {
  readonly subject: SshPublicKey
  readonly userId: string
  readonly userName: string
  readonly loginId: string
  readonly now: number
  /** The login session's end */
  readonly until: number
}

/** Says who somebody is and on which login session; never what they may do. No target takes it: the option is critical. */
export function sshUserCertificate(authority: KeyObject, input: UserCertificateInput): MintedCertificate {
  return mintCertificate(
    {
      subject: input.subject,
      kind: 'user',
      keyId: `${input.userName} ${input.loginId}`,
      principals: [`${USER_PRINCIPAL_PREFIX}${input.userId}`],
      validAfter: input.now - SKEW_MS,
      validBefore: input.until,
      criticalOptions: { [LOGIN_SESSION_OPTION]: input.loginId },
      extensions: { 'permit-pty': '' },
    },
    authority,
  )
}

export interface OnwardCertificateInput {
  /** SSH public key blob of the key made for this one connection */
  readonly publicKey: Uint8Array
  /** Account on the target: the only principal */
  readonly login: string
  readonly userName: string
  readonly sessionId: string
  /** Our address as the target sees it; null where it is not known */
  readonly sourceAddress: string | null
  readonly permissions: {
    readonly pty: boolean
    readonly portForwarding: boolean
    readonly agentForwarding: boolean
    readonly forceCommand: string | null
  }
  readonly now: number
}

/** What a target is shown: good for a minute, for one account, from our address. Throws FormatError for a malformed key. */
export function onwardCertificate(authority: KeyObject, input: OnwardCertificateInput): MintedCertificate {
  const { permissions, sourceAddress } = input
  return mintCertificate(
    {
      subject: parsePublicKey(input.publicKey),
      kind: 'user',
      keyId: `sallyport ${input.userName} ${input.sessionId}`,
      principals: [input.login],
      validAfter: input.now - SKEW_MS,
      validBefore: input.now + SKEW_MS,
      criticalOptions: {
        ...(sourceAddress === null ? {} : { 'source-address': addressBlock(sourceAddress) }),
        ...(permissions.forceCommand === null ? {} : { 'force-command': permissions.forceCommand }),
      },
      extensions: {
        ...(permissions.pty ? { 'permit-pty': '' } : {}),
        ...(permissions.portForwarding ? { 'permit-port-forwarding': '' } : {}),
        ...(permissions.agentForwarding ? { 'permit-agent-forwarding': '' } : {}),
      },
    },
    authority,
  )
}

function addressBlock(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '')
  const family = isIP(plain)
  if (family === 0) throw new Bug(`not an address: ${address}`)
  return `${plain}/${family === 4 ? 32 : 128}`
}

export interface HostCertificate {
  /** PKCS#8 */
  readonly privatePem: string
  readonly certificate: Buffer
  readonly publicBlob: Buffer
  /** When to make the next one: ten days before its end */
  readonly renewAt: number
}

/** A fresh host key for the proxy with its certificate: clients trust the authority, so the key need not last. */
export function hostCertificate(authority: KeyObject, proxyName: string, now: number): HostCertificate {
  const { privateKey } = generateKeyPairSync('ed25519')
  const subject = publicKeyOf(privateKey)
  const { blob } = mintCertificate(
    {
      subject,
      kind: 'host',
      keyId: `sallyport proxy ${proxyName}`,
      principals: [proxyName],
      validAfter: now - 3_600_000,
      validBefore: now + HOST_DAYS * DAY_MS,
    },
    authority,
  )
  return {
    privatePem: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    certificate: blob,
    publicBlob: subject.blob,
    renewAt: now + (HOST_DAYS - 10) * DAY_MS,
  }
}
