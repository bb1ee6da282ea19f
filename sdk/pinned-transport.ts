import { createHash, X509Certificate } from 'node:crypto'
import { Agent, request } from 'node:https'
import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import { OWN_ALPN } from '../src/formats/own-alpn.ts'
import { SallyportError, Unavailable, Untrusted } from './errors.ts'

// Nothing but the pinned authority is trusted. The proxy is asked once, without a token, which authority it has; the answer
// counts only when its key is the pinned one, and every call with a token goes over a connection that this authority vouches for.

export interface PinnedCall {
  readonly method: string
  readonly target: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array | null
  readonly signal?: AbortSignal
}

export interface PinnedAnswer {
  readonly status: number
  readonly contract: string | undefined
  readonly body: AsyncIterable<Uint8Array>
}

export interface PinnedTransport {
  send(call: PinnedCall): Promise<PinnedAnswer>
  close(): void
}

const SILENCE_MS = 60_000
const LONGEST_PING = 256 * 1024
const PIN = /^sha256:[0-9a-f]{64}$/

interface Known {
  readonly authority: string
  readonly name: string
}

/** `address`: HOST:PORT. `pins`: `sha256:<hex>`, several while an authority is rotated. Errors: SallyportError('malformed'). */
export function pinnedTransport(address: string, pins: readonly string[]): PinnedTransport {
  const { host, port } = parseAddress(address)
  const accepted = pins.map((pin) => pin.toLowerCase())
  if (accepted.length === 0 || !accepted.every((pin) => PIN.test(pin)))
    throw new SallyportError('malformed', 'a CA pin is sha256: and 64 hexadecimal digits', {
      hint: 'sallyctl ca status prints it, and so does every invitation',
    })
  let agent = newAgent()
  let met: Promise<Known> | null = null
  const meet = (): Promise<Known> => {
    met ??= meetProxy(host, port, accepted).catch((error: unknown) => {
      met = null
      throw error
    })
    return met
  }
  const once = async (call: PinnedCall): Promise<PinnedAnswer> => {
    const { authority, name } = await unlessAborted(meet(), call.signal)
    const headers = call.body === null ? call.headers : { ...call.headers, 'content-length': String(call.body.length) }
    const incoming = await exchange(address, call.body, call.signal, {
      ...{ host, port, agent, method: call.method, path: call.target, headers },
      // Whatever NODE_TLS_REJECT_UNAUTHORIZED says.
      ...{ rejectUnauthorized: true, ca: authority, servername: isIP(name) === 0 ? name : '', minVersion: 'TLSv1.3' },
    })
    const contract = incoming.headers['sallyport-contract']
    return {
      status: incoming.statusCode ?? 0,
      contract: typeof contract === 'string' ? contract : undefined,
      body: chunksOf(incoming, address, call.signal),
    }
  }
  return {
    async send(call) {
      try {
        return await once(call)
      } catch (error) {
        if (!(error instanceof Untrusted)) throw error
        // The authority may have been rotated to another pinned one since.
        met = null
        agent.destroy()
        agent = newAgent()
        return await once(call)
      }
    },
    close: () => agent.destroy(),
  }
}

// No session cache: a resumed session would skip the check of the chain.
const ALPNProtocols = [OWN_ALPN, 'http/1.1']
const newAgent = (): Agent => new Agent({ keepAlive: true, maxCachedSessions: 0, ALPNProtocols })

function parseAddress(text: string): { host: string; port: number } {
  const found = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/.exec(text)
  const host = found?.[1] ?? found?.[2]
  const port = Number(found?.[3] ?? 3022)
  if (host === undefined || port < 1 || port > 65_535)
    throw new SallyportError('malformed', `"${text.slice(0, 100)}" is no HOST:PORT`)
  return { host, port }
}

async function meetProxy(host: string, port: number, pins: readonly string[]): Promise<Known> {
  const where = `${host}:${port}`
  const incoming = await exchange(where, null, AbortSignal.timeout(SILENCE_MS), {
    ...{ host, port, method: 'GET', path: '/v1/ping', agent: new Agent({ ALPNProtocols }), minVersion: 'TLSv1.3' },
    // The one place: no token goes over this connection, and what it says is believed for its pinned key alone.
    ...{ rejectUnauthorized: false, ...(isIP(host) === 0 ? { servername: host } : {}) },
  })
  const parts: Uint8Array[] = []
  let length = 0
  for await (const chunk of chunksOf(incoming, where, undefined)) {
    length += chunk.length
    if (length > LONGEST_PING) throw new Untrusted('untrusted', `${where} is no Sallyport proxy`)
    parts.push(chunk)
  }
  const { tlsAuthority, proxyName } = readPing(Buffer.concat(parts).toString('utf8'), where)
  const authority = readAuthority(tlsAuthority)
  if (!authority || !pins.includes(pinOf(authority)))
    throw new Untrusted('untrusted', `${where} has another authority than the pinned one`, {
      hint: 'somebody may sit between you and the proxy, or its authority was rotated: ask its operator for the pin',
    })
  return { authority: authority.toString(), name: proxyName }
}

function readPing(text: string, where: string): { tlsAuthority: string; proxyName: string } {
  try {
    const { tlsAuthority, proxyName } = JSON.parse(text) as Record<string, unknown>
    if (typeof tlsAuthority === 'string' && typeof proxyName === 'string') return { tlsAuthority, proxyName }
  } catch {
    // Not JSON: the same answer.
  }
  throw new Untrusted('untrusted', `${where} is no Sallyport proxy`)
}

function readAuthority(pem: string): X509Certificate | null {
  try {
    const authority = new X509Certificate(pem)
    return authority.ca && authority.verify(authority.publicKey) ? authority : null
  } catch {
    return null
  }
}

/** `sha256:` and the hex SHA-256 of the certificate's SubjectPublicKeyInfo. */
export function pinOf(certificate: X509Certificate): string {
  return `sha256:${createHash('sha256')
    .update(certificate.publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex')}`
}

/** The proxy is met for all calls together: one that is given up does not wait for it. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return await work
  const aborted = Promise.withResolvers<never>()
  const abort = (): void => aborted.reject(signal.reason as Error)
  if (signal.aborted) abort()
  signal.addEventListener('abort', abort, { once: true })
  aborted.promise.catch(() => {})
  try {
    return await Promise.race([work, aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
    work.catch(() => {})
  }
}

function exchange(
  where: string,
  body: Uint8Array | null,
  signal: AbortSignal | undefined,
  options: Parameters<typeof request>[1] & object,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ ...options, timeout: SILENCE_MS, ...(signal ? { signal } : {}) })
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer within ${SILENCE_MS / 1000} s`)))
    outgoing.on('error', (error) => reject(signal?.aborted ? (signal.reason as Error) : failure(where, error)))
    outgoing.on('response', resolve)
    outgoing.end(body ?? undefined)
  })
}

const CERTIFICATE_TROUBLE = /^(UNABLE_TO_|CERT_|SELF_SIGNED|DEPTH_ZERO|ERR_TLS_CERT)/

function failure(where: string, error: NodeJS.ErrnoException): SallyportError {
  if (CERTIFICATE_TROUBLE.test(error.code ?? ''))
    return new Untrusted('untrusted', `${where} shows a certificate of another authority: ${error.message}`, {
      cause: error,
    })
  return new Unavailable('unreachable', `${where} does not answer: ${error.message}`, { cause: error })
}

async function* chunksOf(
  incoming: IncomingMessage,
  where: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of incoming) yield chunk as Uint8Array
  } catch (error) {
    if (signal?.aborted) throw signal.reason
    throw failure(where, error as NodeJS.ErrnoException)
  }
}
