import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AccessWorld, HOUR } from '../../../test/support/access-world.ts'
import { ChatWorld } from '../../../test/support/chat-world.ts'
import type { ChatForm, ChatOutcome } from '../../contract/from-chat.ts'

let access: AccessWorld
let chat: ChatWorld
beforeEach(async () => {
  access = await AccessWorld.open()
  chat = new ChatWorld(access)
  await access.role('prod', { allow: { logins: ['app', 'root'], node_labels: { env: 'prod' } } })
  await access.role('data', { allow: { db_labels: { env: 'prod' }, db_users: ['reader'], db_names: ['*'] } })
  await access.role('hidden', { allow: { logins: ['root'], node_labels: { env: 'hidden' } } })
  await access.role('dba', { allow: { logins: ['root'], node_labels: { env: 'db' } } })
  const request = { roles: ['dba'], search_as_roles: ['prod', 'data'], max_duration: '4h' }
  await access.role('dev', { allow: { request } })
  await access.user('alice', { roles: ['dev'] })
  await access.user('eve')
  for (const name of ['web-1', 'web-2', 'both']) await access.node(name, { env: 'prod' })
  await access.node('secret', { env: 'hidden' })
  await access.postgres('orders', { env: 'prod' })
  await access.postgres('both', { env: 'prod' })
  await chat.integration()
  for (const name of ['alice', 'eve']) await chat.link(name)
})
afterEach(() => access.close())

async function made(outcome: ChatOutcome) {
  if (outcome.kind !== 'done' || outcome.requestId === null) throw new Error(JSON.stringify(outcome))
  return await access.show(outcome.requestId)
}
const formOf = (outcome: ChatOutcome): ChatForm => {
  if (outcome.kind !== 'form') throw new Error(JSON.stringify(outcome))
  return outcome.form
}
const fieldOf = (form: ChatForm, name: string) => form.fields.find((field) => field.name === name)

describe('the form behind /access', () => {
  test('offers roles and resources, and asks for what was chosen of them', async () => {
    const opened = await chat.types('alice', '')
    const form = formOf(opened)
    expect(fieldOf(form, 'roles')?.options).toEqual([{ value: 'dba', label: 'dba' }])
    expect(fieldOf(form, 'resources')?.options?.map(({ value }) => value)).toEqual([
      ...['database/both', 'database/orders', 'node/both', 'node/web-1', 'node/web-2'],
    ])
    const chosen = { resources: 'node/web-1,node/web-2', duration: '1h', reason: 'ticket 7', account: 'app' }
    const sent = await chat.sends('alice', opened, chosen)
    expect(sent).toMatchObject({ text: expect.stringContaining('node/web-1, node/web-2 as app (prod) for 1h') })
    expect(await made(sent)).toMatchObject({
      ...{ kind: 'resource', roles: ['prod'], narrowing: { login: 'app' }, duration: HOUR, reason: 'ticket 7' },
      resources: [
        { kind: 'node', name: 'web-1' },
        { kind: 'node', name: 'web-2' },
      ],
    })
  })
  test.each([
    ['roles', {}],
    ['roles', { roles: 'prod' }],
    ['resources', { resources: 'node/none' }],
    ['resources', { resources: 'node/secret' }],
    ['resources', { resources: 'none' }],
    ['resources', { resources: 'both' }],
    ['resources', { resources: 'planet/x' }],
    ['account', { resources: 'node/web-1', account: 'daemon' }],
    ['account', { resources: 'node/web-1', account: '-o ProxyCommand' }],
    ['account', { resources: 'database/orders', account: 'writer' }],
    ['account', { roles: 'dba', account: 'root' }],
    ['start', { roles: 'dba', start: 'tomorrow' }],
    ['start', { roles: 'dba', start: '+8d' }],
    ['duration', { resources: 'node/web-1', duration: '5h' }],
  ] as const)('what cannot be taken is said at its field %s: %j', async (field, typed: Record<string, string>) => {
    const opened = await chat.types('alice', '')
    expect(await chat.sends('alice', opened, typed)).toMatchObject({ kind: 'refused', field })
    // It stays good, and nothing was asked for.
    expect(await chat.sends('alice', opened, { roles: 'dba', reason: 'x' })).toMatchObject({ kind: 'done' })
    expect((await access.eventTypes()).filter((type) => type === 'access_request.create')).toHaveLength(1)
  })
  test('is typed into where a list would be too long, and says how to see the names', async () => {
    for (let at = 0; at < 100; at++) await access.node(`many-${at}`, { env: 'prod' })
    const opened = await chat.types('alice', '')
    const field = fieldOf(formOf(opened), 'resources')
    expect(field).toMatchObject({ options: null, hint: expect.stringContaining('105') })
    expect(field?.hint).toContain('/access resources')
    const sent = await chat.sends('alice', opened, { resources: ' many-7 , node/MANY-8 ', start: '+2h' })
    expect((await made(sent)).resources.map(({ name }) => name)).toEqual(['many-7', 'many-8'])
    expect(sent).toMatchObject({ text: expect.stringMatching(/from \d{4}-\d\d-\d\d \d\d:\d\d UTC \(in 2h\)/) })
  })
  test('is none for somebody who may ask for nothing', async () => {
    expect(await chat.types('eve', '')).toMatchObject({ kind: 'refused', text: expect.stringContaining('nothing') })
  })
  test('locked things are not offered', async () => {
    await access.lock('node', 'nod_web-1')
    await access.lock('role', 'rol_dba')
    const form = formOf(await chat.types('alice', ''))
    expect(fieldOf(form, 'roles')).toBeUndefined()
    expect(fieldOf(form, 'resources')).toMatchObject({ required: true })
    expect(JSON.stringify(form)).not.toContain('web-1')
  })
})

describe('of several things that one has', () => {
  test('one is named by a role or a resource, and without a name all that are possible are said', async () => {
    await access.role('lead', { allow: { review_requests: { roles: ['*'] } } })
    await access.user('bob', { roles: ['lead'] })
    for (const text of ['request dba for 1h: x', 'request on web-1 from +2h for 1h: x']) {
      const asked = await made(await chat.types('alice', text))
      await access.approve('bob', asked.id)
    }
    expect(await chat.types('alice', 'mine')).toMatchObject({
      text: expect.stringMatching(/node\/web-1, prod: starts in 2h \(req_.*\ndba: active, 1h left \(req_/),
    })
    expect(await chat.types('alice', 'return')).toMatchObject({
      text: expect.stringMatching(/^Which one\?\nnode.*\ndba: /),
    })
    expect(await chat.types('alice', 'return hidden')).toMatchObject({ text: expect.stringContaining('nothing with') })
    expect(await chat.types('alice', 'extend dba 30m: y')).toMatchObject({ kind: 'done' })
    expect(await chat.types('alice', 'return web-1')).toMatchObject({ kind: 'done' })
    expect(await chat.types('alice', 'mine')).toMatchObject({ text: expect.not.stringContaining('web-1') })
  })
})

describe('resources in what is typed', () => {
  test('by kind and name, or by the name alone where one thing has it', async () => {
    const one = await made(await chat.types('alice', 'request on node/web-1, web-2 as root for 1h: x'))
    expect(one).toMatchObject({ roles: ['prod'], narrowing: { login: 'root' } })
    const two = await made(await chat.types('alice', 'request database/orders: x'))
    expect(two).toMatchObject({ roles: ['data'], resources: [{ kind: 'database', name: 'orders' }] })
    const three = await made(await chat.types('alice', 'request prod on node/both from first-use for 30m: x'))
    expect(three).toMatchObject({ roles: ['prod'], start: { at: 'first-use' } })
  })
  test('one that is not there and one that must not be known get the same answer', async () => {
    const said = async (name: string, who = 'alice') => {
      const outcome = await chat.types(who, `request on ${name} for 1h: x`)
      return { ...outcome, text: JSON.stringify(outcome).replaceAll(name, 'NAME') }
    }
    expect(await said('node/secret')).toEqual(await said('node/absent'))
    expect(await said('secret')).toEqual(await said('absent'))
    expect(await said('node/web-1', 'eve')).toEqual(await said('node/absent', 'eve'))
    expect(await said('web-1', 'eve')).toEqual(await said('absent', 'eve'))
    expect((await said('secret')).text).toContain('no resource')
  })
  test('a name of several things asks which, of those that one may know of', async () => {
    expect(await chat.types('alice', 'request on both: x')).toMatchObject({
      kind: 'refused',
      text: 'which "both"? node/both or database/both',
    })
    await access.postgres('web-1', { env: 'hidden' })
    expect(await made(await chat.types('alice', 'request on web-1: x'))).toMatchObject({ roles: ['prod'] })
  })
  test('what may be asked for is listed, and found by words; nothing else is', async () => {
    expect(await chat.types('alice', 'roles')).toMatchObject({
      text: 'dba, for at most 4h\nResources that you may ask for alone: 5 (/access resources)',
    })
    expect(await chat.types('alice', 'resources WEB prod')).toMatchObject({
      text: 'node/web-1, by prod\nnode/web-2, by prod',
    })
    expect(await chat.types('alice', 'resources secret')).toMatchObject({ text: expect.stringContaining('Nothing') })
    expect(await chat.types('eve', 'resources')).toMatchObject({ kind: 'refused' })
  })
  test('refusals name what to do here, not commands of a shell', async () => {
    await access.role('strict', {
      allow: { request: { roles: ['prod'], reason: { mode: 'required', prompt: 'Ticket' } } },
    })
    await access.user('carol', { roles: ['strict'] })
    await chat.link('carol')
    for (const text of [
      'request prod for 1h',
      'request nothing: x',
      'request prod for 99h: x',
      'request on node/x: y',
    ]) {
      const outcome = await chat.types('carol', text)
      expect(outcome).toMatchObject({ kind: 'refused' })
      expect(JSON.stringify(outcome)).not.toMatch(/--|sally /)
    }
  })
})
