import type { X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import { TLSSocket, type SecureContext } from 'node:tls'
import { readFirstPacket } from './opening-exchange.ts'
import { SQLSTATE } from './wire/codes.ts'
import type { Startup } from './wire/opening.ts'
import { ProtocolError } from './wire/protocol-error.ts'
import { complaint } from './wire/server-messages.ts'

/** What a client may be asked and told before it is known: TLS is offered, Kerberos is not, and nothing goes on in clear. */
const ALPN = 'postgresql'
/** A client may ask for Kerberos first, then for TLS; nobody has a reason to ask more often. */
const MOST_ASKED = 3

const SSL_YES = Buffer.from('S')
const GSS_NO = Buffer.from('N')

export type Opened =
  | { readonly kind: 'left' }
  /** Whoever knows the key may cancel: it comes without TLS from older clients */
  | { readonly kind: 'cancel'; readonly key: Buffer; readonly socket: Socket | TLSSocket }
  | ClientOpening

export interface ClientOpening {
  readonly kind: 'startup'
  readonly socket: TLSSocket
  readonly startup: Startup
  /** Sent behind the startup message without waiting for an answer */
  readonly rest: Buffer
  /** Shown in TLS, and the client holds its key. Nothing else has been checked. Null: none was shown */
  readonly certificate: X509Certificate | null
}

/**
 * From the first byte to the startup message. `socket` has been sniffed: nothing was taken from it.
 * Errors: ProtocolError, after the client has been told; what the signal says; TLS errors. The socket is closed then.
 */
export async function openClient(
  socket: Socket,
  isDirectTls: boolean,
  context: SecureContext,
  signal: AbortSignal,
): Promise<Opened> {
  let shown: Socket | TLSSocket = socket
  try {
    const asked = isDirectTls ? 'tls' : await untilTls(socket, signal)
    if (asked !== 'tls') return asked
    const secure = await secured(socket, context, isDirectTls, signal)
    shown = secure
    const packet = await readFirstPacket(secure, Buffer.alloc(0), signal)
    if (packet === null) return { kind: 'left' }
    const { opening, rest } = packet
    if (opening.kind === 'cancel') return { kind: 'cancel', key: opening.key, socket: secure }
    if (opening.kind !== 'startup') throw new ProtocolError('TLS is spoken already')
    return {
      kind: 'startup',
      socket: secure,
      startup: opening,
      rest,
      certificate: secure.getPeerX509Certificate() ?? null,
    }
  } catch (error) {
    if (error instanceof ProtocolError) tellAndClose(shown, error.sqlState, error.message)
    else shown.destroy()
    throw error
  }
}

/** The last words to a client that was not let in. */
export function tellAndClose(socket: Socket | TLSSocket, code: string, message: string, hint?: string): void {
  if (socket.destroyed) return
  // Whatever else it sends is read and dropped: a close with unread bytes would take the words away from it.
  socket.resume()
  socket.end(complaint({ severity: 'FATAL', code, message, ...(hint === undefined ? {} : { hint }) }))
}

async function untilTls(socket: Socket, signal: AbortSignal): Promise<'tls' | Opened> {
  for (let asked = 0; asked < MOST_ASKED; asked++) {
    const packet = await readFirstPacket(socket, Buffer.alloc(0), signal)
    if (packet === null) return { kind: 'left' }
    const { opening, rest } = packet
    if (opening.kind === 'cancel') return { kind: 'cancel', key: opening.key, socket }
    if (opening.kind === 'startup') {
      throw new ProtocolError(
        'this proxy speaks TLS only: connect with sslmode=require or higher',
        SQLSTATE.invalidAuthorization,
      )
    }
    // What somebody in between has put behind the request would be taken for a part of the TLS session (CVE-2021-23214).
    if (rest.length > 0) throw new ProtocolError('received unencrypted data after SSL request')
    if (opening.kind === 'ssl') {
      socket.write(SSL_YES)
      return 'tls'
    }
    socket.write(GSS_NO)
  }
  throw new ProtocolError('neither TLS nor a startup message')
}

function secured(socket: Socket, context: SecureContext, isDirect: boolean, signal: AbortSignal): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const secure = new TLSSocket(socket, {
      isServer: true,
      secureContext: context,
      requestCert: true,
      // It is judged afterwards, so that the client can be told what is wrong with it.
      rejectUnauthorized: false,
      ALPNProtocols: [ALPN],
    })
    const stop = (): void => {
      signal.removeEventListener('abort', onAbort)
      secure.off('error', onError)
      secure.off('close', onClose)
    }
    const fail = (error: Error): void => {
      stop()
      secure.on('error', () => {})
      secure.destroy()
      reject(error)
    }
    const onError = (error: Error): void => fail(error)
    const onClose = (): void => fail(new Error('the client left during the TLS handshake'))
    const onAbort = (): void => fail(signal.reason as Error)
    secure.once('error', onError)
    secure.once('close', onClose)
    signal.addEventListener('abort', onAbort, { once: true })
    secure.once('secure', () => {
      stop()
      secure.on('error', () => {})
      if (isDirect && secure.alpnProtocol !== ALPN) fail(new Error('direct TLS without ALPN'))
      else resolve(secure)
    })
  })
}
