// What people and programs try at a real daemon through Mattermost, which signs nothing: each of these must do nothing.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { callIntegration, type IntegrationAnswer } from '../support/mattermost/call-integration.ts'
import {
  buttonsOf,
  chatHouse,
  LINK,
  link,
  textOf,
  type ChatHouse,
  type Linked,
} from '../support/mattermost/chat-house.ts'
import { actionsOf, type Post } from '../support/mattermost/post-store.ts'

let here: ChatHouse
let alice: Linked
let bob: Linked
let carol: Linked
let eve: Linked

beforeAll(async () => {
  here = await chatHouse({
    users: { alice: ['engineer'], bob: ['lead'], carol: ['lead'], eve: ['engineer'], mallory: [] },
    linked: ['alice', 'bob', 'carol', 'eve'],
    async roles(sallyport) {
      const role = (name: string, allow: Record<string, unknown>, options = {}) =>
        sallyport.role({ kind: 'role', metadata: { name }, spec: { allow, options } })
      const labels = { logins: [sallyport.login], node_labels: { service: 'database' } }
      await role('dba', labels, { chat_approval: 'allowed' })
      // Denied in a test: the same is not asked for again within ten minutes
      await role('race', labels, { chat_approval: 'allowed' })
      await role('old', labels, { chat_approval: 'allowed' })
      await role('secret', labels, { chat_approval: 'allowed', chat_channels: 'members' })
      const thresholds = [{ name: 'two', approve: 2, deny: 1 }]
      await role('engineer', { request: { roles: ['dba', 'race', 'old', 'secret'], max_duration: '2h', thresholds } })
      await role('lead', { review_requests: { roles: ['dba', 'race', 'old', 'secret'] }, request: { roles: ['dba'] } })
    },
  })
  const { people } = here
  if (!people['alice'] || !people['bob'] || !people['carol'] || !people['eve']) throw new Error('nobody is there')
  ;({ alice, bob, carol, eve } = people as Record<'alice' | 'bob' | 'carol' | 'eve', Linked>)
})
afterAll(() => here?.[Symbol.asyncDispose]())

let count = 0
/** A new request of alice's, and its post in the channel. */
async function asked(who = alice, role = 'dba', reason = 'because'): Promise<Post> {
  const unique = `${reason} n${++count}`
  await who.chat.type(here.channel.id, `/access request ${role} for 30m: ${unique}`)
  // Shows the refusal instead of waiting for what does not come.
  expect(who.chat.whispers().at(-1)).not.toMatch(/denied|often|cannot/)
  await expect.poll(() => here.copies().some((post) => textOf(post).includes(`n${count}`))).toBe(true)
  const post = here.copies().find((each) => textOf(each).includes(`n${count}`))
  if (!post) throw new Error('the request is not there')
  return post
}

const idOf = (post: Post): string => /req_[0-9a-f-]{36}/.exec(textOf(post))?.[0] ?? ''
const stateOf = (post: Post): unknown =>
  here.sallyport.rows('select state from access_requests where id = ?', idOf(post))[0]?.['state']
const votesOn = (post: Post): number =>
  here.sallyport.rows('select id from reviews where request_id = ?', idOf(post)).length

/** The bytes that the server would send for a press, with what somebody changed in them. */
function pressBody(post: Post, name: string, by: Linked, changed: Readonly<Record<string, unknown>> = {}) {
  const action = actionsOf(post).find((each) => each.name === name)
  if (!action) throw new Error(`there is no button ${name}`)
  const { house } = here.mattermost
  const body = {
    user_id: by.chat.id,
    user_name: by.chat.username,
    channel_id: post.channel_id,
    team_id: house.teamId,
    post_id: post.id,
    trigger_id: house.triggers.make(by.chat.id, Date.now()),
    type: '',
    data_source: '',
    context: action.integration.context,
    ...changed,
  }
  return { url: action.integration.url, body: JSON.stringify(body) }
}

const send = ({ url, body }: { url: string; body: string }, type = 'application/json'): Promise<IntegrationAnswer> =>
  callIntegration(url, body, { type, ca: here.mattermost.ca ?? '', timeoutMs: 30_000 })

/** Told of together, every ten seconds. */
const rejections = async (): Promise<string> => JSON.stringify(await here.sallyport.events({ type: 'auth.fail' }))

test('trap 2: what was made up, copied to another post or changed on the way is answered 401 and leaves no form', async () => {
  const post = await asked()
  const other = await asked()
  const { house } = here.mattermost
  const forged = house.posts.create(eve.chat.id, { channel_id: here.channel.id, message: 'press me', props: {} })
  const deny = actionsOf(post).find(({ name }) => name === 'Deny')?.integration.context
  const approve = actionsOf(post).find(({ name }) => name === 'Approve')?.integration.context
  const mixed = { ...deny, mac: approve?.['mac'] }
  const theirs = house.triggers.make(eve.chat.id, Date.now())
  const before = house.dialogs.length
  const tries = [
    { context: {} },
    { context: mixed },
    { context: { ...approve, until: '9999999999999' } },
    { post_id: forged.id },
    { post_id: other.id, channel_id: 'z'.repeat(26) },
    { trigger_id: theirs },
    { trigger_id: Buffer.from(`${'i'.repeat(26)}:${bob.chat.id}:${Date.now()}:MEUCIQ==`).toString('base64') },
    { team_id: 'z'.repeat(26) },
  ]
  for (const changed of tries) {
    const answer = await send(pressBody(post, 'Approve', bob, changed))
    expect(answer.status, JSON.stringify(changed)).toBe(401)
  }
  const { url, body } = pressBody(post, 'Approve', bob)
  expect((await send({ url: url.replace(/actions-.*/, 'actions-0'), body })).status).toBe(401)
  expect((await send({ url: url.replace('/chat/', '/nobody/'), body })).status).toBe(404)
  expect(house.dialogs.length).toBe(before)
  await expect.poll(rejections).toContain('integration chat')
  expect(votesOn(post)).toBe(0)
})

test('trap 2: a form that somebody has the server post with a guessed, copied or spent state counts for nothing', async () => {
  const post = await asked()
  await bob.chat.press(post.id, 'Approve')
  const open = bob.chat.dialog()
  // Eve read everything in bob's client; the server names her all the same.
  const copied = { url: open?.url, state: open?.dialog.state, callback_id: open?.dialog.callback_id }
  await eve.chat.press(post.id, 'Approve')
  const submit = (changed: object) =>
    eve.chat.call('POST', '/actions/dialogs/submit', {
      url: open?.url,
      channel_id: here.channel.id,
      team_id: here.mattermost.house.teamId,
      submission: { reason: 'x' },
      ...changed,
    })
  for (const changed of [
    copied,
    { ...copied, user_id: bob.chat.id },
    { ...copied, state: 'guessed' },
    { state: 'x', callback_id: 'x' },
  ])
    expect((await submit(changed)).status).toBe(400)
  expect(votesOn(post)).toBe(0)
  expect((await bob.chat.submit({ reason: 'mine' })).body).toEqual({})
  expect(votesOn(post)).toBe(1)
  const again = await bob.chat.submit({ reason: 'mine, again' })
  expect(JSON.stringify(again.body)).toContain('sent already')
  expect(votesOn(post)).toBe(1)
})

test('trap 3: the same bytes twice are one press', async () => {
  const post = await asked()
  const press = pressBody(post, 'Approve', bob)
  const before = here.mattermost.house.dialogs.length
  expect((await send(press)).status).toBe(200)
  expect(await send(press)).toMatchObject({ status: 200, body: '{}' })
  expect(here.mattermost.house.dialogs.length).toBe(before + 1)
})

test('trap 6: an account that bears a reviewer’s name and mail address is nobody until it is linked', async () => {
  const post = await asked()
  const { house } = here.mattermost
  const twin = here.mattermost.person('bob')
  here.channel.members.add(twin.id)
  expect(house.people.get(twin.id)?.email).toBe(house.people.get(bob.chat.id)?.email)
  await twin.press(post.id, 'Approve')
  expect(twin.whispers().at(-1)).toMatch(/not linked/)
  expect(twin.dialog()).toBeUndefined()
  expect(votesOn(post)).toBe(0)
})

test('trap 19: the address that a command names for its answer is not called', async () => {
  let calls = 0
  const elsewhere = createServer((_request, response) => {
    calls++
    response.end('{}')
  })
  await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve))
  try {
    const port = (elsewhere.address() as AddressInfo).port
    const [command] = here.mattermost.house.commands
    const fields = {
      ...{ channel_id: here.channel.id, command: '/access', text: 'mine', team_id: here.mattermost.house.teamId },
      ...{ token: command?.token ?? '', user_id: alice.chat.id, user_name: 'alice' },
      trigger_id: here.mattermost.house.triggers.make(alice.chat.id, Date.now()),
      response_url: `http://127.0.0.1:${port}/hooks/commands/x`,
    }
    const body = new URLSearchParams(fields).toString()
    const answer = await send({ url: command?.url ?? '', body }, 'application/x-www-form-urlencoded')
    expect(answer.status).toBe(200)
    expect(answer.body).toContain('ephemeral')
    expect(calls).toBe(0)
  } finally {
    elsewhere.close()
  }
})

test('trap 7: a code that was shown to one account links that account, once, and never by looking at its page', async () => {
  const mallory = here.people['mallory']
  if (!mallory) throw new Error('mallory is not there')
  await mallory.chat.type(here.channel.id, '/access link')
  const path = LINK.exec(mallory.chat.whispers().at(-1) ?? '')?.[0] ?? ''
  const url = `https://127.0.0.1:${here.sallyport.port}${path}`
  const linked = (): number => here.sallyport.rows('select id from chat_accounts where ended_at is null').length
  const before = linked()
  const page = await here.browser().open(url)
  expect(page.text).toContain(mallory.chat.id)
  expect(linked()).toBe(before)
  // What a foreign page could make bob's browser send: it never showed the form
  const sent = await here.browser().sendTo(url, { user: 'bob', password: bob.account.password })
  expect(sent.status).toBeGreaterThanOrEqual(400)
  expect(linked()).toBe(before)
})

test('trap 8: whoever was disabled a moment ago decides nothing any more', async () => {
  const post = await asked()
  await carol.chat.press(post.id, 'Deny')
  const setDisabled = (disabled: boolean) =>
    here.sallyport.document({ kind: 'user', metadata: { name: 'carol' }, spec: { roles: ['lead'], disabled } })
  await setDisabled(true)
  expect(JSON.stringify((await carol.chat.submit({ reason: 'no' })).body)).toContain('disabled')
  await setDisabled(false)
  expect(stateOf(post)).toBe('pending')
})

test('trap 9: the requester, and whoever may not review, are told so for their eyes alone', async () => {
  const post = await asked()
  for (const who of [alice, eve]) {
    const said = who.chat.whispers().length
    expect((await who.chat.press(post.id, 'Approve')).status).toBe(200)
    expect(who.chat.whispers().length).toBe(said + 1)
  }
  const own = await asked(bob)
  expect((await bob.chat.press(own.id, 'Approve')).status).toBe(200)
  expect(bob.chat.whispers().at(-1)).toContain('a request of their own')
  expect([votesOn(post), votesOn(own)]).toEqual([0, 0])
})

test('trap 10: a vote from chat and one from the command line of the same person count once', async () => {
  const post = await asked()
  await bob.chat.press(post.id, 'Approve')
  expect((await bob.chat.submit({ reason: 'in chat' })).body).toEqual({})
  await bob.account.sally(
    'request',
    'review',
    idOf(post),
    '--approve',
    '--reason=again',
    `--code=${await bob.account.authenticator?.code()}`,
  )
  expect(stateOf(post)).toBe('pending')
  await expect.poll(() => textOf(post)).toContain('Waiting')
})

test('trap 11: approvals and denials at the same moment end in one state, which every copy shows', async () => {
  const post = await asked(alice, 'race')
  const before = here.mattermost.house.dialogs.length
  const ballots = await Promise.all(
    [bob, carol].flatMap((who) => ['Approve', 'Deny'].map((name) => send(pressBody(post, name, who)))),
  )
  expect(ballots.every(({ status }) => status === 200)).toBe(true)
  const forms = here.mattermost.house.dialogs.slice(before)
  const said = ballots.map(({ body }) => body).join('\n')
  expect(
    forms.map(({ open }) => open.dialog.title),
    said,
  ).toContain('Deny a request')
  const answers = await Promise.all(
    forms.map(({ userId, open }) => {
      const who = [bob, carol].find(({ chat }) => chat.id === userId)
      return who?.chat.call('POST', '/actions/dialogs/submit', {
        ...{ url: open.url, callback_id: open.dialog.callback_id, state: open.dialog.state },
        ...{ channel_id: here.channel.id, team_id: '', submission: { reason: 'race' } },
      })
    }),
  )
  expect(answers.every((answer) => answer?.status === 200)).toBe(true)
  // Two approvals may be there before a denial is: one of the two ends, and everywhere the same.
  const ends: Readonly<Record<string, string>> = { approved: 'Approved', denied: 'Denied' }
  const end = ends[String(stateOf(post))] ?? 'none'
  expect(Object.values(ends)).toContain(end)
  for (const copy of [
    post,
    ...[bob, carol].flatMap(({ chat }) => chat.direct().filter((each) => idOf(each) === idOf(post))),
  ])
    await expect.poll(() => [buttonsOf(copy), textOf(copy).includes(end)]).toEqual([[], true])
})

test('trap 12: what a press says besides is not read: the request, its roles and its length are those of the store', async () => {
  const post = await asked()
  const more = { request_id: 'req_x', roles: ['root'], duration: '14d', user: 'bob', message: 'approve all' }
  expect((await send(pressBody(post, 'Approve', bob, more))).status).toBe(200)
  expect((await bob.chat.submit({ reason: 'r', duration: '14d', roles: 'root', approve: '2' })).status).toBe(200)
  const [request] = here.sallyport.rows('select duration_ms from access_requests where id = ?', idOf(post))
  expect(request?.['duration_ms']).toBe(1_800_000)
  expect(votesOn(post)).toBeLessThanOrEqual(1)
})

test('trap 13: a button of a request that is decided, pressed from an old copy, does nothing', async () => {
  const post = await asked(alice, 'old')
  const old = pressBody(post, 'Approve', bob)
  await carol.chat.press(post.id, 'Deny')
  expect((await carol.chat.submit({ reason: 'no' })).body).toEqual({})
  expect(stateOf(post)).toBe('denied')
  const answer = await send(old)
  expect(answer.status).toBe(200)
  expect(answer.body).toContain('ephemeral_text')
  expect([stateOf(post), votesOn(post)]).toEqual(['denied', 1])
})

test('trap 21: what looks like a secret in a reason is not in chat', async () => {
  const key = 'AKIAIOSFODNN7EXAMPLE'
  const post = await asked(alice, 'dba', `key ${key} here`)
  expect(textOf(post)).not.toContain(key)
  const [row] = here.sallyport.rows('select reason from access_requests where id = ?', idOf(post))
  expect(row?.['reason']).toContain(key)
})

test('trap 22: a request that is for members alone does not go to a channel with guests, and to its reviewers all the same', async () => {
  here.channel.guests.add('z'.repeat(26))
  await alice.chat.type(here.channel.id, '/access request secret for 30m: quiet please')
  const isIt = (post: Post): boolean => textOf(post).includes('quiet please')
  await expect.poll(() => bob.chat.direct().some(isIt)).toBe(true)
  await expect
    .poll(() => here.sallyport.rows("select state from messages where audience = 'channel' and state = 'dead'").length)
    .toBe(1)
  expect(here.copies().some(isIt)).toBe(false)
  here.channel.guests.clear()
})

test('trap 23: a body that is too large, of another type or no text is refused without being looked at', async () => {
  const post = await asked()
  const { url, body } = pressBody(post, 'Approve', bob)
  expect((await send({ url, body: body + ' '.repeat(300_000) })).status).toBe(413)
  expect((await send({ url, body }, 'application/xml')).status).toBeGreaterThanOrEqual(400)
  expect((await send({ url, body: '{"user_id":' })).status).toBe(401)
  const nested = `{"context":${'['.repeat(50_000)}${']'.repeat(50_000)}}`
  expect((await send({ url, body: nested })).status).toBe(401)
  expect(votesOn(post)).toBe(0)
})

test('trap 24: while the server fails in every way, requests are made and decided, and afterwards each place has one post', async () => {
  let turn = 0
  const faults = [{ status: 500 }, { cut: true, after: true }, { status: 503 }, { cut: true }]
  here.mattermost.fault = ({ method }) => (method === 'GET' ? null : (faults[turn++ % faults.length] ?? null))
  const made = await alice.account.sally(
    'request',
    'create',
    '--roles=dba',
    '--reason=outage',
    '--nowait',
    '--format=json',
  )
  const id = /"(req_[0-9a-f-]{36})"/.exec(made.stdout)?.[1] ?? ''
  expect(id).not.toBe('')
  await expect.poll(() => turn).toBeGreaterThan(5)
  here.mattermost.fault = () => null
  const posts = (): Post[] => here.copies().filter((post) => idOf(post) === id)
  await expect.poll(() => posts().length, { timeout: 110_000 }).toBe(1)
  const waiting = () => here.sallyport.rows("select id from messages where state = 'due' and request_id = ?", id).length
  await expect.poll(waiting, { timeout: 110_000 }).toBe(0)
  expect(posts()).toHaveLength(1)
  for (const { chat } of [bob, carol]) expect(chat.direct().filter((post) => idOf(post) === id)).toHaveLength(1)
})

test('trap 7: an account that is linked again speaks for its new user, and for nobody but one', async () => {
  const before = here.sallyport.rows('select id from chat_accounts where ended_at is null').length
  await link(here, 'mallory')
  expect(here.sallyport.rows('select id from chat_accounts where ended_at is null').length).toBe(before + 1)
})
