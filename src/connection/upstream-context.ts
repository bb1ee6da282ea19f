import { createSecureContext, type SecureContext } from 'node:tls'

/** What a server is shown, as PEM. */
export interface ClientIdentity {
  readonly key: string
  readonly certificate: string
}

const MOST_KNOWN = 64
const known = new Map<string | null, SecureContext>()

/**
 * TLS as a client of a database server. Who signs in by a certificate has a key of their own in each connection; what is the same
 * for all others is made once. `authorities`: PEM, null: those of the system.
 */
export function upstreamContext(authorities: string | null, identity: ClientIdentity | null): SecureContext {
  const trust = { minVersion: 'TLSv1.2', ...(authorities === null ? {} : { ca: authorities }) } as const
  if (identity !== null) return createSecureContext({ ...trust, key: identity.key, cert: identity.certificate })
  const before = known.get(authorities)
  if (before) return before
  if (known.size >= MOST_KNOWN) known.clear()
  const context = createSecureContext(trust)
  known.set(authorities, context)
  return context
}

/** RFC 7468. Node would parse the certificate for it. */
export function certificatePem(der: Uint8Array): string {
  const text = Buffer.from(der.buffer, der.byteOffset, der.length).toString('base64')
  return `-----BEGIN CERTIFICATE-----\n${text.replace(/.{64}(?=.)/g, '$&\n')}\n-----END CERTIFICATE-----\n`
}
