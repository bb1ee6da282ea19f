import { lookup as systemLookup } from 'node:dns'
import { Agent as PlainAgent, request as plainRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { Agent as TlsAgent, request as tlsRequest } from 'node:https'
import { connect as tcpConnect, isIP, type LookupFunction, type Socket } from 'node:net'
import { systemClock, withDeadline } from './clock.ts'
import { outboundRules, type OutboundRules } from './outbound-address.ts'

/** As `fetch` of the web, with a deadline, and an answer that is read whole. */
export type OutboundFetch = (
  url: string,
  options: {
    readonly method: string
    readonly headers?: Readonly<Record<string, string>>
    readonly body?: string | Uint8Array
    readonly signal?: AbortSignal
    /** The status is all that matters: it counts as soon as it is there, however long or slow what follows is. `body` is empty */
    readonly statusOnly?: boolean
  },
) => Promise<OutboundAnswer>

export interface OutboundAnswer {
  readonly status: number
  /** Names in lower case */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

/**
 * A plain TCP connection under the same rules as OutboundFetch, for what is not HTTP (SMTP, WebSockets). Who calls it speaks TLS over it and
 * checks the certificate for `host`.
 */
export type OutboundConnect = (host: string, port: number, signal: AbortSignal) => Promise<Socket>

/** The address must not be connected to, whatever is behind it: somebody has to change a setting. */
export class OutboundRefused extends Error {
  override readonly name = 'OutboundRefused'
}

const DEADLINE_MS = 15_000
const ANSWER_BYTES = 4 * 1024 * 1024
const HEADER_BYTES = 32 * 1024
/** Ports of the web, and those that no other service of a system has */
const isWebPort = (port: number): boolean => port === 80 || port === 443 || port >= 1024
/** Of mail, and of WebSockets over TLS */
const STREAM_PORTS: ReadonlySet<number> = new Set([25, 443, 465, 587, 2525])

export interface OutboundOptions {
  /** CIDRs of private networks that may be reached; plain HTTP goes there alone */
  readonly allowNetworks: readonly string[]
  readonly deadlineMs?: number
  readonly answerBytes?: number
  /** The system's resolver, for tests another one */
  readonly resolve?: Resolve
}

export type Resolve = (
  host: string,
  done: (error: Error | null, addresses: readonly { readonly address: string; readonly family: number }[]) => void,
) => void

const systemResolve: Resolve = (host, done) =>
  systemLookup(host, { all: true, verbatim: true }, (error, addresses) => done(error, addresses ?? []))

/** Each of its connections goes to an address that was judged itself, so a name that points elsewhere by then gains nothing. */
export function outboundFetch(options: OutboundOptions): OutboundFetch {
  const rules = outboundRules(options.allowNetworks)
  const resolve = options.resolve ?? systemResolve
  // Certificates are checked, whatever NODE_TLS_REJECT_UNAUTHORIZED says.
  const agentOptions = { keepAlive: true, maxSockets: 16, timeout: 30_000, scheduling: 'lifo' } as const
  const agents = {
    plain: new PlainAgent(agentOptions),
    tls: new TlsAgent({ ...agentOptions, rejectUnauthorized: true }),
  }
  return async (text, { method, headers = {}, body, signal, statusOnly = false }) => {
    const url = requireUrl(text)
    const secure = url.protocol === 'https:'
    const hostname = url.hostname.replace(/^\[(.*)\]$/, '$1')
    const port = url.port === '' ? (secure ? 443 : 80) : Number(url.port)
    const judge = (address: string): string | null =>
      rules.trouble(address) ?? (rules.isNamed(address) ? null : webTrouble(secure, port))
    // The resolver is never asked for an address.
    if (isIP(hostname) !== 0) requireGood(hostname, judge)
    const request: RequestOptions = {
      ...{ method, hostname, port, path: `${url.pathname}${url.search}`, maxHeaderSize: HEADER_BYTES },
      headers: { 'user-agent': 'sallyport', accept: '*/*', ...headers, host: url.host },
      lookup: checkedLookup(resolve, judge),
    }
    const most = options.answerBytes ?? ANSWER_BYTES
    return await withDeadline(systemClock, options.deadlineMs ?? DEADLINE_MS, signal, (until) =>
      exchange(secure, agents, { ...request, signal: until }, body, statusOnly ? null : most),
    )
  }
}

/** Errors: OutboundRefused, or whatever the system says. */
export function outboundConnect(options: OutboundOptions): OutboundConnect {
  const rules = outboundRules(options.allowNetworks)
  const lookup = (port: number): LookupFunction =>
    checkedLookup(options.resolve ?? systemResolve, (address) => judgeStream(rules, address, port))
  return (host, port, signal) =>
    new Promise((resolve, reject) => {
      const plain = host.replace(/^\[(.*)\]$/, '$1')
      // What looks like an address in another spelling is one to the system: it is refused instead of understood.
      if (isIP(plain) !== 0) requireGood(plain, (address) => judgeStream(rules, address, port))
      const socket = tcpConnect({ host: plain, port, lookup: lookup(port), signal })
      const deadline = systemClock.after(DEADLINE_MS, () => socket.destroy(new Error(`no connection to ${host}`)))
      socket.once('connect', () => {
        deadline.cancel()
        resolve(socket)
      })
      socket.once('error', (error) => {
        deadline.cancel()
        reject(error)
      })
    })
}

const judgeStream = (rules: OutboundRules, address: string, port: number): string | null =>
  rules.trouble(address) ??
  (rules.isNamed(address) || STREAM_PORTS.has(port) ? null : `port ${port} is none of mail or of sockets over TLS`)

function requireUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:'))
    throw new OutboundRefused('the address is no https:// URL')
  if (url.username !== '' || url.password !== '') throw new OutboundRefused('the address holds a user name')
  return url
}

function webTrouble(secure: boolean, port: number): string | null {
  if (!secure) return 'plain http goes to networks of allow_networks alone'
  return isWebPort(port) ? null : `port ${port} is none of the web`
}

function requireGood(address: string, judge: (address: string) => string | null): void {
  const trouble = judge(address)
  if (trouble !== null) throw new OutboundRefused(`not connected: ${trouble}`)
}

/** All of a name's addresses must be good: which of them would be taken is not ours to say. */
function checkedLookup(resolve: Resolve, judge: (address: string) => string | null): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, (error, addresses) => {
      const [first] = addresses
      if (error || !first) return callback(error ?? new Error(`${hostname} has no address`), '', 4)
      for (const { address } of addresses) {
        const trouble = judge(address)
        if (trouble !== null) return callback(new OutboundRefused(`not connected: ${hostname}: ${trouble}`), '', 4)
      }
      if (options.all === true) callback(null, [...addresses])
      else callback(null, first.address, first.family)
    })
  }
}

function exchange(
  secure: boolean,
  agents: { readonly plain: PlainAgent; readonly tls: TlsAgent },
  options: RequestOptions,
  body: string | Uint8Array | undefined,
  most: number | null,
): Promise<OutboundAnswer> {
  return new Promise((resolve, reject) => {
    const onAnswer = (answer: IncomingMessage): void => {
      if (most !== null) return void readWhole(answer, most).then(resolve, reject)
      resolve({ status: answer.statusCode ?? 0, headers: headersOf(answer), body: new Uint8Array() })
      passOver(answer)
    }
    const request = secure
      ? tlsRequest({ ...options, agent: agents.tls }, onAnswer)
      : plainRequest({ ...options, agent: agents.plain }, onAnswer)
    request.on('error', (error) => {
      const why: unknown = options.signal?.aborted ? options.signal.reason : error
      reject(why instanceof Error ? why : error)
    })
    request.end(body)
  })
}

function readWhole(answer: IncomingMessage, most: number): Promise<OutboundAnswer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = []
    let length = 0
    answer.on('data', (part: Buffer) => {
      parts.push(part)
      length += part.length
      if (length > most) answer.destroy(new Error(`the answer is longer than ${most} bytes`))
    })
    answer.on('end', () => {
      const body = new Uint8Array(Buffer.concat(parts))
      resolve({ status: answer.statusCode ?? 0, headers: headersOf(answer), body })
    })
    answer.on('error', reject)
  })
}

const headersOf = (answer: IncomingMessage): Record<string, string> =>
  Object.fromEntries(
    Object.entries(answer.headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? (value[0] ?? '') : (value ?? ''),
    ]),
  )

const PASSED_OVER_BYTES = 65_536
const PASSED_OVER_MS = 1000

/** A short answer is read to its end, which keeps the connection; another one ends it. */
function passOver(answer: IncomingMessage): void {
  let length = 0
  const late = systemClock.after(PASSED_OVER_MS, () => answer.destroy())
  answer.on('data', (part: Buffer) => {
    length += part.length
    if (length > PASSED_OVER_BYTES) answer.destroy()
  })
  answer.on('error', () => {})
  answer.on('close', () => late.cancel())
}
