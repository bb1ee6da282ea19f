import { X509Certificate } from 'node:crypto'
import { connect } from 'node:net'
import { createSecureContext, TLSSocket, type SecureContext } from 'node:tls'
import { OWN_ALPN } from '../../formats/own-alpn.ts'
import type { Clock } from '../../foundation/clock.ts'
import type { Log } from '../../foundation/log.ts'
import type { WorkerSettings } from '../control-plane.ts'
import type { Arrival } from './listener.ts'

const HANDSHAKE_DEADLINE_MS = 10_000
/** The API keeps idle connections for a minute: one address must not fill the port with them. An office behind NAT fits. */
const MOST_PER_ADDRESS = 256

/** What a client said before anything was answered */
export interface TlsHello {
  readonly serverName: string | null
  readonly alpn: readonly string[]
}

/**
 * Ends TLS here and passes the clear bytes to the API's Unix socket, behind one line `PEER address port`. No tickets and no
 * resumption: each connection proves itself anew.
 */
export class TlsToApi {
  readonly #clock: Clock
  readonly #log: Log
  #context: SecureContext | null = null
  #web: { readonly context: SecureContext; readonly certificate: X509Certificate } | null = null
  #apiSocket = ''
  readonly #open = new Map<string, number>()

  constructor(clock: Clock, log: Log) {
    this.#clock = clock
    this.#log = log
  }

  configure(settings: Pick<WorkerSettings, 'tls' | 'webTls' | 'apiSocket'>): void {
    this.#context = createSecureContext({
      key: settings.tls.keyPem,
      cert: settings.tls.certificatePem,
      minVersion: 'TLSv1.3',
    })
    const { webTls } = settings
    this.#web = webTls && {
      // Not every vendor that calls speaks 1.3.
      context: createSecureContext({ key: webTls.keyPem, cert: webTls.certificatePem, minVersion: 'TLSv1.2' }),
      certificate: new X509Certificate(webTls.certificatePem),
    }
    this.#apiSocket = settings.apiSocket
  }

  serve(arrival: Arrival, hello: TlsHello): void {
    const open = this.#open.get(arrival.address) ?? 0
    const secureContext = this.#contextFor(hello)
    if (!secureContext || open >= MOST_PER_ADDRESS) {
      arrival.socket.destroy()
      return
    }
    this.#open.set(arrival.address, open + 1)
    arrival.socket.once('close', () => this.#closed(arrival.address))
    const secure = new TLSSocket(arrival.socket, {
      isServer: true,
      secureContext,
      ALPNProtocols: ['http/1.1'],
    })
    const deadline = this.#clock.after(HANDSHAKE_DEADLINE_MS, () => secure.destroy())
    secure.once('close', () => deadline.cancel())
    secure.on('error', (error) => this.#log.debug({ address: arrival.address, err: error.message }, 'TLS ended'))
    secure.once('secure', () => {
      deadline.cancel()
      this.#passOn(arrival, secure)
    })
  }

  /** Our own clients trust the installation's authority and no other, by whatever name they come. */
  #contextFor({ serverName, alpn }: TlsHello): SecureContext | null {
    if (!this.#web || serverName === null || alpn.includes(OWN_ALPN)) return this.#context
    const isItsName = this.#web.certificate.checkHost(serverName, { subject: 'never' }) !== undefined
    return isItsName ? this.#web.context : this.#context
  }

  #closed(address: string): void {
    const open = (this.#open.get(address) ?? 1) - 1
    if (open > 0) this.#open.set(address, open)
    else this.#open.delete(address)
  }

  #passOn(arrival: Arrival, secure: TLSSocket): void {
    // The API has limits of its own for callers that have not signed in.
    arrival.signedIn()
    const api = connect(this.#apiSocket)
    api.once('connect', () => {
      api.write(`PEER ${arrival.address} ${arrival.port}\n`)
      // pipe() keeps half-closes and back-pressure; the two 'close' listeners below see to abrupt ends.
      secure.pipe(api)
      api.pipe(secure)
    })
    api.on('error', (error) => {
      this.#log.warn({ err: error.message }, 'the API does not answer')
      secure.destroy()
    })
    api.once('close', () => secure.destroy())
    secure.once('close', () => api.destroy())
  }
}
