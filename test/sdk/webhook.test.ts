import { describe, expect, test } from 'vitest'
import { BadSignature, signWebhook, verifyWebhook } from '../../sdk/index.ts'

const secret = `whsec_${Buffer.alloc(32, 1).toString('base64')}`
const other = `whsec_${Buffer.alloc(32, 2).toString('base64')}`
const at = 1_700_000_000_000
const body = '{"a":1}'
const headers = signWebhook(secret, body, { id: 'msg_1', at })

// The worked example of the Standard Webhooks specification.
test('signs as the specification does', () => {
  const known = signWebhook('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', '{"test": 2432232314}', {
    id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    at: 1_614_265_330_000,
  })
  expect(known['webhook-signature']).toBe('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=')
})

test('what was signed is verified, by the first or the second secret, and in any spelling of the headers', () => {
  expect(verifyWebhook(secret, headers, body, { now: at })).toEqual({ id: 'msg_1', sentAt: at })
  expect(verifyWebhook([other, secret], new Headers({ ...headers }), Buffer.from(body), { now: at }).id).toBe('msg_1')
  const spelled = { 'Webhook-Id': 'msg_1', 'Webhook-Timestamp': headers['webhook-timestamp'] }
  expect(
    verifyWebhook(secret, { ...spelled, 'WEBHOOK-SIGNATURE': `v1,AAAA ${headers['webhook-signature']}` }, body, {
      now: at,
    }).id,
  ).toBe('msg_1')
})

describe('refuses', () => {
  const signature = headers['webhook-signature']
  test.each([
    ['another secret', [other, headers, body, at]],
    ['another body', [secret, headers, `${body} `, at]],
    ['another id', [secret, { ...headers, 'webhook-id': 'msg_2' }, body, at]],
    ['another time', [secret, { ...headers, 'webhook-timestamp': String(at / 1000 + 1) }, body, at]],
    ['one that is 301 s old', [secret, headers, body, at + 301_000]],
    ['one of 301 s ahead', [secret, headers, body, at - 301_000]],
    ['no signature', [secret, { ...headers, 'webhook-signature': '' }, body, at]],
    ['an empty signature', [secret, { ...headers, 'webhook-signature': 'v1,' }, body, at]],
    [
      'a signature of another kind',
      [secret, { ...headers, 'webhook-signature': signature.replace('v1,', 'v1a,') }, body, at],
    ],
    ['half a signature', [secret, { ...headers, 'webhook-signature': signature.slice(0, 20) }, body, at]],
    ['a time that is no number', [secret, { ...headers, 'webhook-timestamp': '1e9' }, body, at]],
    ['no headers', [secret, {}, body, at]],
  ] as const)('%s', (_what, [key, given, text, now]) => {
    expect(() => verifyWebhook(key, given, text, { now })).toThrow(BadSignature)
  })

  test('a secret that is none, before anything is looked at', () => {
    for (const none of ['', 'whsec_', 'whsec_AAAA', 'secret'])
      expect(() => verifyWebhook(none, headers, body, { now: at })).toThrow('24 to 64 bytes')
    expect(() => verifyWebhook([], headers, body, { now: at })).toThrow(BadSignature)
  })
})
