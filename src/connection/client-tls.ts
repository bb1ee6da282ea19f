import { constants } from 'node:crypto'
import { createSecureContext, type SecureContext } from 'node:tls'
import type { WorkerSettings } from './control-plane.ts'

type TlsSettings = Pick<WorkerSettings, 'tls' | 'userX509Authorities'>

/**
 * What a TLS server that asks for a user's certificate is made of; made anew only when the settings have changed. No tickets, and
 * nothing that a session could be resumed from: a resumed session would not show its certificate again.
 */
export function clientTlsContext(settings: () => TlsSettings): () => SecureContext {
  let last: { readonly from: TlsSettings; readonly context: SecureContext } | null = null
  return () => {
    const { tls, userX509Authorities } = settings()
    if (last?.from.tls !== tls || last.from.userX509Authorities !== userX509Authorities) {
      const context = createSecureContext({
        key: tls.keyPem,
        cert: tls.certificatePem,
        ca: [...userX509Authorities],
        minVersion: 'TLSv1.2',
        // Without it a client that tries to resume (mysql2 does) fails instead of starting anew.
        sessionIdContext: 'sallyport',
        secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
      })
      last = { from: { tls, userX509Authorities }, context }
    }
    return last.context
  }
}
