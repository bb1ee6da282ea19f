// One key exchange, first or later: KEXINIT both ways, then
// client: byte 30 | string value        server: byte 31 | string host key | string value | string signature        both: byte 21
import { ownBytes } from '../../../../formats/own-bytes.ts'
import { publicKeyAlgorithm } from '../../../../formats/openssh/algorithms.ts'
import type { SignatureAlgorithm } from '../../../../formats/openssh/algorithms.ts'
import { MAX_CERTIFICATE, parseCertificate } from '../../../../formats/openssh/certificate.ts'
import { parsePublicKey } from '../../../../formats/openssh/public-key.ts'
import type { SshPublicKey } from '../../../../formats/openssh/public-key.ts'
import { MAX_SIGNATURE, verifySignature } from '../../../../formats/openssh/signature.ts'
import { SshReader, SshWriter } from '../../../../formats/openssh/ssh-bytes.ts'
import { answerAgreement, MAX_EXCHANGE_VALUE, offerAgreement } from './key-agreement.ts'
import type { ClientOffer, EncodedSecret } from './key-agreement.ts'
import { deriveKeys, exchangeHash } from './key-derivation.ts'
import { buildKexInit, guessedRight, negotiate, parseKexInit, requireStrict, wantsExtInfo } from './kex-init.ts'
import type { Negotiated } from './kex-init.ts'
import { DISCONNECT_REASON, MESSAGE } from './messages.ts'
import type { CipherKeys } from './packet-codec.ts'
import { ProtocolError } from './protocol-error.ts'

/** What a server shows. Every key under every algorithm name it may be asked for. */
export interface HostIdentity {
  /** In the order we like them; the client's order decides */
  readonly keys: readonly { readonly algorithm: string; readonly blob: Uint8Array }[]
  /** A signature blob. May be made elsewhere. */
  sign(algorithm: SignatureAlgorithm, data: Buffer): Promise<Uint8Array>
}

export interface OfferedHostKey {
  /** Name of the algorithm, e.g. ssh-ed25519-cert-v01@openssh.com */
  readonly algorithm: string
  /** Key or certificate, as sent */
  readonly blob: Buffer
  readonly isCertificate: boolean
  /** The plain key, which is proven to be the peer's */
  readonly publicKey: SshPublicKey
}

/** Throws, or rejects, when the key is not the one expected. Its message goes to our side only. */
export type VerifyHostKey = (offered: OfferedHostKey) => void | Promise<void>

export type KexSide =
  | { readonly role: 'server'; readonly identity: HostIdentity }
  | { readonly role: 'client'; readonly hostKeyAlgorithms: readonly string[]; readonly verifyHostKey: VerifyHostKey }

/** What the first key exchange settled and later ones keep. */
export interface Session {
  readonly id: Buffer
  readonly hostKey: Buffer
}

export interface KeyExchangeEvents {
  send(payload: Buffer): void
  /** Our NEWKEYS is sent: seal with these from now on. */
  useForSending(keys: CipherKeys): void
  /** The peer's NEWKEYS came: open with these from now on. The exchange is over. */
  useForReceiving(keys: CipherKeys): void
}

type Step =
  | { readonly at: 'init' }
  | { readonly at: 'value' }
  | { readonly at: 'reply'; readonly offer: ClientOffer }
  | { readonly at: 'working' }
  | { readonly at: 'newkeys'; readonly receiving: CipherKeys }
  | { readonly at: 'done' }

export class KeyExchange {
  readonly ownInit: Buffer
  negotiated: Negotiated | null = null
  peerWantsExtInfo = false
  /** Set by this exchange when it is the first */
  session: Session | null
  readonly #side: KexSide
  readonly #idents: { own: string; peer: string }
  readonly #isFirst: boolean
  readonly #events: KeyExchangeEvents
  #peerInit: Buffer = Buffer.alloc(0)
  #step: Step = { at: 'init' }
  /** The peer guessed wrong: its next packet is not for us. */
  #skipNext = false

  constructor(
    side: KexSide,
    setup: {
      readonly ciphers: readonly string[]
      /** `peer` is filled in before the first message is handled. */
      readonly idents: { own: string; peer: string }
      readonly session: Session | null
    },
    events: KeyExchangeEvents,
  ) {
    this.#side = side
    this.#idents = setup.idents
    this.#isFirst = setup.session === null
    this.session = setup.session
    this.#events = events
    const hostKeys = side.role === 'server' ? side.identity.keys.map((key) => key.algorithm) : side.hostKeyAlgorithms
    this.ownInit = buildKexInit(side.role, hostKeys, setup.ciphers)
  }

  /** True until the peer's KEXINIT came: what it sent before it is still in flight. */
  get isBeforePeerInit(): boolean {
    return this.#step.at === 'init'
  }

  /** One message of the exchange. A promise means: give me nothing more before it is settled. */
  handle(payload: Buffer): Promise<void> | undefined {
    const type = payload[0]
    if (this.#skipNext && type !== undefined && type >= 30 && type < 50) {
      this.#skipNext = false
      return undefined
    }
    const step = this.#step
    if (step.at === 'init' && type === MESSAGE.KEXINIT) return this.#onInit(Buffer.from(payload))
    if (step.at === 'value' && type === MESSAGE.KEX_ECDH_INIT) return this.#onValue(payload)
    if (step.at === 'reply' && type === MESSAGE.KEX_ECDH_REPLY) return this.#onReply(payload, step.offer)
    if (step.at === 'newkeys' && type === MESSAGE.NEWKEYS) return this.#onNewKeys(payload, step.receiving)
    throw new ProtocolError(`message ${type} at the wrong place of a key exchange`)
  }

  #onInit(payload: Buffer): undefined {
    const peer = parseKexInit(payload)
    const own = parseKexInit(this.ownInit)
    this.#peerInit = payload
    if (this.#isFirst) {
      requireStrict(peer, this.#side.role)
      this.peerWantsExtInfo = wantsExtInfo(peer)
    }
    this.negotiated = negotiate(own, peer, this.#side.role)
    this.#skipNext = peer.firstPacketFollows && !guessedRight(own, peer)
    if (this.#side.role === 'server') {
      this.#step = { at: 'value' }
      return
    }
    const offer = offerAgreement(this.negotiated.kex)
    this.#step = { at: 'reply', offer }
    this.#events.send(new SshWriter(1300).u8(MESSAGE.KEX_ECDH_INIT).string(offer.publicValue).toBuffer())
  }

  async #onValue(payload: Buffer): Promise<void> {
    const reader = new SshReader(payload, 1)
    const clientValue = Buffer.from(reader.string(MAX_EXCHANGE_VALUE))
    reader.end()
    this.#step = { at: 'working' }
    const { kex, hostKey } = this.#settled()
    if (this.#side.role !== 'server') throw new ProtocolError('a server sent what clients send')
    const { identity } = this.#side
    const shown = identity.keys.find((key) => key.algorithm === hostKey)
    const algorithm = publicKeyAlgorithm(hostKey)
    if (!shown || !algorithm) throw new ProtocolError('no such host key', DISCONNECT_REASON.KEY_EXCHANGE_FAILED)
    const { publicValue, secret } = answerAgreement(kex, clientValue)
    const hash = this.#hash({ hostKey: shown.blob, clientValue, serverValue: publicValue, secret })
    const signature = await identity.sign(algorithm.signature, hash)
    const reply = new SshWriter(2048)
      .u8(MESSAGE.KEX_ECDH_REPLY)
      .string(shown.blob)
      .string(publicValue)
      .string(signature)
    this.#events.send(reply.toBuffer())
    this.#switchKeys(secret, hash, Buffer.from(shown.blob))
  }

  async #onReply(payload: Buffer, offer: ClientOffer): Promise<void> {
    const reader = new SshReader(payload, 1)
    const blob = Buffer.from(reader.string(MAX_CERTIFICATE))
    const serverValue = Buffer.from(reader.string(MAX_EXCHANGE_VALUE))
    const signature = reader.string(MAX_SIGNATURE)
    reader.end()
    this.#step = { at: 'working' }
    const secret = offer.finish(serverValue)
    const hash = this.#hash({ hostKey: blob, clientValue: offer.publicValue, serverValue, secret })
    await this.#checkHostKey(blob, hash, signature)
    this.#switchKeys(secret, hash, blob)
  }

  /** The signature first: nothing is asked about a key that the peer does not have. */
  async #checkHostKey(blob: Buffer, hash: Buffer, signature: Buffer): Promise<void> {
    if (this.#side.role !== 'client') throw new ProtocolError('a client sent what servers send')
    const offered = readHostKey(this.#settled().hostKey, blob)
    if (!verifySignature(offered.publicKey, offered.signature, hash, signature)) {
      throw new ProtocolError('host key signature is wrong', DISCONNECT_REASON.KEY_EXCHANGE_FAILED)
    }
    if (this.session) {
      if (!this.session.hostKey.equals(blob)) throw new ProtocolError('host key changed within a connection')
    } else await this.#side.verifyHostKey(offered)
  }

  #onNewKeys(payload: Buffer, receiving: CipherKeys): undefined {
    if (payload.length !== 1) throw new ProtocolError('NEWKEYS with something in it')
    this.#step = { at: 'done' }
    this.#events.useForReceiving(receiving)
  }

  #switchKeys(secret: EncodedSecret, hash: Buffer, hostKey: Buffer): void {
    this.session ??= { id: hash, hostKey: ownBytes(hostKey) }
    const { id } = this.session
    const { toServer, toClient } = this.#settled()
    const up = deriveKeys(toServer, 'toServer', secret, hash, id)
    const down = deriveKeys(toClient, 'toClient', secret, hash, id)
    const [sending, receiving] = this.#side.role === 'client' ? [up, down] : [down, up]
    this.#step = { at: 'newkeys', receiving }
    this.#events.send(Buffer.of(MESSAGE.NEWKEYS))
    this.#events.useForSending(sending)
  }

  #hash(values: { hostKey: Uint8Array; clientValue: Buffer; serverValue: Buffer; secret: EncodedSecret }): Buffer {
    const { own, peer } = this.#idents
    const [ownInit, peerInit] = [this.ownInit, this.#peerInit]
    return this.#side.role === 'client'
      ? exchangeHash({ ...values, clientIdent: own, serverIdent: peer, clientInit: ownInit, serverInit: peerInit })
      : exchangeHash({ ...values, clientIdent: peer, serverIdent: own, clientInit: peerInit, serverInit: ownInit })
  }

  #settled(): Negotiated {
    if (!this.negotiated) throw new ProtocolError('key exchange without KEXINIT')
    return this.negotiated
  }
}

function readHostKey(name: string, blob: Buffer): OfferedHostKey & { signature: SignatureAlgorithm } {
  const algorithm = publicKeyAlgorithm(name)
  if (!algorithm) throw new ProtocolError('host key algorithm that we did not offer')
  const { isCertificate, keyType, signature } = algorithm
  const publicKey = isCertificate ? parseCertificate(blob).publicKey : parsePublicKey(blob)
  if (publicKey.type !== keyType) throw new ProtocolError('host key is not of the negotiated type')
  return { algorithm: name, blob, isCertificate, publicKey, signature }
}
