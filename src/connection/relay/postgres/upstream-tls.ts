import { isIP, type Socket } from 'node:net'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import type { UpstreamTls } from '../../authorization.ts'
import { upstreamContext, type ClientIdentity } from '../../upstream-context.ts'
import { SSL_REQUEST } from './wire/opening.ts'
import { ProtocolError } from './wire/protocol-error.ts'

const SSL_YES = 0x53

/**
 * SSLRequest, then TLS as `tls` says. A server that says no is not spoken to in clear. Destroys the socket where it fails.
 * Errors: what is wrong, in words for the person; what the signal says.
 */
export async function secureUpstream(
  socket: Socket,
  tls: UpstreamTls,
  identity: ClientIdentity | null,
  signal: AbortSignal,
): Promise<TLSSocket> {
  try {
    await askForTls(socket, signal)
    return await handshake(socket, tls, identity, signal)
  } catch (error) {
    socket.destroy()
    throw error
  }
}

/** The answer is one byte, and nothing may stand behind it: it would be taken for a part of the TLS session (CVE-2021-23222). */
function askForTls(socket: Socket, signal: AbortSignal): Promise<void> {
  return settled(socket, signal, (resolve, reject) => {
    socket.once('data', (answer: Buffer) => {
      socket.pause()
      if (answer[0] !== SSL_YES) reject(new ProtocolError('the server does not speak TLS'))
      else if (answer.length > 1)
        reject(new ProtocolError('the server sent something in clear behind its answer to SSLRequest'))
      else resolve()
    })
    socket.write(SSL_REQUEST)
  })
}

function handshake(
  socket: Socket,
  tls: UpstreamTls,
  identity: ClientIdentity | null,
  signal: AbortSignal,
): Promise<TLSSocket> {
  const secure = connect({ socket, ...tlsOptions(tls, identity) })
  return settled(secure, signal, (resolve) => {
    secure.once('secureConnect', () => resolve(secure))
  })
}

function tlsOptions(tls: UpstreamTls, identity: ClientIdentity | null): ConnectionOptions {
  const { mode, authorities, serverName } = tls
  return {
    rejectUnauthorized: true,
    secureContext: upstreamContext(authorities, identity),
    ALPNProtocols: ['postgresql'],
    host: serverName,
    // SNI takes no addresses.
    servername: isIP(serverName) === 0 ? serverName : '',
    ...(mode === 'verify-ca' ? { checkServerIdentity: () => undefined } : {}),
  }
}

/** Rejects when the socket ends first, or the signal is aborted. */
function settled<T>(
  socket: Socket,
  signal: AbortSignal,
  work: (resolve: (value: T) => void, reject: (error: Error) => void) => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      socket.off('error', onError)
      socket.off('close', onClose)
      signal.removeEventListener('abort', onAbort)
    }
    const fail = (error: Error): void => {
      stop()
      // Whatever else goes wrong with it is of no interest.
      socket.on('error', () => {})
      socket.destroy()
      reject(error)
    }
    const onError = (error: Error): void => fail(error)
    const onClose = (): void => fail(new Error('the server closed the connection'))
    const onAbort = (): void => fail(signal.reason as Error)
    socket.once('error', onError)
    socket.once('close', onClose)
    if (signal.aborted) {
      onAbort()
      return
    }
    signal.addEventListener('abort', onAbort, { once: true })
    work((value) => {
      stop()
      resolve(value)
    }, fail)
  })
}
