import { createHmac, timingSafeEqual } from 'node:crypto'

// Standard Webhooks 1.0.0: `v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`; keys are `whsec_` and base64.

/** A receiver refuses what is further away from its own clock */
const TOLERANCE_S = 300

/** One signature for each key, the newest first: a receiver that knows any of them is content. `at` in ms. */
export function signWebhook(
  secrets: readonly string[],
  id: string,
  at: number,
  body: string | Uint8Array,
): Record<'webhook-id' | 'webhook-timestamp' | 'webhook-signature', string> {
  const timestamp = String(Math.floor(at / 1000))
  const signatures = secrets.map((secret) => `v1,${signature(secret, id, timestamp, body).toString('base64')}`)
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures.join(' ') }
}

export type WebhookVerdict = { readonly ok: true; readonly id: string } | { readonly ok: false; readonly why: string }

/** `headers` with names in lower case; `now` in ms. Nothing is read from the body before this has said yes. */
export function verifyWebhook(
  secrets: readonly string[],
  headers: Readonly<Record<string, string>>,
  body: Uint8Array,
  now: number,
): WebhookVerdict {
  const id = headers['webhook-id'] ?? ''
  const timestamp = headers['webhook-timestamp'] ?? ''
  const signatures = headers['webhook-signature'] ?? ''
  if (!/^[A-Za-z0-9_-]{1,200}$/.test(id) || !/^\d{1,12}$/.test(timestamp)) return { ok: false, why: 'headers' }
  if (Math.abs(Math.floor(now / 1000) - Number(timestamp)) > TOLERANCE_S) return { ok: false, why: 'timestamp' }
  const given = signatures
    .split(' ')
    .slice(0, 20)
    .flatMap((each) => (each.startsWith('v1,') ? [Buffer.from(each.slice(3), 'base64')] : []))
  const isGood = secrets.some((secret) => {
    const expected = signature(secret, id, timestamp, body)
    return given.some((bytes) => bytes.length === expected.length && timingSafeEqual(bytes, expected))
  })
  return isGood ? { ok: true, id } : { ok: false, why: 'signature' }
}

function signature(secret: string, id: string, timestamp: string, body: string | Uint8Array): Buffer {
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64')
  return createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest()
}
