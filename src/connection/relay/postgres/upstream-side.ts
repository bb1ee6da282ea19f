import { generateKeyPairSync, pbkdf2, randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { promisify } from 'node:util'
import type { Task } from '../../../foundation/clock.ts'
import type { Authorization, DatabaseFacts } from '../../authorization.ts'
import { mintedCertificate, mintedPassword, type ControlPlane } from '../../control-plane.ts'
import { certificatePem, type ClientIdentity } from '../../upstream-context.ts'
import { certificateHash } from './certificate-hash.ts'
import { secureUpstream } from './upstream-tls.ts'
import { passwordMessage, saslInitial, saslResponse } from './wire/client-messages.ts'
import { FROM_SERVER } from './wire/codes.ts'
import { md5Answer } from './wire/md5-password.ts'
import { cancelRequest, startupMessage } from './wire/opening.ts'
import { ProtocolError } from './wire/protocol-error.ts'
import {
  checkServerSignature,
  finishScram,
  readChallenge,
  startScram,
  type ScramFinal,
  type ScramStart,
} from './wire/scram.ts'
import { readAuthentication, readErrorFields, type AuthenticationAsk } from './wire/server-messages.ts'
import { WholeMessages, type WholeMessage } from './wire/whole-messages.ts'

const CONNECT_MS = 10_000
/** TLS and signing in, behind the TCP connection */
const SIGN_IN_MS = 15_000
const CANCEL_MS = 5_000
const KEEPALIVE_MS = 30_000
/** Of one message before the server is ready */
const LONGEST_MESSAGE = 64 * 1024
/** What a server says before it is ready: parameters and notices */
const MOST_GREETING = 256 * 1024
/** Of the key that cancels: up to 256 bytes of secret from protocol 3.2 on, which is not asked for */
const LONGEST_KEY = 4 + 256

/** The server cannot be used. `text` is for the person, `reason` for the event. */
export class UpstreamFailed extends Error {
  override readonly name = 'UpstreamFailed'
  readonly reason: string
  /** What the server itself said, as SQLSTATE; null: it said nothing */
  readonly sqlState: string | null

  constructor(reason: string, text: string, sqlState: string | null = null) {
    super(text)
    this.reason = reason
    this.sqlState = sqlState
  }
}

/** A server that has let us in and waits for the first statement. The socket is paused. */
export interface Upstream {
  readonly socket: Socket
  /** The TCP connection beneath, or the same */
  readonly tcp: Socket
  /** Parameters and notices as the server sent them */
  readonly greeting: Buffer
  /** ReadyForQuery, and what came behind it */
  readonly ready: Buffer
  /** Stops what the server runs for this session. Resolves when the server has been told, or cannot be. */
  cancel(): Promise<void>
}

export interface UpstreamWorld {
  readonly control: Pick<ControlPlane, 'mint'>
}

const stretch = promisify(pbkdf2)

/**
 * Spends the authorization: one server, one user, one database, one fresh key that never leaves this process.
 * `parameters`: of the startup message besides user and database. Errors: UpstreamFailed; what the signal says.
 */
export async function connectUpstream(
  authorization: Authorization<DatabaseFacts>,
  parameters: ReadonlyMap<string, string>,
  world: UpstreamWorld,
  task: Task,
): Promise<Upstream> {
  const facts = authorization.spend()
  const identity = facts.credential === 'certificate' ? newIdentity(facts, world) : Promise.resolve(null)
  // It is looked at below; until then a refusal must not count as unhandled.
  identity.catch(() => undefined)
  const tcp = await dialServer(facts, task)
  const limit = deadline(task, SIGN_IN_MS)
  try {
    const { tls } = facts
    const socket = tls.mode === 'insecure-disable' ? tcp : await secureUpstream(tcp, tls, await identity, limit.signal)
    // From here on the end of the connection is what tells.
    socket.on('error', () => {})
    const user = [
      ['user', facts.dbUser],
      ['database', facts.dbName ?? facts.dbUser],
    ] as const
    socket.write(startupMessage([...user, ...parameters]))
    const signedIn = await new SignIn(facts, socket, world).run(limit.signal)
    const { key } = signedIn
    return { socket, tcp, ...signedIn, cancel: () => (key === null ? Promise.resolve() : cancel(facts, key, task)) }
  } catch (error) {
    tcp.destroy()
    throw asUpstreamFailure(error, facts)
  } finally {
    limit.clear()
  }
}

async function newIdentity(facts: DatabaseFacts, { control }: UpstreamWorld): Promise<ClientIdentity> {
  // A few dozen microseconds: handing it to another thread costs more.
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  const minted = await control.mint({ kind: 'x509-certificate', authorizationId: facts.id, publicKey: spki })
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    certificate: certificatePem(mintedCertificate(minted)),
  }
}

async function dialServer({ database }: DatabaseFacts, task: Task): Promise<Socket> {
  const limit = deadline(task, CONNECT_MS)
  try {
    return await dial(database.host, database.port, limit.signal)
  } catch {
    throw new UpstreamFailed('upstream_unreachable', `${database.name} cannot be reached`)
  } finally {
    limit.clear()
  }
}

function dial(host: string, port: number, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEPALIVE_MS })
    const abort = (): void => {
      socket.destroy()
      reject(signal.reason as Error)
    }
    socket.once('error', reject)
    socket.once('connect', () => {
      signal.removeEventListener('abort', abort)
      socket.off('error', reject)
      socket.on('error', () => {})
      resolve(socket)
    })
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
  })
}

/** From the startup message to the first ReadyForQuery. */
class SignIn {
  readonly #facts: DatabaseFacts
  readonly #socket: Socket
  readonly #world: UpstreamWorld
  readonly #messages = new WholeMessages(LONGEST_MESSAGE)
  readonly #greeting: Buffer[] = []
  #greetingBytes = 0
  #key: Buffer | null = null
  #isIn = false
  #scram: {
    readonly start: ScramStart
    readonly password: string
    final: ScramFinal | null
    isProven: boolean
  } | null = null

  constructor(facts: DatabaseFacts, socket: Socket, world: UpstreamWorld) {
    this.#facts = facts
    this.#socket = socket
    this.#world = world
  }

  async run(
    signal: AbortSignal,
  ): Promise<{ readonly greeting: Buffer; readonly ready: Buffer; readonly key: Buffer | null }> {
    for await (const chunk of chunksOf(this.#socket, signal)) {
      this.#messages.push(chunk)
      for (let message = this.#messages.next(); message; message = this.#messages.next()) {
        if (message.type === FROM_SERVER.ready && this.#isIn) {
          const ready = Buffer.concat([message.bytes, this.#messages.rest()])
          return { greeting: Buffer.concat(this.#greeting), ready, key: this.#key }
        }
        await this.#take(message)
      }
    }
    throw new Error('the server closed the connection')
  }

  async #take({ type, body, bytes }: WholeMessage): Promise<void> {
    switch (type) {
      case FROM_SERVER.authentication:
        if (this.#isIn) break
        await this.#answer(readAuthentication(body))
        return
      case FROM_SERVER.error: {
        const { code, message } = readErrorFields(body)
        throw new UpstreamFailed('upstream_refused', `${this.#facts.database.name} says: ${message}`, code)
      }
      case FROM_SERVER.notice:
        this.#keep(bytes)
        return
      case FROM_SERVER.parameterStatus:
        if (!this.#isIn) break
        this.#keep(bytes)
        return
      case FROM_SERVER.keyData:
        if (!this.#isIn || body.length < 8 || body.length > LONGEST_KEY) break
        this.#key = Buffer.from(body)
        return
    }
    throw new ProtocolError(`unexpected message ${JSON.stringify(String.fromCharCode(type))} while signing in`)
  }

  #keep(bytes: Buffer): void {
    this.#greetingBytes += bytes.length
    if (this.#greetingBytes > MOST_GREETING) throw new ProtocolError('the server says too much before it is ready')
    this.#greeting.push(Buffer.from(bytes))
  }

  async #answer(ask: AuthenticationAsk): Promise<void> {
    switch (ask.kind) {
      case 'ok':
        if (this.#scram && !this.#scram.isProven) throw new ProtocolError('the server left SCRAM before its end')
        this.#isIn = true
        return
      case 'cleartext':
        if (!this.#isVerified)
          throw new ProtocolError('the server asks for the password in clear, over a connection without TLS')
        this.#socket.write(passwordMessage(await this.#password()))
        return
      case 'sasl':
        await this.#startScram(ask.mechanisms)
        return
      case 'sasl_continue':
        await this.#finishScram(ask.data)
        return
      case 'sasl_final':
        if (!this.#scram?.final) throw new ProtocolError('SCRAM messages out of order')
        checkServerSignature(ask.data, this.#scram.final)
        this.#scram.isProven = true
        return
      case 'md5':
        if (!this.#facts.allowsMd5) throw new ProtocolError(MD5_IS_OFF)
        this.#socket.write(passwordMessage(md5Answer(this.#facts.dbUser, await this.#password(), ask.salt)))
        return
      case 'other':
        throw new ProtocolError(`the server asks to sign in by a method that is not spoken here (${ask.code})`)
    }
  }

  get #isVerified(): boolean {
    return this.#facts.tls.mode !== 'insecure-disable'
  }

  async #startScram(mechanisms: readonly string[]): Promise<void> {
    if (this.#scram) throw new ProtocolError('SCRAM messages out of order')
    const password = await this.#password()
    const certificate = this.#socket instanceof TLSSocket ? this.#socket.getPeerX509Certificate() : undefined
    const hash = certificate ? certificateHash(certificate.raw) : null
    const start = startScram(mechanisms, hash, randomBytes(24).toString('base64'))
    this.#scram = { start, password, final: null, isProven: false }
    this.#socket.write(saslInitial(start.mechanism, start.first))
  }

  async #finishScram(data: Buffer): Promise<void> {
    const scram = this.#scram
    if (!scram || scram.final) throw new ProtocolError('SCRAM messages out of order')
    const challenge = readChallenge(data, scram.start)
    // SASLprep (RFC 4013) but for what it forbids: for those the server, too, takes the password as it is.
    const password = scram.password.normalize('NFKC')
    const salted = await stretch(password, challenge.salt, challenge.iterations, 32, 'sha256')
    scram.final = finishScram(scram.start, challenge, salted)
    this.#socket.write(saslResponse(scram.final.message))
  }

  async #password(): Promise<string> {
    if (this.#facts.credential !== 'password') {
      const { database, dbUser } = this.#facts
      throw new ProtocolError(`${database.name} asks for a password: it does not take our certificate for ${dbUser}`)
    }
    return mintedPassword(await this.#world.control.mint({ kind: 'password', authorizationId: this.#facts.id }))
  }
}

const MD5_IS_OFF =
  'the server asks for an MD5 password: let it use scram-sha-256, or have the operators say allow_md5 of this database'

/** The socket is paused whenever the caller is not waiting, and left paused. */
async function* chunksOf(socket: Socket, signal: AbortSignal): AsyncGenerator<Buffer> {
  for (;;) {
    const chunk = await new Promise<Buffer | null>((resolve, reject) => {
      const stop = (): void => {
        socket.pause()
        socket.off('data', onData)
        socket.off('close', onClose)
        socket.off('error', onError)
        signal.removeEventListener('abort', onAbort)
      }
      const onData = (data: Buffer): void => {
        stop()
        resolve(data)
      }
      const onClose = (): void => {
        stop()
        resolve(null)
      }
      const onError = (error: Error): void => {
        stop()
        reject(error)
      }
      const onAbort = (): void => {
        stop()
        reject(signal.reason as Error)
      }
      if (signal.aborted) {
        reject(signal.reason as Error)
        return
      }
      if (socket.destroyed) {
        resolve(null)
        return
      }
      socket.on('data', onData)
      socket.once('close', onClose)
      socket.once('error', onError)
      signal.addEventListener('abort', onAbort, { once: true })
      socket.resume()
    })
    if (chunk === null) return
    yield chunk
  }
}

/** A connection of its own, as the protocol wants it; over TLS where the session has it, because the key is a secret. */
async function cancel(facts: DatabaseFacts, key: Buffer, { clock }: Task): Promise<void> {
  const limit = deadline({ clock, signal: new AbortController().signal }, CANCEL_MS)
  try {
    const tcp = await dial(facts.database.host, facts.database.port, limit.signal)
    const { tls } = facts
    const socket = tls.mode === 'insecure-disable' ? tcp : await secureUpstream(tcp, tls, null, limit.signal)
    socket.on('error', () => {})
    const closed = new Promise<void>((resolve) => {
      socket.once('close', () => resolve())
      limit.signal.addEventListener('abort', () => socket.destroy(), { once: true })
    })
    socket.resume()
    socket.end(cancelRequest(key))
    await closed
  } catch {
    // Whoever waits for the end of the statement waits for that, and not for this.
  } finally {
    limit.clear()
  }
}

function asUpstreamFailure(error: unknown, { database }: DatabaseFacts): UpstreamFailed {
  if (error instanceof UpstreamFailed) return error
  const text = error instanceof Error ? error.message : String(error)
  return new UpstreamFailed('upstream_refused', `${database.name} cannot be used: ${text}`)
}

/** A signal that is aborted with the task's, or after `ms`. */
function deadline(task: Task, ms: number): { readonly signal: AbortSignal; clear(): void } {
  const late = new AbortController()
  const timer = task.clock.after(ms, () => late.abort(new Error('it took too long')))
  return { signal: AbortSignal.any([task.signal, late.signal]), clear: () => timer.cancel() }
}
