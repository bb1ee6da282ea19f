// Alice asks; Jira has an issue; bob and carol move it; and the daemon is killed between the steps. Jira Cloud calls a webhook,
// Jira Data Center is asked every second.
import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { callDaemon, sendPage } from '../support/daemon-page.ts'
import { startJira, STATUSES, type Issue, type Jira, type JiraPerson } from '../support/jira/jira-server.ts'
import { linksOf, readText } from '../support/jira/schemas.ts'
import { startSallyport, type Account, type Sallyport } from '../support/sallyport.ts'

const SECRET = 'jira-webhook-secret-77aa77aa'
let sallyport: Sallyport
let cloud: Jira
let server: Jira
let alice: Account
let bob: Account
let carol: Account
let inJira: Record<'alice' | 'bob' | 'carol' | 'mallory', JiraPerson>

const { working: _working, ...statuses } = STATUSES
const document = (name: string, jira: Jira, more: object, secrets: object = {}) => ({
  kind: 'integration',
  version: 'v1',
  metadata: { name },
  spec: {
    vendor: 'jira',
    product: jira.product,
    url: jira.url,
    issue_type: jira.issueType,
    statuses,
    allow_networks: ['127.0.0.0/8'],
    secrets: { token: jira.token, ...secrets },
    ...more,
  },
})

beforeAll(async () => {
  ;[sallyport, cloud, server] = await Promise.all([
    startSallyport(),
    startJira({ product: 'cloud' }),
    startJira({ product: 'datacenter' }),
  ])
  const role = (name: string, allow: Record<string, unknown>, options: object = {}) =>
    sallyport.role({ kind: 'role', metadata: { name }, spec: { allow, options } })
  const chat = { chat_approval: 'allowed' }
  await role('dba', { logins: [sallyport.login], node_labels: { service: 'database' } }, chat)
  await role('web', { logins: [sallyport.login], node_labels: { service: 'web' } }, chat)
  await role('root', { logins: [sallyport.login], node_labels: { service: 'root' } })
  const two = [{ name: 'two leads', filter: '"lead" in reviewer.roles', approve: 2, deny: 1 }]
  await role('engineer', { request: { roles: ['dba'], thresholds: two } })
  await role('operator', { request: { roles: ['web', 'root'] } })
  await role('lead', { review_requests: { roles: ['*'] } })
  await sallyport.user('alice', ['engineer', 'operator', 'lead'])
  await sallyport.user('bob', ['lead'])
  await sallyport.user('carol', ['lead'])
  ;[alice, bob, carol] = (await Promise.all([
    sallyport.signIn('alice', { apps: 3 }),
    sallyport.signIn('bob', { apps: 4 }),
    sallyport.signIn('carol', { apps: 3 }),
  ])) as [Account, Account, Account]
  await sallyport.document(
    document(
      'jira',
      cloud,
      { user: cloud.botEmail, events: 'webhook', deliver: [{ roles: ['dba', 'root'], channels: [cloud.project.id] }] },
      { webhook_secret: SECRET },
    ),
  )
  await sallyport.document(
    document('jira-dc', server, { poll_every: '1s', deliver: [{ roles: ['web'], channels: [server.project.key] }] }),
  )
  cloud.webhook = { url: `https://127.0.0.1:${sallyport.port}/v1/callbacks/jira/events`, secret: SECRET }
  cloud.post = async (url, body, headers) =>
    (await callDaemon('POST', url, body, { 'content-type': 'application/json', ...headers })).status
  inJira = {
    alice: cloud.person('Alice'),
    bob: cloud.person('Bob'),
    carol: cloud.person('Carol'),
    mallory: cloud.person('Mallory'),
  }
})
afterAll(async () => {
  await sallyport?.stop()
  await cloud?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
})

async function ask(role: string, reason: string): Promise<string> {
  const asked = await alice.sally(
    'request',
    'create',
    `--roles=${role}`,
    `--reason=${reason}`,
    '--nowait',
    '--format=json',
  )
  const id = /\breq_[0-9a-f-]{36}\b/.exec(asked.stdout)?.[0]
  if (id === undefined) throw new Error(asked.stderr)
  return id
}
async function issueOf(jira: Jira, id: string): Promise<Issue> {
  let issue: Issue | undefined
  await expect.poll(() => (issue = [...jira.issues.values()].find(({ summary }) => summary.includes(id)))).toBeDefined()
  if (!issue) throw new Error('there is no issue')
  await settled()
  return issue
}
const request = (id: string) => sallyport.api.showRequest({ params: { id } })
const votes = async (id: string): Promise<string[]> => (await request(id)).reviews.map(({ reviewer }) => reviewer)
const said = (issue: Issue): string => issue.comments.map(({ body }) => readText(body)).join('\n')
const lastLink = (issue: Issue, to: string): string =>
  issue.comments.flatMap(({ body }) => linksOf(body)).findLast((url) => url.includes(to)) ?? 'none'
/** Nothing is on its way. */
async function settled(): Promise<void> {
  await expect.poll(() => sallyport.rows("select id from messages where state = 'due'")).toEqual([])
}
/** What a death in the midst of a delivery does, the engine's own tests show. */
async function killed(): Promise<void> {
  await settled()
  await sallyport.kill('SIGKILL')
  await sallyport.restart()
}
/** As the page says: name, password and a code. */
async function link(issue: Issue, who: Account): Promise<void> {
  const code = (await who.authenticator?.code()) ?? ''
  const page = await sendPage(lastLink(issue, '/link/'), { user: who.name, password: who.password, code })
  expect(page.text).toContain('The account is linked')
}

describe('two approvals in Jira Cloud', () => {
  let id = ''
  let issue: Issue

  test('a request is an issue that shows it', async () => {
    id = await ask('dba', 'ticket #1: [~admin] https://evil.test')
    issue = await issueOf(cloud, id)
    expect(issue.status).toBe(STATUSES.pending)
    expect(readText(issue.description)).toContain('two leads')
    expect(linksOf(issue.description)).toEqual([expect.stringContaining(id)])
    await killed()
  })

  test('a move of an account that nobody is linked with is undone, and the comment says how to link it', async () => {
    await inJira.bob.move(issue, 'approved')
    await expect.poll(() => issue.status).toBe(STATUSES.pending)
    expect(said(issue)).toContain('not linked')
    expect(await votes(id)).toEqual([])
    await link(issue, bob)
    await killed()
  })

  test('a linked reviewer’s move counts, and the issue comes back for the next one', async () => {
    await inJira.bob.move(issue, 'approved')
    await expect.poll(() => votes(id)).toEqual(['bob'])
    await expect.poll(() => issue.status).toBe(STATUSES.pending)
    await expect.poll(() => said(issue)).toMatch(/bob.*approved/)
    await killed()
  })

  test('trap 9: the requester’s own move is undone, from whatever account of hers', async () => {
    await inJira.alice.move(issue, 'approved')
    await expect.poll(() => issue.status).toBe(STATUSES.pending)
    await link(issue, alice)
    await inJira.alice.move(issue, 'approved')
    await expect.poll(() => said(issue)).toMatch(/request of their own/)
    expect(issue.status).toBe(STATUSES.pending)
    expect(await votes(id)).toEqual(['bob'])
  })

  test('trap 12: what a payload claims does not count, only what the change log says', async () => {
    const change = await inJira.mallory.move(issue, 'approved', false)
    const entry = issue.history.find(({ id: number }) => number === change)
    if (!entry) throw new Error('there is no such change')
    await cloud.call(issue, { ...entry, author: inJira.bob.account }, { user: { accountId: 'acc-bob' } })
    await expect.poll(() => issue.status).toBe(STATUSES.pending)
    expect(await votes(id)).toEqual(['bob'])
  })

  test('trap 28: an issue that is moved by hand with our own token goes back', async () => {
    await cloud.move(issue, STATUSES.approved, cloud.bot)
    await expect.poll(() => issue.status).toBe(STATUSES.pending)
    expect(await votes(id)).toEqual(['bob'])
  })

  test('the second reviewer’s move decides; the access is there and the issue says so', async () => {
    await inJira.carol.move(issue, 'approved')
    await expect.poll(() => issue.status).toBe(STATUSES.pending)
    await link(issue, carol)
    await inJira.carol.move(issue, 'approved')
    await expect.poll(async () => (await request(id)).state).toBe('approved')
    await expect.poll(() => readText(issue.description)).toContain('Approved')
    await killed()
    expect(issue.status).toBe(STATUSES.approved)
    const reviews = (await sallyport.events({ type: 'access_request.review' })).filter((event) => event.request === id)
    expect(reviews.map(({ actor }) => actor.name)).toEqual(['bob', 'carol'])
  })

  test('trap 13: whoever moves it after the decision is told, and it goes back to what was decided', async () => {
    await cloud.move(issue, STATUSES.pending, inJira.mallory.account, false)
    await inJira.bob.move(issue, 'denied')
    await expect.poll(() => issue.status).toBe(STATUSES.approved)
    expect((await request(id)).state).toBe('approved')
  })
})

test('trap 1, 3: a webhook counts with the right signature over its very bytes, and once', async () => {
  const id = await ask('dba', 'ticket #3')
  const issue = await issueOf(cloud, id)
  const change = await inJira.bob.move(issue, 'approved', false)
  const url = cloud.webhook?.url ?? ''
  const body = JSON.stringify({ issue: { id: issue.id }, changelog: { id: change, items: [{ field: 'status' }] } })
  const send = (headers: Record<string, string>) =>
    callDaemon('POST', url, body, { 'content-type': 'application/json', ...headers })
  const sign = (text: string, key = SECRET): string => `sha256=${createHmac('sha256', key).update(text).digest('hex')}`
  const good = sign(body)
  const forged = [
    sign(body, 'x'),
    sign(`${body} `),
    good.slice(0, -1),
    good.replace('sha256=', 'sha1='),
    `${good}, ${good}`,
    '',
  ]
  for (const signature of forged) expect((await send({ 'x-hub-signature': signature })).status).toBe(401)
  expect((await send({})).status).toBe(401)
  expect(await votes(id)).toEqual([])
  for (let time = 0; time < 3; time++) expect((await send({ 'x-hub-signature': good })).status).toBe(200)
  await expect.poll(() => votes(id)).toEqual(['bob'])
  const reviews = (await sallyport.events({ type: 'access_request.review' })).filter((event) => event.request === id)
  expect(reviews).toHaveLength(1)
  await alice.sally('request', 'cancel', id)
  await expect.poll(() => issue.status).toBe(STATUSES.closed)
})

test('by default a move only begins a vote: the comment leads to the page where the second factor is typed', async () => {
  const id = await ask('root', 'ticket #4')
  const issue = await issueOf(cloud, id)
  await inJira.bob.move(issue, 'approved')
  await expect.poll(() => issue.status).toBe(STATUSES.pending)
  expect(await votes(id)).toEqual([])
  const page = lastLink(issue, '/confirm/')
  const code = (await bob.authenticator?.code()) ?? ''
  expect((await sendPage(page, { reason: 'read it', duration: '1h', code })).text).toContain('You approved it')
  await expect.poll(() => issue.status).toBe(STATUSES.approved)
  expect(await votes(id)).toEqual(['bob'])
})

const carolIs = (more: object): Promise<void> =>
  sallyport.document({ kind: 'user', version: 'v1', metadata: { name: 'carol' }, spec: { roles: ['lead'], ...more } })

test('trap 8: a reviewer who lost the right a moment ago moves it in vain', async () => {
  const id = await ask('dba', 'ticket #5')
  const issue = await issueOf(cloud, id)
  await carolIs({ disabled: true })
  await inJira.carol.move(issue, 'denied')
  await expect.poll(() => issue.status).toBe(STATUSES.pending)
  expect((await request(id)).state).toBe('pending')
  await carolIs({ disabled: false })
})

test('one move to denied denies it', async () => {
  const id = await ask('dba', 'ticket #2: last')
  const issue = await issueOf(cloud, id)
  await inJira.carol.move(issue, 'denied')
  await expect.poll(async () => (await request(id)).state).toBe('denied')
  await expect.poll(() => readText(issue.description)).toContain('Denied')
  expect(issue.status).toBe(STATUSES.denied)
})

test('Jira Data Center is asked for moved issues: the same counts, and a kill in between loses none', async () => {
  const id = await ask('web', 'ticket #6 {noformat}[~admin]')
  const issue = await issueOf(server, id)
  expect(linksOf(issue.description)).toHaveLength(1)
  await server.person('Bob').move(issue, 'approved')
  await expect.poll(() => issue.status).toBe(STATUSES.pending)
  await link(issue, bob)
  await sallyport.kill('SIGKILL')
  await server.person('Bob').move(issue, 'approved')
  await sallyport.restart()
  await expect.poll(async () => (await request(id)).state).toBe('approved')
  await expect.poll(() => readText(issue.description)).toContain('Approved')
  expect(issue.status).toBe(STATUSES.approved)
})

test('trap 20: neither token nor secret is in a log, an event or an answer', async () => {
  const shown = JSON.stringify([
    await sallyport.events(),
    (await sallyport.admin('get', 'integration/jira')).stdout,
    (await sallyport.admin('integration', 'status')).stdout,
    sallyport.logText(),
  ])
  for (const secret of [cloud.token, server.token, SECRET]) expect(shown).not.toContain(secret)
  expect([...cloud.problems, ...server.problems]).toEqual([])
})
