import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AccessWorld } from '../support/access-world.ts'
import { ChatWorld } from '../support/chat-world.ts'
import { deviceKey, PASSWORD, type IdentityWorld, type SignedInPerson } from '../support/identity-world.ts'
import { NodeDocument } from '../../src/contract/node.ts'
import { putNode } from '../../src/resources/nodes.ts'
import { putRole } from '../../src/identity/roles.ts'
import { SYSTEM } from '../../src/identity/doer.ts'
import { RoleDocument } from '../../src/contract/role.ts'
import { PageHouse } from '../support/page-house.ts'

import { rawCall } from './raw-call.ts'

let house: PageHouse
let world: IdentityWorld
let chat: ChatWorld
let bob: SignedInPerson
let integration: string

beforeEach(async () => {
  house = await PageHouse.open()
  ;({ world, bob } = house)
  const { database, deeds, clock, services } = world
  const { requests } = house
  chat = new ChatWorld(
    Object.assign(Object.create(AccessWorld.prototype) as AccessWorld, { database, deeds, clock, requests }),
    services.sealer,
  )
  integration = await chat.integration()
})
afterEach(() => house.close())

const call: PageHouse['call'] = (...args) => house.call(...args)
const fill: PageHouse['fill'] = (...args) => house.fill(...args)
const asked: PageHouse['asked'] = (...args) => house.asked(...args)
const standing: PageHouse['standing'] = (id) => house.standing(id)

const disable = (id: string) =>
  world.deeds.commitDeed(async (tx) => {
    await tx.updateTable('users').set({ disabled: 1 }).where('id', '=', id).execute()
    const event = {
      type: 'user.update',
      actor: { kind: 'local-admin', id: null, name: 'local-admin' },
      outcome: 'success',
    } as const
    return { result: null, events: [{ ...event, rows: [{ table: 'users', id }] }] }
  })

const linked = (who: string, person: SignedInPerson) =>
  chat.code(who).then((code) =>
    chat.confirmLink(who, code, {
      userId: person.id,
      loginId: person.loginId,
      actor: { kind: 'user', id: person.id, name: person.name },
    }),
  )

/** Bob presses approve on the message of a request: the path of the page that confirms it. */
async function pressed(id: string, button: 'approve' | 'deny' = 'approve'): Promise<string> {
  const outcome = await chat.presses('bob', button, await message(id))
  if (outcome.kind !== 'open') throw new Error(JSON.stringify(outcome))
  return new URL(outcome.url).pathname
}
async function message(id: string): Promise<string> {
  chat.access.show = standing
  return await chat.message(id, integration)
}
const rowsOf = async () => [
  await world.database.reads.selectFrom('audit_events').select('id').execute(),
  await world.database.reads.selectFrom('reviews').selectAll().execute(),
  await world.database.reads.selectFrom('chat_confirmations').selectAll().execute(),
  await world.database.reads.selectFrom('chat_link_offers').selectAll().execute(),
  await world.database.reads.selectFrom('chat_accounts').selectAll().execute(),
]

describe('the page that confirms a vote', () => {
  beforeEach(async () => {
    await linked('bob', bob)
  })
  test('says what an approval would give beyond what the requester has', async () => {
    const spec = { address: '192.0.2.9:22', host_key: deviceKey() }
    const node = NodeDocument.parse({ kind: 'node', metadata: { name: 'db-box', labels: { env: 'prod' } }, spec })
    await putNode(world.services, SYSTEM, node, false)
    await world.role('dba', { logins: ['root'], node_labels: { env: 'prod' } })
    const path = await pressed(await asked())
    expect((await call('GET', path)).text).toMatch(/Would give<\/dt>\s*<dd>1 node: db-box \(root\)<\/dd>/)
  })
  test('shows exactly what would be approved, and a code of the person casts the vote', async () => {
    const id = await asked('<script>alert(1)</script> & "quotes"')
    const path = await pressed(id)
    const shown = await call('GET', path)
    expect(shown.status).toBe(200)
    expect(shown.text).toContain('&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;quotes&quot;')
    expect(shown.text).not.toContain('<script')
    for (const part of [id, 'alice', 'dba', '1h', 'You are bob']) expect(shown.text).toContain(part)
    const sent = await fill(path, { code: bob.freshCode(), reason: 'seen', duration: '30m' })
    expect(sent.text).toContain('You approved it')
    expect(await standing(id)).toMatchObject({
      state: 'approved',
      grantedDuration: 1_800_000,
      reviews: [{ reviewer: 'bob', reason: 'seen' }],
    })
    const event = await world.database.reads
      .selectFrom('audit_events')
      .selectAll()
      .where('type', '=', 'access_request.review')
      .executeTakeFirstOrThrow()
    expect(JSON.parse(event.details_json ?? '')).toMatchObject({ via: 'slack', secondFactor: true })
  })
  test('trap 16, 17: GET and HEAD by previews and scanners, once or often, change nothing and no script, frame, cache or referrer is let in', async () => {
    const id = await asked()
    const path = await pressed(id)
    const code = await chat.code('carol')
    const before = await rowsOf()
    for (const url of [path, `/link/${code}`, `/r/${id}`, path])
      for (const method of ['GET', 'HEAD', 'GET']) {
        const answer = await call(method, url, {
          headers: { 'user-agent': 'Slackbot-LinkExpanding 1.0', purpose: 'prefetch' },
        })
        expect(answer.status).toBe(200)
        expect(answer.headers).toMatchObject({
          'cache-control': 'no-store',
          'referrer-policy': 'same-origin',
          'x-frame-options': 'DENY',
          'content-security-policy': expect.stringMatching(
            /^default-src 'none'; style-src 'sha256-[^']+'; form-action 'self'; frame-ancestors 'none'/,
          ),
        })
      }
    expect(await rowsOf()).toEqual(before)
    expect(await standing(id)).toMatchObject({ state: 'pending', reviews: [] })
  })
  test('trap 17: what is posted without the form of this browser, or from another site, decides nothing', async () => {
    const id = await asked()
    const path = await pressed(id)
    const code = bob.freshCode()
    expect((await call('POST', path, { form: { code } })).status).toBe(403)
    expect((await call('POST', path, { form: { code, mark: 'x'.repeat(32) } })).status).toBe(403)
    expect((await fill(path, { code }, { origin: 'https://evil.example' })).status).toBe(403)
    expect((await fill(path, { code }, { 'sec-fetch-site': 'cross-site' })).status).toBe(403)
    expect((await standing(id)).reviews).toEqual([])
    expect((await fill(path, { code })).status).toBe(200)
  })
  test('two pages that are opened from chat one after the other in one browser can both be sent', async () => {
    const first = await call('GET', await pressed(await asked()))
    const second = await pressed(await asked('other'))
    const set = String(first.headers['set-cookie'])
    const cookie = set.split(';')[0] ?? ''
    // Following a link of another site, browsers leave out what is Strict.
    const opened = await call('GET', second, { headers: set.includes('SameSite=Strict') ? {} : { cookie } })
    const marks = [first, opened].map(({ text }) => /name="mark" value="([^"]+)"/.exec(text)?.[1])
    expect(new Set(marks)).toEqual(new Set([cookie.split('=')[1]]))
  })
  test('a wrong, used or foreign code casts nothing, and after five of them none is tried any more', async () => {
    const id = await asked()
    const path = await pressed(id)
    const dan = await world.person('dan', ['lead'])
    expect((await fill(path, { code: dan.freshCode() })).status).toBe(422)
    for (let at = 0; at < 4; at++) expect((await fill(path, { code: '000000' })).status).toBe(422)
    expect((await fill(path, { code: bob.freshCode() })).status).toBe(429)
    expect((await standing(id)).reviews).toEqual([])
    world.clock.advance(16 * 60_000)
    expect((await fill(path, { code: bob.freshCode() })).status).toBe(404)
  })
  test('who has no second factor any more is told how to get one, and no try is counted', async () => {
    const id = await asked()
    const path = await pressed(id)
    await world.services.deeds.commitDeed(async (tx) => {
      const gone = await tx.selectFrom('factors').select('id').where('user_id', '=', bob.id).execute()
      await tx.deleteFrom('factors').where('user_id', '=', bob.id).execute()
      const rows = gone.map(({ id: factor }) => ({ table: 'factors' as const, id: factor }))
      const event = { type: 'mfa.remove', actor: SYSTEM.actor, outcome: 'success', details: {}, rows } as const
      return { result: null, events: [event] }
    })
    for (let at = 0; at < 6; at++) {
      const { status, text } = await fill(path, { code: bob.freshCode() })
      expect([status, text.includes('sally mfa add')]).toEqual([403, true])
    }
    expect((await standing(id)).reviews).toEqual([])
  })
  test('it is good once and for ten minutes, and for nobody whose link, right or account is gone', async () => {
    const id = await asked()
    const path = await pressed(id)
    expect((await fill(path, { code: bob.freshCode() })).status).toBe(200)
    expect((await fill(path, { code: bob.freshCode() })).status).toBe(404)
    const other = await asked('other')
    const second = await pressed(other, 'deny')
    await chat.types('bob', 'unlink')
    expect((await call('GET', second)).status).toBe(404)
    expect((await fill(second, { code: bob.freshCode() })).status).not.toBe(200)
    expect((await standing(other)).state).toBe('pending')
    expect((await call('GET', '/confirm/guessed')).status).toBe(404)
  })
  test.each([
    ['its person was disabled', () => disable(bob.id)],
    ['its integration was switched off', () => chat.integration('chat', { enabled: false })],
    [
      'its account was parted, while another one of the person stands',
      async () => {
        await linked('bobby', bob)
        await chat.types('bob', 'unlink')
      },
    ],
  ])('it counts for nothing when %s since it was opened', async (_what, change) => {
    const id = await asked()
    const path = await pressed(id)
    expect((await call('GET', path)).status).toBe(200)
    await change()
    expect((await fill(path, { code: bob.freshCode() })).status).toBe(404)
    expect((await standing(id)).reviews).toEqual([])
  })
  test('a request whose role changed since is shown as it is now, and not decided', async () => {
    const id = await asked()
    const path = await pressed(id)
    const document = RoleDocument.parse({
      kind: 'role',
      metadata: { name: 'dba' },
      spec: { allow: { logins: ['root'] } },
    })
    await putRole(world.services, SYSTEM, document, true)
    const shown = await call('GET', path)
    expect(shown.status).toBe(409)
    expect(shown.text).toContain('changed since')
    expect(shown.text).not.toContain('<form')
  })
  test('twenty at once with two pages and one code: one vote and one code used', async () => {
    const id = await asked()
    const paths = [await pressed(id), await pressed(id, 'deny')]
    const code = bob.freshCode()
    const answers = await Promise.all(Array.from({ length: 20 }, (_, at) => fill(paths[at % 2] ?? '', { code })))
    expect(
      answers.filter(({ text }) => text.includes('You approved it') || text.includes('You denied it')).length,
    ).toBeGreaterThan(0)
    expect((await standing(id)).reviews.filter(({ counts }) => counts)).toHaveLength(1)
    const votes = await world.database.reads.selectFrom('reviews').select('id').execute()
    expect(votes).toHaveLength(1)
  })
})

describe('the page that links an account', () => {
  test('trap 7: opening it links nobody; name, password and code do, and whose account it is is shown first', async () => {
    const code = await chat.code('bob')
    const shown = await call('GET', `/link/${code}`)
    for (const part of ['bob at slack', 'UBOB', 'T0TEST', 'if it was you who got the code'])
      expect(shown.text).toContain(part)
    expect((await fill(`/link/${code}`, { user: 'bob', password: PASSWORD })).status).toBe(401)
    expect((await fill(`/link/${code}`, { user: 'bob', password: 'wrong', code: bob.freshCode() })).status).toBe(401)
    expect(await world.database.reads.selectFrom('chat_accounts').selectAll().execute()).toEqual([])
    const sent = await fill(`/link/${code}`, { user: 'bob', password: PASSWORD, code: bob.freshCode() })
    expect(sent.text).toContain('acts as bob from now on')
    expect(await chat.types('bob', 'link')).toMatchObject({ kind: 'done', text: expect.stringContaining('bob') })
    expect((await fill(`/link/${code}`, { user: 'bob', password: PASSWORD, code: bob.freshCode() })).status).toBe(404)
  })
  test('somebody without a second factor links a new account, and takes over no linked one', async () => {
    const first = await chat.code('shared')
    expect((await fill(`/link/${first}`, { user: 'alice', password: PASSWORD })).status).toBe(200)
    await chat.types('shared', 'unlink')
    const [one, two] = [await chat.code('shared'), await chat.code('shared')]
    expect((await fill(`/link/${one}`, { user: 'bob', password: PASSWORD, code: bob.freshCode() })).status).toBe(200)
    expect((await fill(`/link/${two}`, { user: 'alice', password: PASSWORD })).status).toBe(403)
  })
})

describe('the page of a request', () => {
  test('says the same of every id until somebody who may see it has signed in', async () => {
    const id = await asked()
    const other = id.replace(/.$/, (last) => (last === '0' ? '1' : '0'))
    const [here, gone] = [await call('GET', `/r/${id}`), await call('GET', `/r/${other}`)]
    const neutral = (text: string, own: string) => text.replaceAll(own, 'ID').replace(/value="[^"]*"/g, '')
    expect(neutral(here.text, id)).toBe(neutral(gone.text, other))
    const shown = await fill(`/r/${id}`, { user: 'bob', password: PASSWORD, code: bob.freshCode() })
    expect(shown.text).toContain('ticket 7')
    await world.person('eve', [])
    expect((await fill(`/r/${id}`, { user: 'eve', password: PASSWORD, code: '000000' })).status).toBeGreaterThanOrEqual(
      400,
    )
  })
})

describe('trap 23: callbacks', () => {
  const send = (body: Uint8Array, headers: Record<string, string | string[]>, path = '/v1/callbacks/echo/events') =>
    rawCall(house.socket, { method: 'POST', path, body, headers: headers as Record<string, string> })
  test('exact bytes get through, of repeated headers the first, and nothing else of the API is asked for', async () => {
    const json = Buffer.from('{"a": 1,   "b":2}')
    expect(await send(json, { 'content-type': 'application/json', 'x-twice': ['one', 'two'] })).toMatchObject({
      status: 200,
      text: `events ${json.length} one`,
    })
    expect(
      (await send(Buffer.from('payload=%7B%7D'), { 'content-type': 'application/x-www-form-urlencoded' })).text,
    ).toBe('events 14 ')
    expect((await send(Buffer.from([0xff, 0x00]), { 'content-type': 'application/json; charset=utf-8' })).status).toBe(
      200,
    )
  })
  test('what says that it is compressed is not unpacked: the bytes that came are what counts', async () => {
    const bomb = gzipSync(Buffer.alloc(100_000_000))
    const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' }
    expect(await send(bomb, headers)).toMatchObject({ status: 200, text: `events ${bomb.length} ` })
  })
  test('what is too large is not read, other types are refused, and an unknown integration is no route', async () => {
    expect((await send(Buffer.alloc(262_145), { 'content-type': 'application/json' })).status).toBe(413)
    expect((await send(Buffer.from('x'), { 'content-type': 'multipart/form-data; boundary=x' })).status).toBe(400)
    expect(
      (await send(Buffer.from('x'), { 'content-type': 'application/json' }, '/v1/callbacks/none/events')).status,
    ).toBe(404)
    expect((await rawCall(house.socket, { path: '/v1/callbacks/echo/events' })).status).toBe(404)
  })
})
