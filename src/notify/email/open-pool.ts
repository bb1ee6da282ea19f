import type { Socket } from 'node:net'
import { createTransport } from 'nodemailer'
import type { EmailSecrets, EmailSettings } from '../../contract/vendors/email.ts'
import type { OutboundConnect } from '../../foundation/outbound-fetch.ts'

export type MailPool = ReturnType<typeof openPool>

type SocketReady = (error: Error | null, socket?: { connection: Socket }) => void

const SILENCE_MS = 20_000

/**
 * Few connections, kept for half a minute, over sockets that `connect` opened: nodemailer itself resolves and dials nothing.
 * TLS always, checked against the host that was configured.
 */
export function openPool(
  { smtp, per_minute }: EmailSettings,
  { password }: EmailSecrets,
  connect: OutboundConnect,
  silenceMs = SILENCE_MS,
) {
  const implicit = smtp.tls === 'implicit'
  const port = smtp.port ?? (implicit ? 465 : 587)
  return createTransport({
    pool: true,
    host: smtp.host,
    port,
    secure: implicit,
    requireTLS: !implicit,
    tls: { minVersion: 'TLSv1.2', rejectUnauthorized: true, ...(smtp.ca === undefined ? {} : { ca: smtp.ca }) },
    ...(smtp.username === undefined ? {} : { auth: { user: smtp.username, pass: password ?? '' } }),
    getSocket: (_options: unknown, done: SocketReady) => {
      // `connect` has a deadline of its own; a signal would end the connection later on as well.
      const opening = connect(smtp.host, port, new AbortController().signal)
      // oxlint-disable-next-line promise/no-callback-in-promise -- the callback is how nodemailer takes a socket
      opening.then((connection) => done(null, { connection }), failed(done))
    },
    maxConnections: 2,
    maxMessages: 100,
    // Who retries is the engine alone: it knows whether the message is still wanted.
    maxRequeues: 0,
    rateLimit: per_minute,
    rateDelta: 60_000,
    idleTimeout: 30_000,
    connectionTimeout: silenceMs,
    greetingTimeout: silenceMs,
    socketTimeout: silenceMs,
    maxResponseSize: 65_536,
    logger: false,
    disableFileAccess: true,
    disableUrlAccess: true,
  })
}

const failed =
  (done: SocketReady) =>
  (error: unknown): void =>
    done(error instanceof Error ? error : new Error('the connection failed'))
