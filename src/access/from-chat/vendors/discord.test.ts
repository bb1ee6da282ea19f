import { expect, test } from 'vitest'
import { applicationKey, signedHeaders } from '../../../../test/support/discord/sign-interaction.ts'
import type { KnownMessage, Verified } from '../chat-verifier.ts'
import { discordVerifier } from './discord.ts'

const NOW = Date.UTC(2026, 0, 1)
const SECONDS = NOW / 1000
const key = applicationKey()
const ids = { app: '100000000000000001', guild: '200000000000000001', channel: '300000000000000001' }
const settings = { application_id: ids.app, public_key: key.publicHex, guild_ids: [ids.guild] }
const message: KnownMessage = {
  id: 'msg_1',
  requestId: 'req_1',
  audience: 'channel',
  channel: ids.channel,
  account: null,
  external: null,
}

const press = {
  id: '400000000000000001',
  application_id: ids.app,
  type: 3,
  guild_id: ids.guild,
  channel_id: ids.channel,
  member: { user: { id: '500000000000000001', username: 'bob' } },
  message: { id: '600000000000000001', content: 'whatever it says' },
  data: { component_type: 2, custom_id: 'press:approve:0123abcd' },
}

interface Change {
  readonly body?: string
  readonly headers?: Record<string, string>
  readonly seconds?: number
  readonly path?: string
  readonly via?: 'http' | 'socket'
}

async function verified(interaction: object, change: Change = {}): Promise<Verified> {
  const signed = JSON.stringify(interaction)
  const headers = { ...signedHeaders(key, signed, change.seconds ?? SECONDS), ...change.headers }
  const body = new TextEncoder().encode(change.body ?? signed)
  const callback = {
    integration: 'chat',
    path: change.path ?? 'interactions',
    headers,
    body,
    via: change.via ?? 'http',
  }
  return discordVerifier.verify(
    callback,
    { settings, secrets: {} },
    {
      integration: 'chat',
      now: NOW,
      messageOf: (id) => Promise.resolve(id === '0123abcd' ? message : null),
      messageNamed: () => Promise.resolve(null),
      fetch: () => Promise.reject(new Error('asked the vendor')),
    },
  )
}

test('a press says which account of which server pressed which button of which message', async () => {
  expect(await verified(press)).toEqual({
    kind: 'event',
    event: {
      eventId: press.id,
      account: { tenant: ids.guild, id: '500000000000000001', name: 'bob' },
      act: { kind: 'button', button: 'approve', buttonId: '0123abcd', message: `${ids.channel}/600000000000000001` },
    },
  })
})

test('a form brings its nonce and fields, typed or chosen, in both shapes that Discord has', async () => {
  const data = {
    custom_id: 'form:nonce1',
    components: [
      { type: 18, component: { type: 4, custom_id: 'reason', value: 'because' } },
      { type: 18, component: { type: 3, custom_id: 'roles', values: ['dba', 'dev'] } },
      { type: 1, components: [{ type: 4, custom_id: 'duration', value: '30m' }] },
      { type: 18, component: { type: 4, custom_id: 'reviewer', value: 'admin' } },
      { type: 10, content: 'text' },
    ],
  }
  const found = await verified({ ...press, type: 5, data })
  expect(found).toMatchObject({
    event: { act: { kind: 'form', nonce: 'nonce1', fields: { reason: 'because', roles: 'dba,dev', duration: '30m' } } },
  })
  expect(JSON.stringify(found)).not.toContain('admin')
})

test('a command brings what was typed, a ping and a program bring nothing', async () => {
  const data = { name: 'access', options: [{ type: 3, name: 'text', value: 'mine' }] }
  expect(await verified({ ...press, type: 2, data })).toMatchObject({
    event: { act: { kind: 'command', text: 'mine' } },
  })
  expect(await verified({ ...press, type: 2, data: { name: 'access' } })).toMatchObject({
    event: { act: { kind: 'command', text: '' } },
  })
  expect(await verified({ id: press.id, application_id: ids.app, type: 1 })).toEqual({ kind: 'ignored', why: 'ping' })
  const bot = { user: { id: '500000000000000001', username: 'bob', bot: true } }
  expect(await verified({ ...press, member: bot })).toMatchObject({ kind: 'ignored' })
})

const good = JSON.stringify(press)
const goodHeaders = signedHeaders(key, good, SECONDS)
const flip = (hex: string): string => `${hex.startsWith('0') ? '1' : '0'}${hex.slice(1)}`

test.each<[string, Change]>([
  ['signed with another key', { headers: signedHeaders(applicationKey(), good, SECONDS) }],
  [
    'with a flipped bit in its signature',
    { headers: { 'x-signature-ed25519': flip(goodHeaders['x-signature-ed25519'] ?? '') } },
  ],
  [
    'with half a signature',
    { headers: { 'x-signature-ed25519': (goodHeaders['x-signature-ed25519'] ?? '').slice(0, 64) } },
  ],
  [
    'with capital letters for a signature',
    { headers: { 'x-signature-ed25519': (goodHeaders['x-signature-ed25519'] ?? '').toUpperCase() } },
  ],
  ['without a signature', { headers: { 'x-signature-ed25519': '' } }],
  ['without a time', { headers: { 'x-signature-timestamp': '' } }],
  ['whose time was changed', { headers: { 'x-signature-timestamp': String(SECONDS + 1) } }],
  ['whose bytes were written anew', { body: JSON.stringify(press, null, 1) }],
  ['with a changed byte', { body: good.replace('approve', 'apprOve') }],
  ['that comes in by another path', { path: 'commands' }],
  ['that comes in by a socket', { via: 'socket' }],
])('trap 1: an interaction %s is not believed', async (_, change) => {
  expect((await verified(press, change)).kind).toBe('rejected')
})

test('trap 3: an interaction that was signed more than five minutes ago, or is from later, is not believed', async () => {
  expect((await verified(press, { seconds: SECONDS - 300 })).kind).toBe('event')
  expect((await verified(press, { seconds: SECONDS + 300 })).kind).toBe('event')
  expect(await verified(press, { seconds: SECONDS - 301 })).toEqual({ kind: 'rejected', why: 'too_old' })
  expect(await verified(press, { seconds: SECONDS + 301 })).toEqual({ kind: 'rejected', why: 'too_old' })
})

test.each([
  ['another application', { ...press, application_id: '100000000000000009' }, 'other_application'],
  ['another server', { ...press, guild_id: '200000000000000009' }, 'other_tenant'],
  ['a direct message', { ...press, guild_id: undefined, member: undefined, user: press.member.user }, 'other_tenant'],
  ['another channel than the message was sent to', { ...press, channel_id: '300000000000000009' }, 'other_channel'],
])('trap 5: what comes from %s counts for nothing', async (_, interaction, why) => {
  expect(await verified(interaction)).toEqual({ kind: 'rejected', why })
})

test('trap 12: what a message says plays no part', async () => {
  const edited = {
    ...press,
    message: { ...press.message, content: 'alice asks for nothing', embeds: [{ title: 'x' }] },
  }
  expect(await verified(edited)).toEqual(await verified(press))
})

test('what is no interaction at all is refused without an error', async () => {
  for (const body of ['', 'null', '[]', '"x"', '{"type":3}', '{'.repeat(1000)]) {
    const headers = signedHeaders(key, body, SECONDS)
    expect((await verified(press, { body, headers })).kind).toBe('rejected')
  }
  for (const odd of [{ data: null }, { data: { custom_id: 'x'.repeat(101) } }, { message: null }, { member: null }])
    expect(['rejected', 'ignored']).toContain((await verified({ ...press, ...odd })).kind)
})
