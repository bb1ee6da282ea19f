import { connect } from 'node:net'
import { createSecureContext, TLSSocket, type SecureContext } from 'node:tls'
import type { Clock } from '../../foundation/clock.ts'
import type { Log } from '../../foundation/log.ts'
import type { Arrival } from './listener.ts'

const HANDSHAKE_DEADLINE_MS = 10_000
/** The API keeps idle connections for a minute: one address must not fill the port with them. An office behind NAT fits. */
const MOST_PER_ADDRESS = 256

/**
 * Ends TLS here and passes the clear bytes to the API's Unix socket, behind one line `PEER address port`. No tickets and no
 * resumption: each connection proves itself anew.
 */
export class TlsToApi {
  readonly #clock: Clock
  readonly #log: Log
  #context: SecureContext | null = null
  #apiSocket = ''
  readonly #open = new Map<string, number>()

  constructor(clock: Clock, log: Log) {
    this.#clock = clock
    this.#log = log
  }

  configure(settings: { tls: { keyPem: string; certificatePem: string }; apiSocket: string }): void {
    this.#context = createSecureContext({
      key: settings.tls.keyPem,
      cert: settings.tls.certificatePem,
      minVersion: 'TLSv1.3',
    })
    this.#apiSocket = settings.apiSocket
  }

  serve(arrival: Arrival): void {
    const open = this.#open.get(arrival.address) ?? 0
    if (!this.#context || open >= MOST_PER_ADDRESS) {
      arrival.socket.destroy()
      return
    }
    this.#open.set(arrival.address, open + 1)
    arrival.socket.once('close', () => this.#closed(arrival.address))
    const secure = new TLSSocket(arrival.socket, {
      isServer: true,
      secureContext: this.#context,
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
