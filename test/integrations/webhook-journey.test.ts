// A real daemon and a program of somebody's own at the other end of a webhook: told, down, told again, deciding.
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { request as tlsRequest } from 'node:https'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { signWebhook, verifyWebhook } from '../../src/formats/standard-webhook.ts'
import { startSallyport, type Account, type Sallyport } from '../support/sallyport.ts'
import { until } from '../support/until.ts'

const OUT = `whsec_${Buffer.alloc(32, 1).toString('base64')}`
const IN = `whsec_${Buffer.alloc(32, 2).toString('base64')}`

interface Told {
  readonly id: string
  readonly text: string
  readonly type: string
  readonly data: {
    readonly message: string
    readonly shown?: string
    readonly request?: { readonly id: string; readonly state: string }
  }
}

let sallyport: Sallyport
let alice: Account
let server: Server
let url = ''
let status = 200
/** Takes what comes and says nothing */
let silent = false
const told: Told[] = []
const refused: string[] = []

async function bytesOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  return Buffer.concat(parts)
}

const role = (name: string, spec: Record<string, unknown>) => sallyport.role({ kind: 'role', metadata: { name }, spec })
const botMayReview = (may: boolean) =>
  role('bot-reviewer', may ? { allow: { review_requests: { roles: ['dba', 'safe', 'pair'] } } } : {})

beforeAll(async () => {
  server = createServer((request, response) => {
    void bytesOf(request).then((body) => {
      const headers = Object.fromEntries(Object.entries(request.headers).map(([key, value]) => [key, String(value)]))
      const verdict = verifyWebhook([OUT], headers, body, Date.now())
      if (!verdict.ok) refused.push(verdict.why)
      else if (status === 200) {
        const parsed = JSON.parse(body.toString()) as Omit<Told, 'id' | 'text'>
        told.push({ id: verdict.id, text: body.toString(), ...parsed })
      }
      if (!silent) response.writeHead(verdict.ok ? status : 401).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`
  sallyport = await startSallyport()
  await role('dba', { options: { chat_approval: 'allowed' } })
  await role('safe', {})
  await role('pair', { options: { chat_approval: 'allowed' } })
  await role('engineer', { allow: { request: { roles: ['dba', 'safe'] } } })
  await role('two-needed', { allow: { request: { roles: ['pair'], thresholds: [{ approve: 2, deny: 1 }] } } })
  await botMayReview(true)
  await sallyport.user('alice', ['engineer', 'two-needed'])
  const made = ['--owner=alice', '--roles=bot-reviewer', '--scope=requests:read']
  await sallyport.user('olga', [])
  expect((await sallyport.admin('tokens', 'add', 'rules-bot', '--owner=olga', ...made.slice(1))).code).toBe(0)
  await sallyport.document(integration(['127.0.0.1/32']))
  alice = await sallyport.signIn('alice')
})
afterAll(async () => {
  await sallyport?.stop()
  server?.close()
})

const integration = (allow_networks: string[]) => ({
  kind: 'integration',
  version: 'v1',
  metadata: { name: 'hook' },
  spec: {
    ...{ vendor: 'webhook', url, deliver: [{ roles: ['*'] }], allow_networks, reviewers: ['rules-bot'] },
    secrets: { signing_secrets: [OUT], inbound_secrets: [IN] },
  },
})

async function ask(role: string, reason: string, ...more: string[]): Promise<string> {
  const asked = await alice.sally('request', 'create', `--roles=${role}`, `--reason=${reason}`, '--nowait', ...more)
  return /\breq_[0-9a-f-]{36}\b/.exec(asked.stdout)?.[0] ?? ''
}

const toldOf = (id: string, state: string): Promise<Told> =>
  until(`${id} told as ${state}`, () =>
    told.find((each) => each.data.request?.id === id && each.data.request.state === state),
  )

/** What the other end sends back; its status and body. */
function send(body: string, headers: Readonly<Record<string, string>>): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const request = tlsRequest(
      {
        ...{ host: '127.0.0.1', port: sallyport.port, path: '/v1/callbacks/hook/decisions', method: 'POST' },
        rejectUnauthorized: false,
        headers: { 'content-type': 'application/json', ...headers },
      },
      (answer) => {
        void bytesOf(answer).then((bytes) => resolve({ status: answer.statusCode ?? 0, text: bytes.toString() }))
      },
    )
    request.on('error', reject)
    request.end(body)
  })
}

const decision = (message: string, wanted: string): string =>
  JSON.stringify({ type: 'request.review', data: { message, decision: wanted, reason: 'by the rules' } })

const decide = (id: string, message: string, decision: string, secret = IN, more: object = {}) => {
  const body = JSON.stringify({ type: 'request.review', data: { message, decision, reason: 'by the rules', ...more } })
  return send(body, signWebhook([secret], id, Date.now(), body))
}

test('trap 21: a request is told once, signed and without its reason, and a signed decision of the service account decides it', async () => {
  const id = await ask('dba', `with AKIA${'ABCDEFGH12345678'}`)
  const { data, text } = await toldOf(id, 'pending')
  expect(text).not.toContain('AKIA')
  expect((await decide('forged', data.message, 'approve', OUT)).status).toBe(401)
  const first = await decide('decision-1', data.message, 'approve')
  expect(first).toMatchObject({ status: 200, text: expect.stringContaining('"done"') as string })
  expect(await decide('decision-1', data.message, 'deny')).toMatchObject({
    status: 200,
    text: expect.stringContaining('ignored') as string,
  })
  expect((await toldOf(id, 'approved')).data.message).toBe(data.message)
  const [approval] = await sallyport.events({ type: 'access_request.review', request: id })
  expect(approval?.actor.name).toBe('rules-bot')
  expect(refused).toEqual([])
})

test('a decision that names what it saw is about that: something made up is about nothing', async () => {
  const id = await ask('dba', 'seen')
  const { data } = await toldOf(id, 'pending')
  expect((await decide('guess', data.message, 'approve', IN, { shown: 'f'.repeat(32) })).status).toBe(422)
  expect((await decide('seen', data.message, 'approve', IN, { shown: data.shown })).text).toContain('"done"')
  await toldOf(id, 'approved')
})

test('a role that chat is not enough for is not decided by a webhook', async () => {
  const id = await ask('safe', 'carefully')
  const { data } = await toldOf(id, 'pending')
  expect((await decide('decision-2', data.message, 'approve')).status).toBe(422)
  expect(sallyport.rows('select state from access_requests where id = ?', id)).toEqual([{ state: 'pending' }])
})

test('trap 24: told to an address that is down, after a restart it gets the newest state once', async () => {
  status = 503
  const id = await ask('dba', 'while it is down')
  await until(
    'an attempt',
    () => sallyport.rows('select failure from messages where request_id = ? and failure is not null', id).length > 0,
  )
  expect((await alice.sally('request', 'cancel', id)).code).toBe(0)
  await sallyport.kill('SIGKILL')
  status = 200
  await sallyport.restart()
  await toldOf(id, 'cancelled')
  const about = told.filter((each) => each.data.request?.id === id)
  expect(about.map((each) => each.data.request?.state)).toEqual(['cancelled'])
})

const cancelled = async (id: string): Promise<void> => {
  expect((await alice.sally('request', 'cancel', id)).code).toBe(0)
}
const votesOn = (id: string) => sallyport.rows('select reviewer_id from reviews where request_id = ?', id)

test('trap 1, trap 3, trap 4: what is not signed over these bytes with the inbound secret, now, decides nothing', async () => {
  const id = await ask('dba', 'forged')
  const { data } = await toldOf(id, 'pending')
  const body = decision(data.message, 'approve')
  const now = Date.now()
  const good = signWebhook([IN], 'forged-1', now, body)
  const { 'webhook-id': _, ...unnamed } = good
  for (const [headers, bytes] of [
    [signWebhook([OUT], 'forged-2', now, body), body],
    [good, body.replace('approve', 'approvE')],
    [good, JSON.stringify(JSON.parse(body), null, 1)],
    [{ ...good, 'webhook-id': 'forged-3' }, body],
    [unnamed, body],
    [{ ...good, 'webhook-signature': good['webhook-signature'].slice(0, 30) }, body],
    [{ ...good, 'webhook-signature': good['webhook-signature'].replace('v1,', 'v1a,') }, body],
    [signWebhook([IN], 'forged-4', now - 302_000, body), body],
    [signWebhook([IN], 'forged-5', now + 310_000, body), body],
  ] as const)
    expect((await send(bytes, headers)).status).toBe(401)
  expect(votesOn(id)).toEqual([])
  for (const [at, name] of [
    [now - 280_000, 'skew-1'],
    [now + 280_000, 'skew-2'],
  ] as const) {
    const other = decision('wh_nothing', 'approve')
    expect((await send(other, signWebhook([IN], name, at, other))).status).not.toBe(401)
  }
  await cancelled(id)
})

test('trap 23: a decision of a megabyte is refused unread', async () => {
  const body = JSON.stringify({ type: 'request.review', data: { reason: 'x'.repeat(1_000_000) } })
  expect((await send(body, signWebhook([IN], 'large', Date.now(), body))).status).toBe(413)
})

test('trap 8: a service account that lost its role a moment ago decides nothing', async () => {
  const id = await ask('dba', 'no role')
  const { data } = await toldOf(id, 'pending')
  await botMayReview(false)
  expect((await decide('lost-1', data.message, 'approve')).status).toBe(422)
  expect(votesOn(id)).toEqual([])
  await botMayReview(true)
  await cancelled(id)
})

test('trap 10, trap 13: one account has one vote however often it decides, and none on what is decided', async () => {
  const id = await ask('pair', 'twice')
  const { data } = await toldOf(id, 'pending')
  expect((await decide('twice-1', data.message, 'approve')).status).toBe(200)
  await decide('twice-2', data.message, 'approve')
  expect(sallyport.rows('select state from access_requests where id = ?', id)).toEqual([{ state: 'pending' }])
  expect(new Set(votesOn(id).map(({ reviewer_id: who }) => who)).size).toBe(1)
  await cancelled(id)
  await toldOf(id, 'cancelled')
  expect((await decide('twice-3', data.message, 'deny')).status).toBe(422)
})

test('a request that nobody answers is told to have expired', async () => {
  const id = await ask('dba', 'late', '--pending-for=3s')
  const first = await toldOf(id, 'pending')
  const last = await toldOf(id, 'expired')
  expect([last.data.message, last.id === first.id]).toEqual([first.data.message, false])
})

test('killed between an address that took it and our noting it, the same state comes again under the same webhook-id', async () => {
  silent = true
  const id = await ask('dba', 'cut off')
  await toldOf(id, 'pending')
  await sallyport.kill('SIGKILL')
  silent = false
  await sallyport.restart()
  const again = () => told.filter((each) => each.data.request?.id === id && each.data.request.state === 'pending')
  await until('it to come again', () => again().length > 1, { within: 60_000 })
  expect(new Set(again().map((each) => `${each.id} ${each.text}`)).size).toBe(1)
  await cancelled(id)
})

test('killed between a decision’s arrival and the vote, the sender’s repetition is one vote', async () => {
  const id = await ask('pair', 'cut short')
  const { data } = await toldOf(id, 'pending')
  const body = decision(data.message, 'approve')
  const headers = signWebhook([IN], 'cut-1', Date.now(), body)
  for (const wait of [0, 2, 6]) {
    const sent = send(body, headers).catch(() => null)
    await new Promise((resolve) => setTimeout(resolve, wait))
    await sallyport.kill('SIGKILL')
    await sallyport.restart()
    await sent
  }
  expect((await send(body, headers)).status).toBe(200)
  expect((await send(body, headers)).text).toContain('ignored')
  expect(votesOn(id).length).toBe(1)
  expect((await sallyport.events({ type: 'access_request.review', request: id })).length).toBe(1)
})

test('trap 20: the secrets are in no log, event or document', async () => {
  const document = await sallyport.admin('get', 'integration/hook')
  const events = JSON.stringify(await sallyport.events())
  for (const text of [document.stdout, events, sallyport.logText()])
    for (const secret of [OUT, IN]) expect(text).not.toContain(secret.slice(6, 40))
  expect(document.stdout).toContain('rules-bot')
})

test('trap 18: an address in a private network that was not allowed by name is never connected to: the integration is broken and says so', async () => {
  await sallyport.document(integration([]))
  const before = told.length
  await ask('dba', 'to nowhere')
  const [event] = await until('the integration to be broken', async () => {
    const events = await sallyport.events({ type: 'integration.disable' })
    return events.length > 0 && events
  })
  expect(event?.details).toMatchObject({ why: expect.stringContaining('no public network') as string })
  expect(told.length).toBe(before)
})
