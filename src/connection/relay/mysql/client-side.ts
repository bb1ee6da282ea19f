import type { Socket } from 'node:net'
import { TLSSocket, type SecureContext } from 'node:tls'
import {
  checkUserCertificate,
  type CertifiedUser,
  type UserCertificateTrust,
} from '../../../formats/x509/check-user-certificate.ts'
import { PacketChannel, PeerLeft } from './packet-channel.ts'
import { acceptedFrom, OFFERED } from './wire/capabilities.ts'
import { writeGreeting } from './wire/greeting.ts'
import { readHandshakeResponse, readSslRequest } from './wire/handshake-response.ts'
import { ERROR, ProtocolError } from './wire/protocol-error.ts'
import { writeError } from './wire/replies.ts'
import { FAST_OK, writeMore, writeSwitch } from './wire/sign-in-messages.ts'
import { CACHING_SHA2, NATIVE } from './wire/sign-in-methods.ts'

/** A client that holds the key of a good certificate. authorize() checks the certificate anew. */
export interface ProvenClient {
  readonly socket: TLSSocket
  readonly channel: PacketChannel
  /** DER */
  readonly certificate: Uint8Array
  /** What it says */
  readonly certified: CertifiedUser
  /** As given: `dbuser` or `dbuser+database` */
  readonly user: string
  readonly database: string | null
  /** Its capabilities, of those offered */
  readonly accepted: number
  readonly collation: number
}

/** Whoever it is has not shown a good certificate; `reason` is counted against the address. */
export class NotIdentified extends ProtocolError {
  readonly reason: string

  constructor(reason: string, message: string) {
    super(`${message}. Run: sally db login`, ERROR.accessDenied)
    this.reason = reason
  }
}

export interface Offer {
  readonly threadId: number
  /** 20 bytes without NUL */
  readonly scramble: Buffer
  readonly serverVersion: string
  readonly tls: SecureContext
  readonly trust: () => UserCertificateTrust
}

/** The method that clients of such a server have; what they answer is not looked at. */
const methodFor = (serverVersion: string): string => (/mariadb/i.test(serverVersion) ? NATIVE : CACHING_SHA2)

/**
 * Greets, goes over to TLS and reads who wants what. Rejects with ProtocolError once the client has been told, with PeerLeft
 * where there is nobody to tell. The client waits for an answer then: nothing has been sent after its sign-in.
 */
export async function identifyClient(socket: Socket, offer: Offer): Promise<ProvenClient> {
  const method = methodFor(offer.serverVersion)
  const { threadId, scramble } = offer
  const plain = new PacketChannel(socket)
  plain.send(writeGreeting({ version: offer.serverVersion, threadId, scramble, capabilities: OFFERED, method }))
  await told(plain, async () => readSslRequest((await plain.receive()).payload))
  // The client does not wait for an answer, so its ClientHello may be here already: it belongs to TLS and nothing else.
  const rest = plain.release()
  if (rest.length > 0) socket.unshift(rest)
  const secure = await startTls(socket, offer.tls)
  const channel = new PacketChannel(secure).countsOn(plain)
  return told(channel, () => signIn(secure, channel, offer, method))
}

async function told<T>(channel: PacketChannel, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof ProtocolError) channel.end(writeError(error.shown, `sallyport: ${error.message}`))
    throw error
  }
}

function startTls(socket: Socket, secureContext: SecureContext): Promise<TLSSocket> {
  const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>()
  // Without a certificate the handshake succeeds, so that the client can be told what it lacks.
  const secure = new TLSSocket(socket, { isServer: true, secureContext, requestCert: true, rejectUnauthorized: false })
  // Whoever waits for it hears of it; between two of them nobody does.
  secure.on('error', () => {})
  const left = (error?: Error): void => reject(new PeerLeft(error?.message ?? 'left during the TLS handshake'))
  secure.once('error', left)
  secure.once('close', left)
  secure.once('secure', () => {
    secure.off('error', left)
    secure.off('close', left)
    resolve(secure)
  })
  return promise
}

async function signIn(secure: TLSSocket, channel: PacketChannel, offer: Offer, method: string): Promise<ProvenClient> {
  const { payload } = await channel.receive()
  const { certificate, certified } = certificateOf(secure, offer.trust())
  const response = readHandshakeResponse(payload)
  const accepted = acceptedFrom(response.capabilities)
  await settle(channel, offer, { method: response.method ?? NATIVE, answer: response.answer }, method)
  const { user, database, collation } = response
  return { socket: secure, channel, certificate, certified, user, database, accepted, collation }
}

/** That the client holds the key is what the handshake has proven; the rest is checked here, because OpenSSL's own verdict
 * is not to be had of a server's bare TLSSocket. */
function certificateOf(
  secure: TLSSocket,
  trust: UserCertificateTrust,
): Pick<ProvenClient, 'certificate' | 'certified'> {
  const shown = secure.getPeerX509Certificate()
  if (!shown || secure.isSessionReused()) throw new NotIdentified('no_certificate', 'a client certificate is required')
  const certificate = new Uint8Array(shown.raw)
  const verdict = checkUserCertificate(certificate, trust)
  if (verdict.kind === 'refused') throw new NotIdentified(`certificate_${verdict.code}`, REFUSALS[verdict.code])
  return { certificate, certified: verdict.user }
}

const REFUSALS = {
  malformed: 'this client certificate cannot be read',
  unknown_authority: 'this client certificate is not one of this proxy',
  not_yet_valid: 'this client certificate is not valid yet: look at the clock',
  expired: 'this client certificate has expired',
  wrong_usage: 'this certificate is none of a client',
  wrong_names: 'this client certificate is not one of this proxy',
} as const

/** Brings a client to where nothing but OK or ERR is left to say, whatever method it came with. */
async function settle(
  channel: PacketChannel,
  offer: Offer,
  first: { readonly method: string; readonly answer: Buffer },
  offered: string,
): Promise<void> {
  let { method, answer } = first
  if (method !== NATIVE && method !== CACHING_SHA2) {
    channel.send(writeSwitch(offered, offer.scramble))
    method = offered
    answer = (await channel.receive()).payload
  }
  // With an answer of 32 bytes it waits for this; without a password (no bytes, or a NUL) it does not.
  if (method === CACHING_SHA2 && answer.length > 1) channel.send(writeMore(FAST_OK))
}
