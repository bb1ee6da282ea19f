import type { Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import type { UpstreamTls } from '../../authorization.ts'
import { upstreamContext, type ClientIdentity } from '../../upstream-context.ts'
import { PacketChannel } from './packet-channel.ts'
import { askOf, CAPABILITY, has } from './wire/capabilities.ts'
import { readGreeting, type Greeting } from './wire/greeting.ts'
import { writeHandshakeResponse, writeSslRequest } from './wire/handshake-response.ts'
import { ProtocolError } from './wire/protocol-error.ts'
import { readError, type ServerError } from './wire/replies.ts'
import { FAST_OK, FULL_SIGN_IN, readSignInMessage } from './wire/sign-in-messages.ts'
import { answerTo, CACHING_SHA2 } from './wire/sign-in-methods.ts'

/** A server that goes on asking is not going to let us in. */
const MOST_ROUNDS = 6

export interface MysqlTarget {
  readonly host: string
  readonly tls: UpstreamTls
  readonly user: string
  readonly database: string | null
}

export type Credential =
  | { readonly kind: 'password'; readonly password: string }
  | { readonly kind: 'certificate'; readonly keyPem: string; readonly certificatePem: string }

/** What the client behind has agreed to */
export interface Agreed {
  readonly accepted: number
  readonly collation: number
}

export interface MysqlUpstream {
  readonly socket: Socket
  /** Of the server: for KILL */
  readonly threadId: number
  readonly capabilities: number
  /** Its OK packet, which ends the client's sign-in */
  readonly okay: Buffer
  /** What it sent behind */
  readonly rest: Buffer
}

/** No session with the server. `message` is for the client. */
export class UpstreamFailed extends Error {
  override readonly name = 'UpstreamFailed'
  readonly reason: string
  /** What the server said, where it did */
  readonly error: ServerError | null

  constructor(reason: string, message: string, error: ServerError | null = null) {
    super(message)
    this.reason = reason
    this.error = error
  }
}

/** Signs in over a connected socket. Rejects with UpstreamFailed and has destroyed the socket then. */
export async function signInUpstream(
  socket: Socket,
  target: MysqlTarget,
  credential: Credential,
  agreed: Agreed,
): Promise<MysqlUpstream> {
  try {
    return await converse(socket, target, credential, agreed)
  } catch (error) {
    socket.destroy()
    if (error instanceof UpstreamFailed) throw error
    if (error instanceof ProtocolError) throw new UpstreamFailed('target_protocol_error', error.message)
    throw new UpstreamFailed('target_unreachable', 'the server closed the connection', null)
  }
}

async function converse(
  socket: Socket,
  target: MysqlTarget,
  credential: Credential,
  agreed: Agreed,
): Promise<MysqlUpstream> {
  const plain = new PacketChannel(socket)
  const greeting = await greetingOf(plain)
  // As soon as in the request for TLS: the server takes the first flags that it sees.
  const database = target.database === null ? 0 : CAPABILITY.CONNECT_WITH_DB
  const capabilities = (askOf(greeting.capabilities, agreed.accepted) & ~CAPABILITY.CONNECT_WITH_DB) | database
  if (target.tls.mode === 'insecure-disable') {
    const upstream = { channel: plain, socket, isSecret: false }
    return signIn(upstream, { target, credential, greeting, capabilities, collation: agreed.collation })
  }
  if (!has(greeting.capabilities, CAPABILITY.SSL)) {
    throw new UpstreamFailed('target_without_tls', 'the server offers no TLS, which its entry asks for')
  }
  plain.send(writeSslRequest(capabilities, agreed.collation))
  // Bytes before TLS could be anybody's: they must not be taken for the server's after it.
  if (plain.release().length > 0) throw new ProtocolError('the server sent something before TLS')
  const secure = await startTls(socket, target.tls, credential)
  const upstream = { channel: new PacketChannel(secure).countsOn(plain), socket: secure, isSecret: true }
  return signIn(upstream, {
    target,
    credential,
    greeting,
    capabilities: capabilities | CAPABILITY.SSL,
    collation: agreed.collation,
  })
}

/** A server may have an error in place of its greeting: too many connections, or a blocked host. */
async function greetingOf(channel: PacketChannel): Promise<Greeting> {
  const { payload } = await channel.receive()
  if (payload[0] !== 0xff) return readGreeting(payload)
  const error = readError(payload)
  throw new UpstreamFailed('target_refused', `the server refuses connections: ${error.text}`, error)
}

function startTls(socket: Socket, tls: UpstreamTls, credential: Credential): Promise<TLSSocket> {
  const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>()
  const secure = connectTls({
    socket,
    // Whatever NODE_TLS_REJECT_UNAUTHORIZED says.
    rejectUnauthorized: true,
    secureContext: upstreamContext(tls.authorities, identityOf(credential)),
    ...(tls.mode === 'verify-full' ? nameToCheck(tls.serverName) : { checkServerIdentity: () => undefined }),
  })
  // Whoever waits for it hears of it; between two of them nobody does.
  secure.on('error', () => {})
  const fail = (error?: Error): void =>
    reject(
      new UpstreamFailed(
        'target_tls_failed',
        `TLS with the server failed: ${error?.message ?? 'it closed the connection'}`,
      ),
    )
  secure.once('error', fail)
  secure.once('close', fail)
  secure.once('secureConnect', () => {
    secure.off('error', fail)
    secure.off('close', fail)
    resolve(secure)
  })
  return promise
}

const identityOf = (credential: Credential): ClientIdentity | null =>
  credential.kind === 'certificate' ? { key: credential.keyPem, certificate: credential.certificatePem } : null

/** An address is checked like a name, but never sent as one (RFC 6066 section 3). */
const nameToCheck = (name: string): { readonly host: string; readonly servername?: string } =>
  /^[\d.]+$|:/.test(name) ? { host: name } : { host: name, servername: name }

interface Plan {
  readonly target: MysqlTarget
  readonly credential: Credential
  readonly greeting: Greeting
  readonly capabilities: number
  readonly collation: number
}

interface Line {
  readonly channel: PacketChannel
  readonly socket: Socket
  /** Nobody but the server reads it */
  readonly isSecret: boolean
}

async function signIn(
  line: Line,
  { target, credential, greeting, capabilities, collation }: Plan,
): Promise<MysqlUpstream> {
  const { channel, socket } = line
  const password = credential.kind === 'password' ? credential.password : ''
  let { method } = greeting
  const isSpoken = method === 'mysql_native_password' || method === CACHING_SHA2
  // A default method that we lack says nothing about this user: the server then switches to the user's own.
  if (!isSpoken) method = CACHING_SHA2
  const answer = isSpoken ? answerTo(method, password, greeting.scramble) : Buffer.alloc(0)
  const { user, database } = target
  channel.send(writeHandshakeResponse({ capabilities, collation, user, answer, database, method }))
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const { payload } = await channel.receive()
    const message = readSignInMessage(payload)
    switch (message.kind) {
      case 'ok':
        return { socket, threadId: greeting.threadId, capabilities, okay: payload, rest: channel.release() }
      case 'error':
        throw new UpstreamFailed(
          'target_refused',
          `the server refuses the sign-in: ${message.error.text}`,
          message.error,
        )
      case 'switch':
        method = message.method
        channel.send(answerTo(method, password, message.data))
        break
      case 'more':
        more(line, method, password, message.data)
    }
  }
  throw new ProtocolError('the sign-in to the server comes to no end')
}

/** caching_sha2_password: the server knows the password already, or has to be told it in full. */
function more({ channel, isSecret }: Line, method: string, password: string, data: Buffer): void {
  if (method !== CACHING_SHA2 || data.length !== 1)
    throw new ProtocolError('the server asks for something unknown to sign in')
  if (data[0] === FAST_OK) return
  if (data[0] !== FULL_SIGN_IN) throw new ProtocolError('the server asks for something unknown to sign in')
  if (!isSecret) throw new ProtocolError('the server asks for the password itself, which is given over TLS only')
  channel.send(Buffer.from(`${password}\0`, 'utf8'))
}
