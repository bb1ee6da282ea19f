import { ownBytes } from '../../../formats/own-bytes.ts'
import type { Clock } from '../../../foundation/clock.ts'
import type { SignInProof } from '../../control-plane.ts'
import type { InboundPacket, SshLeg } from './ssh-leg.ts'
import {
  isSignedByHolder,
  judgeUserCertificate,
  type CertifiedUser,
  type UserCertificateVerdict,
} from './user-certificate.ts'
import {
  authFailure,
  bytesToSign,
  keyOk,
  readAuthRequest,
  readServiceRequest,
  serviceAccept,
  type PublicKeyRequest,
} from './wire/auth-messages.ts'
import { DISCONNECT_REASON, MESSAGE } from './wire/messages.ts'
import { ProtocolError } from './wire/protocol-error.ts'

/** Signed requests; OpenSSH's server allows as many. */
const MOST_ATTEMPTS = 6
/** Requests that only ask: agents hold many keys. */
const MOST_QUERIES = 32
/** Requests that a client sent before it knew that it is let in. */
const MOST_LATE_REQUESTS = 16

/** Who is at the other end, by the request whose signature was right. */
export interface ProvenClient {
  readonly user: CertifiedUser
  /** By which others can verify it */
  readonly proof: SignInProof
  /** As sent; what it means is not looked at before the proof. */
  readonly userName: string
  /** Judges the certificate again, with the authorities and the time of now. */
  isStillValid(): boolean
}

export type Identification =
  | { readonly kind: 'proven'; readonly client: ProvenClient }
  | { readonly kind: 'expired'; readonly client: ProvenClient }
  /** The leg was disconnected. */
  | { readonly kind: 'gave-up' }

export interface ClientSideOptions {
  readonly leg: SshLeg
  /** Public key blobs that are trusted at this moment to sign users */
  readonly authorities: () => readonly Uint8Array[]
  readonly clock: Clock
  readonly onFailure: (code: string) => void
  readonly onIdentified: (identification: Identification) => void
}

/**
 * The server's half of user authentication (RFC 4252). Only our own certificates do. A key query is never a refusal:
 * whether somebody has access is told to proven people only, so nobody learns names by asking.
 */
export class ClientSide {
  readonly #options: ClientSideOptions
  #stage: 'service' | 'requests' | 'identified' = 'service'
  #userName: string | null = null
  #attempts = 0
  #queries = 0
  #late = 0

  constructor(options: ClientSideOptions) {
    this.#options = options
    options.leg.onPacket = (packet) => this.receive(packet)
  }

  receive({ payload }: InboundPacket): void {
    const message = payload[0]
    if (message === MESSAGE.SERVICE_REQUEST && this.#stage === 'service') {
      const service = readServiceRequest(payload)
      if (service !== 'ssh-userauth') throw new ProtocolError('only ssh-userauth is served')
      this.#stage = 'requests'
      this.#options.leg.send(serviceAccept(service))
      return
    }
    if (message !== MESSAGE.USERAUTH_REQUEST || this.#stage === 'service') {
      throw new ProtocolError(`unexpected message ${message} before the user is known`)
    }
    if (this.#stage === 'identified') {
      if (++this.#late > MOST_LATE_REQUESTS) throw new ProtocolError('too much sent ahead')
      return
    }
    this.#request(payload)
  }

  #request(payload: Buffer): void {
    const request = readAuthRequest(payload)
    if (request.service !== 'ssh-connection') throw new ProtocolError('only ssh-connection is served')
    this.#userName ??= request.user
    if (this.#userName !== request.user) throw new ProtocolError('the user name must not change')
    if (request.method === 'publickey' && request.signature !== null) this.#attempt(request, request.signature)
    else if (++this.#queries > MOST_QUERIES) this.#giveUp()
    else if (request.method === 'publickey') this.#query(request)
    else this.#options.leg.send(authFailure())
  }

  #query(request: PublicKeyRequest): void {
    const verdict = this.#judge(request)
    if (verdict.kind === 'unknown') this.#fail(verdict.code)
    else this.#options.leg.send(keyOk(request.algorithm, request.key))
  }

  #attempt(request: PublicKeyRequest, signature: Buffer): void {
    this.#attempts++
    const verdict = this.#judge(request)
    if (verdict.kind === 'unknown') {
      this.#fail(verdict.code)
      return
    }
    const signed = bytesToSign(this.#options.leg.sessionId, request.signedPart)
    if (!isSignedByHolder(request.algorithm, request.key, signed, signature)) {
      this.#fail('wrong_signature')
      return
    }
    this.#stage = 'identified'
    const { user } = verdict
    const { algorithm } = request
    const isStillValid = (): boolean => this.#judge({ algorithm, key: user.blob }).kind === 'valid'
    // Copies: the request's bytes are gone after this call.
    const proof = {
      sessionId: this.#options.leg.sessionId,
      request: ownBytes(request.signedPart),
      signature: ownBytes(signature),
    }
    const client = { user, proof, userName: request.user, isStillValid }
    this.#options.onIdentified({ kind: verdict.kind === 'valid' ? 'proven' : 'expired', client })
  }

  #judge(request: { readonly algorithm: string; readonly key: Uint8Array }): UserCertificateVerdict {
    const { authorities, clock, leg } = this.#options
    return judgeUserCertificate(request.algorithm, request.key, {
      authorities: authorities(),
      now: clock.now(),
      address: leg.peerAddress,
    })
  }

  #fail(code: string): void {
    // Plain keys are what agents offer before they come to ours; nobody attacks with them.
    if (code !== 'not_a_certificate') this.#options.onFailure(code)
    if (this.#attempts >= MOST_ATTEMPTS) this.#giveUp()
    else this.#options.leg.send(authFailure())
  }

  #giveUp(): void {
    this.#stage = 'identified'
    this.#options.leg.disconnect(DISCONNECT_REASON.NO_MORE_AUTH_METHODS_AVAILABLE, 'too many attempts to sign in')
    this.#options.onIdentified({ kind: 'gave-up' })
  }
}
