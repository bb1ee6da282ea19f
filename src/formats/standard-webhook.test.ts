import { describe, expect, test } from 'vitest'
import { signWebhook, verifyWebhook } from './standard-webhook.ts'

const SECRET = `whsec_${Buffer.alloc(24, 7).toString('base64')}`
const OTHER = `whsec_${Buffer.alloc(32, 9).toString('base64')}`
const NOW = Date.UTC(2026, 0, 1)
const body = Buffer.from('{"type":"request.pending"}')
const signed = signWebhook([SECRET], 'msg_1', NOW, body)

describe('webhooks by Standard Webhooks 1.0.0', () => {
  test('a signature is what the specification computes', () => {
    // The example of the specification's libraries.
    const headers = signWebhook(
      ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'],
      'msg_p5jXN8AQM9LWM0D4loKWxJek',
      1_614_265_330_000,
      '{"test": 2432232314}',
    )
    expect(headers['webhook-signature']).toBe('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=')
  })

  test('what was signed is accepted, and by any of the secrets while one is replaced', () => {
    expect(verifyWebhook([SECRET], signed, body, NOW)).toEqual({ ok: true, id: 'msg_1' })
    expect(verifyWebhook([OTHER, SECRET], signed, body, NOW).ok).toBe(true)
    expect(verifyWebhook([OTHER], signWebhook([SECRET, OTHER], 'msg_1', NOW, body), body, NOW).ok).toBe(true)
  })

  test.each([
    ['another key', [OTHER], signed, body, NOW],
    ['no key', [], signed, body, NOW],
    ['a flipped byte', [SECRET], signed, Buffer.from('{"type":"request.pendinG"}'), NOW],
    ['another id', [SECRET], { ...signed, 'webhook-id': 'msg_2' }, body, NOW],
    ['an id with a dot', [SECRET], signWebhook([SECRET], 'a.b', NOW, body), body, NOW],
    ['no headers', [SECRET], {}, body, NOW],
    ['no signature', [SECRET], { ...signed, 'webhook-signature': '' }, body, NOW],
    ['an empty signature', [SECRET], { ...signed, 'webhook-signature': 'v1,' }, body, NOW],
    [
      'a shortened signature',
      [SECRET],
      { ...signed, 'webhook-signature': signed['webhook-signature'].slice(0, 20) },
      body,
      NOW,
    ],
    [
      'trap 4: a signature of another algorithm',
      [SECRET],
      { ...signed, 'webhook-signature': signed['webhook-signature'].replace('v1,', 'v1a,') },
      body,
      NOW,
    ],
    ['trap 3: 301 seconds late', [SECRET], signed, body, NOW + 301_000],
    ['trap 3: 301 seconds early', [SECRET], signed, body, NOW - 301_000],
  ] as const)('%s is refused', (_what, secrets, headers, bytes, now) => {
    expect(verifyWebhook(secrets, headers, bytes, now).ok).toBe(false)
  })

  test('trap 4: one good signature among bad ones is enough', () => {
    const headers = { ...signed, 'webhook-signature': `v1,YmFk v1a,YmFk ${signed['webhook-signature']}` }
    expect(verifyWebhook([SECRET], headers, body, NOW).ok).toBe(true)
  })
})
