import { createHmac, randomUUID, timingSafeEqual } from 'node:crypto'
import { BadSignature, SallyportError } from './errors.ts'

// Standard Webhooks 1.0.0, symmetric: `v1,` and base64 of HMAC-SHA-256 over `id.timestamp.body`.

const TOLERANCE_S = 300

/** As `fetch` and `verifyWebhook` take them. */
export type WebhookHeaders = {
  readonly 'webhook-id': string
  /** Seconds since the epoch */
  readonly 'webhook-timestamp': string
  readonly 'webhook-signature': string
}

/** `secret`: `whsec_` and base64. Sign the very bytes that are sent. */
export function signWebhook(
  secret: string,
  body: string | Uint8Array,
  { id = `msg_${randomUUID()}`, at = Date.now() }: { readonly id?: string; readonly at?: number } = {},
): WebhookHeaders {
  const timestamp = String(Math.floor(at / 1000))
  const signature = `v1,${macOf(keyOf(secret), id, timestamp, body).toString('base64')}`
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature }
}

export interface VerifiedWebhook {
  /** The same when it is sent again: keep those of the last days and drop doubles */
  readonly id: string
  /** Milliseconds */
  readonly sentAt: number
}

/**
 * Checks the raw body, before it is parsed. Several secrets while one is replaced. Errors: BadSignature when it is forged, more
 * than five minutes old or ahead, or lacks a header; nothing else is said about why.
 */
export function verifyWebhook(
  secrets: string | readonly string[],
  headers: Headers | Readonly<Record<string, string | readonly string[] | undefined>>,
  body: string | Uint8Array,
  { now = Date.now() }: { readonly now?: number } = {},
): VerifiedWebhook {
  const keys = (typeof secrets === 'string' ? [secrets] : secrets).map(keyOf)
  const id = headerOf(headers, 'webhook-id')
  const timestamp = headerOf(headers, 'webhook-timestamp')
  const signatures = headerOf(headers, 'webhook-signature').split(' ').slice(0, 20)
  if (id === '' || id.length > 200 || !/^\d{1,12}$/.test(timestamp)) throw bad()
  if (Math.abs(now / 1000 - Number(timestamp)) > TOLERANCE_S) throw bad()
  const macs = keys.map((key) => macOf(key, id, timestamp, body))
  const isGood = signatures
    .filter((each) => each.startsWith('v1,'))
    .map((each) => Buffer.from(each.slice(3), 'base64'))
    .some((given) => macs.some((mac) => given.length === mac.length && timingSafeEqual(given, mac)))
  if (!isGood) throw bad()
  return { id, sentAt: Number(timestamp) * 1000 }
}

const bad = (): BadSignature =>
  new BadSignature('bad_signature', 'the webhook is not signed with this secret, or not now')

function keyOf(secret: string): Buffer {
  const key = Buffer.from(/^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret)?.[1] ?? '', 'base64')
  if (key.length >= 24 && key.length <= 64) return key
  throw new SallyportError('malformed', 'a webhook secret is whsec_ and base64 of 24 to 64 bytes')
}

function macOf(key: Buffer, id: string, timestamp: string, body: string | Uint8Array): Buffer {
  return createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest()
}

function headerOf(
  headers: Headers | Readonly<Record<string, string | readonly string[] | undefined>>,
  name: string,
): string {
  if (headers instanceof Headers) return headers.get(name) ?? ''
  const found = Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1]
  return typeof found === 'string' ? found : ''
}
