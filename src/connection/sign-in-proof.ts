import { createHash } from 'node:crypto'
import { FormatError } from '../formats/format-error.ts'
import { parseSshUserName } from '../formats/ssh-user-name.ts'
import type { Clock } from '../foundation/clock.ts'
import type { SshSignIn, SignInProof } from './control-plane.ts'
import { isSignedByHolder, judgeUserCertificate } from './relay/ssh/user-certificate.ts'
import { bytesToSign, readAuthRequest } from './relay/ssh/wire/auth-messages.ts'

/** Sign-ins that are remembered so that none counts twice; a login session lives for hours. */
const MOST_REMEMBERED = 100_000

export interface SignInProofsOptions {
  /** Public key blobs that are trusted at this moment to sign users */
  readonly authorities: () => readonly Uint8Array[]
  readonly clock: Clock
}

/**
 * Judges on the control side what a worker says of a client: the certificate, the signature by its key, and that the user
 * name under that signature names this node and login. So a worker gone wrong can speak only for people who sign in through
 * it, once for each sign-in; it cannot invent one.
 */
export class SignInProofs {
  readonly #options: SignInProofsOptions
  readonly #spent = new Set<string>()

  constructor(options: SignInProofsOptions) {
    this.#options = options
  }

  /** What is wrong with it, as a code; null when it is proven. A proof counts once; `again`: it did, and was refused. */
  trouble(input: SshSignIn, again = false): string | null {
    try {
      return this.#judge(input, again)
    } catch (error) {
      if (error instanceof FormatError) return 'malformed'
      throw error
    }
  }

  #judge(input: SshSignIn, again: boolean): string | null {
    const { proof } = input
    const request = readAuthRequest(Buffer.concat([proof.request, lengthOf(proof.signature), proof.signature]))
    if (request.method !== 'publickey' || request.signature === null) return 'not_signed'
    if (request.service !== 'ssh-connection') return 'wrong_service'
    const { authorities, clock } = this.#options
    const verdict = judgeUserCertificate(request.algorithm, request.key, {
      authorities: authorities(),
      now: clock.now(),
      address: input.address,
    })
    if (verdict.kind !== 'valid') return verdict.kind === 'expired' ? 'expired' : verdict.code
    const signed = bytesToSign(Buffer.from(proof.sessionId), request.signedPart)
    if (!isSignedByHolder(request.algorithm, request.key, signed, request.signature)) return 'wrong_signature'
    const { userId, loginSessionId, keyFingerprint, serial } = verdict.user
    const isSame =
      userId === input.userId &&
      loginSessionId === input.loginSessionId &&
      keyFingerprint === input.keyFingerprint &&
      serial === input.certificateSerial
    if (!isSame) return 'wrong_user'
    if (!namesTarget(request.user, input)) return 'wrong_target'
    if (again) return this.#spent.has(nameOf(proof)) ? null : 'never_used'
    return this.#spend(proof) ? null : 'used_before'
  }

  #spend(proof: SignInProof): boolean {
    const key = nameOf(proof)
    if (this.#spent.has(key)) return false
    this.#spent.add(key)
    const [oldest] = this.#spent
    if (this.#spent.size > MOST_REMEMBERED && oldest !== undefined) this.#spent.delete(oldest)
    return true
  }
}

const nameOf = ({ sessionId }: SignInProof): string => createHash('sha256').update(sessionId).digest('base64')

/** The user name says `login+node`; behind a CONNECT preface it may say the login alone, and the node is not signed. */
function namesTarget(userName: string, { node, login }: SshSignIn): boolean {
  const named = parseSshUserName(userName.includes('+') ? userName : `${userName}+${node}`)
  return named.ok && named.node === node && named.login === login
}

function lengthOf(bytes: Uint8Array): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return length
}
