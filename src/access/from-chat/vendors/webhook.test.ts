import { describe, expect, test } from 'vitest'
import type { RawCallback } from '../../../contract/from-chat.ts'
import { signWebhook } from '../../../formats/standard-webhook.ts'
import type { Verified } from '../chat-verifier.ts'
import { webhookVerifier } from './webhook.ts'

const NOW = Date.UTC(2026, 10, 22, 12)
const secretOf = (byte: number): string => `whsec_${Buffer.alloc(32, byte).toString('base64')}`
const [OLD, NEW, OTHER] = [secretOf(1), secretOf(2), secretOf(3)]
const DATA = { message: 'msg_1', decision: 'approve', reason: 'by the rules' }
const BODY = JSON.stringify({ type: 'request.review', data: DATA })

interface Change {
  readonly body?: string
  readonly headers?: Record<string, string>
  readonly via?: RawCallback['via']
  readonly secrets?: readonly string[]
  readonly reviewers?: readonly string[]
  readonly inbound?: readonly string[]
  readonly at?: number
}

async function verified(change: Change = {}): Promise<Verified> {
  const { body = BODY, via = 'http', reviewers = ['rules-bot'], inbound = [OLD, NEW] } = change
  const headers = { ...signWebhook(change.secrets ?? [NEW], 'evt_1', change.at ?? NOW, body), ...change.headers }
  const url = 'https://rules.example/hook'
  const settings = { url, reviewers }
  const secrets = { signing_secrets: [OTHER], ...(inbound.length === 0 ? {} : { inbound_secrets: [...inbound] }) }
  const nothing = { messageOf: async () => null, messageNamed: async () => null }
  const fetch = () => Promise.reject(new Error('nothing is fetched here'))
  return await webhookVerifier.verify(
    { integration: 'hook', path: 'decisions', headers, body: Buffer.from(body), via },
    { settings, secrets },
    { integration: 'hook', now: NOW, ...nothing, fetch },
  )
}

describe('a decision by a webhook', () => {
  test('is of the service account that the document names, about the message that ours named', async () => {
    expect(await verified()).toEqual({
      kind: 'event',
      event: {
        eventId: 'evt_1',
        account: { tenant: 'sallyport', id: 'rules-bot', name: 'rules-bot' },
        act: { kind: 'moved', message: 'msg_1', decision: 'approve', reason: 'by the rules' },
      },
    })
  })

  test.each<[string, Change]>([
    ['with another secret', { secrets: [OTHER] }],
    ['with the secret that signs what we send', { secrets: [OTHER], inbound: [OLD] }],
    ['where no secret is configured', { inbound: [] }],
    ['over another body', { headers: signWebhook([NEW], 'evt_1', NOW, `${BODY} `) }],
    ['under another id', { headers: { 'webhook-id': 'evt_2' } }],
    ['without a signature', { headers: { 'webhook-signature': '' } }],
    ['with half a signature', { headers: { 'webhook-signature': 'v1,AAAA' } }],
    ['with the other kind of signature alone', { headers: { 'webhook-signature': `v1a,${'A'.repeat(86)}==` } }],
    ['without an id', { headers: { 'webhook-id': '' } }],
    ['without a time', { headers: { 'webhook-timestamp': '' } }],
    ['by a socket', { via: 'socket' }],
  ])('trap 1: signed %s is not believed', async (_, change) => {
    expect((await verified(change)).kind).toBe('rejected')
  })

  test('trap 3: a stamp of more than five minutes ago or ahead is not believed, however well it is signed', async () => {
    for (const off of [-300_000, 300_000]) expect((await verified({ at: NOW + off })).kind).toBe('event')
    for (const off of [-301_000, 301_000]) expect((await verified({ at: NOW + off })).kind).toBe('rejected')
  })

  test('trap 4: while a secret is replaced either counts, and one good signature among bad ones is enough', async () => {
    expect((await verified({ secrets: [OLD] })).kind).toBe('event')
    const good = signWebhook([NEW], 'evt_1', NOW, BODY)['webhook-signature'] ?? ''
    expect((await verified({ headers: { 'webhook-signature': `v1,AAAA v2,BBBB ${good}` } })).kind).toBe('event')
  })

  const saying = (data: object, reviewers?: readonly string[]) =>
    verified({
      body: JSON.stringify({ type: 'request.review', data: { ...DATA, ...data } }),
      ...(reviewers ? { reviewers } : {}),
    })

  test('trap 9: nobody but whom the document names is the reviewer, and of several one is named', async () => {
    expect(await saying({ reviewer: 'alice' })).toEqual({ kind: 'rejected', why: 'unknown_reviewer' })
    expect(await saying({}, ['one', 'two'])).toEqual({ kind: 'rejected', why: 'unknown_reviewer' })
    expect(await saying({}, [])).toEqual({ kind: 'rejected', why: 'unknown_reviewer' })
    expect(await saying({ reviewer: 'two' }, ['one', 'two'])).toMatchObject({ event: { account: { id: 'two' } } })
  })

  test('trap 12: what it says besides of request, role or length is not read', async () => {
    expect(await saying({ request: 'req_other', roles: ['root'], duration: '14d' })).toEqual(await verified())
  })

  test.each(['', 'null', '[]', '"x"', '{', '{"type":"request.review"}', '{"type":"request.create","data":{}}'])(
    'what is well signed and no decision does nothing: %j',
    async (body) => {
      expect(await verified({ body })).toEqual({ kind: 'ignored', why: 'no decision' })
    },
  )

  test.each([
    { decision: 'revoke' },
    { message: '' },
    { message: 'm'.repeat(201) },
    { reason: 'r'.repeat(4097) },
    { reviewer: 'r'.repeat(64) },
    { message: { $ne: null } },
  ])('nor does one with a field that is none: %j', async (data) => {
    expect((await saying(data)).kind).toBe('ignored')
  })
})
