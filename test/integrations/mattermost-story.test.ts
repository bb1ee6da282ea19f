// A request from chat to its end, through a real daemon and a Mattermost that is as strict as the real one: alice asks with
// /access, bob votes by a form in chat, carol by a page with her second factor. The daemon is killed between the steps.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buttonsOf, chatHouse, CONFIRM, textOf, type ChatHouse, type Linked } from '../support/mattermost/chat-house.ts'
import type { Post } from '../support/mattermost/post-store.ts'

let here: ChatHouse
let alice: Linked
let bob: Linked
let carol: Linked
let eve: Linked

beforeAll(async () => {
  here = await chatHouse({
    users: { alice: ['engineer'], bob: ['dba-lead'], carol: ['ops-lead'], eve: ['engineer', 'dba-lead'] },
    linked: ['alice', 'bob', 'carol', 'eve'],
    async roles(sallyport) {
      const role = (name: string, allow: Record<string, unknown>, options = {}) =>
        sallyport.role({ kind: 'role', metadata: { name }, spec: { allow, options } })
      await role(
        'dba',
        { logins: [sallyport.login], node_labels: { service: 'database' } },
        { chat_approval: 'allowed' },
      )
      await role('ops', { logins: [sallyport.login], node_labels: { service: 'ops' } })
      await role('engineer', { request: { roles: ['dba', 'ops'], max_duration: '2h' } })
      await role('dba-lead', { review_requests: { roles: ['dba'] } })
      await role('ops-lead', { review_requests: { roles: ['ops'] } })
    },
  })
  const { people } = here
  if (!people['alice'] || !people['bob'] || !people['carol'] || !people['eve']) throw new Error('nobody is there')
  ;({ alice, bob, carol, eve } = people as Record<'alice' | 'bob' | 'carol' | 'eve', Linked>)
})
afterAll(() => here?.[Symbol.asyncDispose]())

/** What was on its way in a kill goes out when its lease of a minute is over, which the engine's own tests wait for. */
async function killed(): Promise<void> {
  const waiting = () =>
    here.sallyport.rows("select id from messages where state = 'due' and due_at < ?", Date.now() + 120_000)
  await expect.poll(waiting).toEqual([])
  await here.sallyport.kill('SIGKILL')
  await here.sallyport.restart()
}

/** Newest first; without what is said beside them. */
const requestsIn = (posts: readonly Post[]): Post[] =>
  posts.filter((post) => post.root_id === '' && textOf(post).includes('Open the request'))
const top = (posts: readonly Post[]): Post => {
  const [post] = requestsIn(posts)
  if (!post) throw new Error('there is no post')
  return post
}
const requests = (): Promise<readonly { id: string; state: string }[]> =>
  Promise.resolve(here.sallyport.rows('select id, state from access_requests order by created_at') as never)
const allCopies = (): Post[] => [
  ...here.copies(),
  ...[alice, bob, carol, eve].flatMap(({ chat }) => requestsIn(chat.direct())),
]

test('1: alice asks in chat, and the channel and everybody who could decide have the request with buttons', async () => {
  const typed = await alice.chat.type(
    here.channel.id,
    '/access request dba,ops for 30m: ticket #7 @all [x](http://evil.example)',
  )
  expect(typed.status).toBe(200)
  await expect.poll(() => here.copies().map(buttonsOf)).toEqual([['Approve', 'Deny']])
  for (const { chat } of [bob, carol, eve])
    await expect.poll(() => requestsIn(chat.direct()).map(buttonsOf)).toEqual([['Approve', 'Deny']])
  await expect.poll(() => requestsIn(alice.chat.direct()).map(buttonsOf)).toEqual([['Cancel request']])
  for (const post of allCopies()) expect(JSON.stringify(post)).not.toMatch(/@all|\]\(http:/)
  const [event] = await here.sallyport.events({ type: 'access_request.create' })
  expect(event?.actor.name).toBe('alice')
})

test('2: bob approves with a reason and less time, by a form that only his click opens; every copy shows it', async () => {
  await killed()
  expect((await bob.chat.press(top(bob.chat.direct()).id, 'Approve')).status).toBe(200)
  expect(bob.chat.dialog()?.dialog.elements.map(({ name }) => name)).toEqual(['reason', 'duration'])
  await killed()
  expect((await bob.chat.submit({ reason: 'looks right', duration: 'soon' })).body).toMatchObject({
    errors: { duration: expect.stringContaining('no duration') as string },
  })
  expect((await bob.chat.submit({ reason: 'looks right', duration: '20m' })).body).toEqual({})
  for (const post of allCopies()) await expect.poll(() => textOf(post)).toContain('looks right')
  await expect.poll(() => here.replies().join('\n')).toContain('bob')
  const [vote] = await here.sallyport.events({ type: 'access_request.review' })
  expect(vote?.actor.name).toBe('bob')
  expect(JSON.stringify(vote?.details)).toContain('mattermost')
})

test('3: carol is sent to a page that takes her second factor, and the last copy loses its buttons', async () => {
  await killed()
  expect((await carol.chat.press(top(here.copies()).id, 'Approve')).status).toBe(200)
  const url = CONFIRM.exec(carol.chat.whispers().at(-1) ?? '')?.[0] ?? ''
  const browser = here.browser()
  expect((await browser.open(url)).text).toContain('Approve this request?')
  expect((await requests()).map(({ state }) => state)).toEqual(['pending'])
  await killed()
  const page = await browser.send({
    reason: 'on call',
    duration: '',
    code: (await carol.account.authenticator?.code()) ?? '',
  })
  expect(page.text).toContain('You approved it')
  expect((await requests()).map(({ state }) => state)).toEqual(['approved'])
  for (const post of [...here.copies(), ...[bob, carol, eve].flatMap(({ chat }) => chat.direct())])
    await expect.poll(() => buttonsOf(post)).toEqual([])
  for (const post of here.copies()) await expect.poll(() => textOf(post)).toContain('Approved for 20m')
})

test('4: alice is told, asks for more time from the message, and its end moves when both agree again', async () => {
  await killed()
  const own = top(alice.chat.direct())
  await expect.poll(() => buttonsOf(own)).toEqual(['Extend', 'Return access'])
  expect(textOf(own)).toContain('Approved for 20m')
  const before = Number(here.sallyport.rows('select ends_at from grants')[0]?.['ends_at'])
  expect((await alice.chat.press(own.id, 'Extend')).status).toBe(200)
  expect((await alice.chat.submit({ duration: '10m', reason: 'not finished' })).body).toEqual({})
  await expect.poll(() => here.copies().length).toBe(2)
  expect((await bob.chat.press(top(here.copies()).id, 'Approve')).status).toBe(200)
  expect((await bob.chat.submit({ reason: 'still fine', duration: '' })).body).toEqual({})
  await carol.chat.press(top(here.copies()).id, 'Approve')
  const browser = here.browser()
  await browser.open(CONFIRM.exec(carol.chat.whispers().at(-1) ?? '')?.[0] ?? '')
  await browser.send({ reason: '', duration: '', code: (await carol.account.authenticator?.code()) ?? '' })
  await expect
    .poll(() => Number(here.sallyport.rows('select ends_at from grants')[0]?.['ends_at']))
    .toBe(before + 600_000)
})

test('5: alice returns the access, and nothing is left to press anywhere', async () => {
  await killed()
  const own = requestsIn(alice.chat.direct()).find((post) => buttonsOf(post).includes('Return access'))
  expect((await alice.chat.press(own?.id ?? '', 'Return access')).status).toBe(200)
  await expect.poll(() => here.sallyport.rows('select state from grants').map(({ state }) => state)).toEqual(['ended'])
  for (const post of allCopies()) await expect.poll(() => buttonsOf(post)).toEqual([])
})

test('6: a request that nobody answers expires, and every copy says so', async () => {
  const asked = await alice.account.sally(
    'request',
    'create',
    '--roles=dba',
    '--reason=late',
    '--nowait',
    '--pending-for=3s',
  )
  expect(asked.stderr + asked.stdout).toContain('req_')
  await expect.poll(() => textOf(top(here.copies()))).toContain('Expired without a decision')
  expect(buttonsOf(top(here.copies()))).toEqual([])
})

test('trap 20: the tokens are in no log, event, error or row of the store', async () => {
  const { token } = here.mattermost.bot
  const commandToken = here.mattermost.house.commands[0]?.token ?? 'none'
  const events = JSON.stringify(await here.sallyport.events({}))
  const tables = here.sallyport
    .rows("select name from sqlite_master where type = 'table'")
    .map(({ name }) => String(name))
  const rows = JSON.stringify(tables.map((name) => here.sallyport.rows(`select * from "${name}"`)))
  const document = (await here.sallyport.admin('get', 'integration/chat')).stdout
  for (const text of [here.sallyport.logText(), events, rows, document]) {
    expect(text).not.toContain(token)
    expect(text).not.toContain(commandToken)
  }
  expect(document).toContain('bot_user_id')
})
