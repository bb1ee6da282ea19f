import { OutboundRefused } from '../../foundation/outbound-fetch.ts'
import { DeliveryFailed } from '../connector.ts'
import { cutText, visibleLine } from '../words/inert-text.ts'

/** What nodemailer says of a failure. `response` is the server's own text. */
interface SmtpError {
  readonly code?: string | undefined
  readonly command?: string | undefined
  readonly responseCode?: number | undefined
  readonly response?: string | undefined
  readonly message?: string | undefined
}

/** Only these bring nothing but an operator's change: the password, the certificate, the settings. */
const BROKEN_SETUP = new Set(['EAUTH', 'ENOAUTH', 'ETLS', 'EREQUIRETLS', 'ECONFIG'])

/**
 * Permanent answers (5xx) to the recipient break the destination; to us, or to the sender's address, the integration. The rest,
 * 4xx and lost connections, is tried again. `secrets` never come back in a text, whatever the server echoes.
 */
export function smtpVerdict(error: unknown, secrets: readonly string[]): DeliveryFailed {
  if (error instanceof DeliveryFailed) return error
  if (error instanceof OutboundRefused) return new DeliveryFailed('integration', error.message)
  const failure = typeof error === 'object' && error !== null ? (error as SmtpError) : {}
  const text = told(failure, secrets)
  const permanent = (failure.responseCode ?? 0) >= 500
  if (failure.responseCode === 421 || failure.responseCode === 454) return new DeliveryFailed('retry', text)
  if (failure.code === 'EAUTH' && failure.responseCode !== undefined && !permanent)
    return new DeliveryFailed('retry', text)
  if (BROKEN_SETUP.has(failure.code ?? '') || isUntrusted(failure)) return new DeliveryFailed('integration', text)
  if (failure.responseCode === 530 || failure.responseCode === 535) return new DeliveryFailed('integration', text)
  if (!permanent) return new DeliveryFailed('retry', text)
  return new DeliveryFailed(failure.command === 'MAIL FROM' ? 'integration' : 'destination', text)
}

const UNTRUSTED = /self[- ]signed|certificate|altname|unable to verify|wrong version number/i

const isUntrusted = ({ code, message }: SmtpError): boolean => code === 'ESOCKET' && UNTRUSTED.test(message ?? '')

function told({ code, response, message }: SmtpError, secrets: readonly string[]): string {
  const said = visibleLine(response ?? message ?? 'the connection failed')
  const hidden = secrets.reduce((text, secret) => (secret === '' ? text : text.replaceAll(secret, '***')), said)
  return cutText(`mail server: ${code === undefined ? '' : `${code}: `}${hidden}`, 500)
}
