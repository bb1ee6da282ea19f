// Alice asks; Jira has an issue; bob and carol move it; and the daemon is killed between the steps. Jira Cloud calls a webhook,
// Jira Data Center is asked every second.
import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { callDaemon, sendPage } from '../support/daemon-page.ts'
import { inJira, openJiraStory, SECRET, type JiraStory } from '../support/jira/jira-story.ts'
import { STATUSES, type Issue, type Jira, type JiraPerson } from '../support/jira/jira-server.ts'
import { linksOf, readText } from '../support/jira/schemas.ts'

let jira: JiraStory
let story: JiraStory['story']
let cloud: Jira
let server: Jira
let there: Record<'alice' | 'bob' | 'carol' | 'mallory', JiraPerson>

beforeAll(async () => {
  jira = await openJiraStory()
  ;({ story, cloud, server } = jira)
  there = inJira(cloud)
})
afterAll(() => jira?.[Symbol.asyncDispose]())

describe('two approvals in Jira Cloud', () => {
  let id = ''
  let issue: Issue

  test('a request is an issue that shows it', async () => {
    id = await story.ask('alice', 'dba', 'ticket #1: [~admin] https://evil.test')
    issue = await jira.issueOf(cloud, id)
    expect(issue.status).toBe(STATUSES.pending)
    expect(readText(issue.description)).toContain('two leads')
    expect(linksOf(issue.description)).toEqual([expect.stringContaining(id)])
    await story.killed()
  })

  test('a move of an account that nobody is linked with is undone, and the comment says how to link it', async () => {
    await there.bob.move(issue, 'approved')
    await expect.poll(() => issue.status).toBe(STATUSES.pending)
    expect(jira.said(issue)).toContain('not linked')
    expect(await story.votes(id)).toEqual([])
    await jira.link(issue, 'bob')
    await story.killed()
  })

  test('a linked reviewer’s move counts, and the issue comes back for the next one', async () => {
    await there.bob.move(issue, 'approved')
    await expect.poll(() => story.votes(id)).toEqual(['bob'])
    await expect.poll(() => issue.status).toBe(STATUSES.pending)
    await expect.poll(() => jira.said(issue)).toMatch(/bob.*approved/)
    await story.killed()
  })

  test('trap 9: the requester’s own move is undone, from whatever account of hers', async () => {
    await there.alice.move(issue, 'approved')
    await expect.poll(() => issue.status).toBe(STATUSES.pending)
    await jira.link(issue, 'alice')
    await there.alice.move(issue, 'approved')
    await expect.poll(() => jira.said(issue)).toMatch(/request of their own/)
    expect(issue.status).toBe(STATUSES.pending)
    expect(await story.votes(id)).toEqual(['bob'])
  })

  test('trap 12: what a payload claims does not count, only what the change log says', async () => {
    const change = await there.mallory.move(issue, 'approved', false)
    const entry = issue.history.find(({ id: number }) => number === change)
    if (!entry) throw new Error('there is no such change')
    await cloud.call(issue, { ...entry, author: there.bob.account }, { user: { accountId: 'acc-bob' } })
    await expect.poll(() => issue.status).toBe(STATUSES.pending)
    expect(await story.votes(id)).toEqual(['bob'])
  })

  test('trap 28: an issue that is moved by hand with our own token goes back', async () => {
    await cloud.move(issue, STATUSES.approved, cloud.bot)
    await expect.poll(() => issue.status).toBe(STATUSES.pending)
    expect(await story.votes(id)).toEqual(['bob'])
  })

  test('the second reviewer’s move decides; the access is there and the issue says so', async () => {
    await there.carol.move(issue, 'approved')
    await expect.poll(() => issue.status).toBe(STATUSES.pending)
    await jira.link(issue, 'carol')
    await there.carol.move(issue, 'approved')
    await expect.poll(async () => (await story.request(id)).state).toBe('approved')
    await expect.poll(() => readText(issue.description)).toContain('Approved')
    await story.killed()
    expect(issue.status).toBe(STATUSES.approved)
    const reviews = (await story.sallyport.events({ type: 'access_request.review' })).filter(
      (event) => event.request === id,
    )
    expect(reviews.map(({ actor }) => actor.name)).toEqual(['bob', 'carol'])
  })

  test('trap 13: whoever moves it after the decision is told, and it goes back to what was decided', async () => {
    await cloud.move(issue, STATUSES.pending, there.mallory.account, false)
    await there.bob.move(issue, 'denied')
    await expect.poll(() => issue.status).toBe(STATUSES.approved)
    expect((await story.request(id)).state).toBe('approved')
  })
})

test('trap 1, 3: a webhook counts with the right signature over its very bytes, and once', async () => {
  const id = await story.ask('alice', 'dba', 'ticket #3')
  const issue = await jira.issueOf(cloud, id)
  const change = await there.bob.move(issue, 'approved', false)
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
  expect(await story.votes(id)).toEqual([])
  for (let time = 0; time < 3; time++) expect((await send({ 'x-hub-signature': good })).status).toBe(200)
  await expect.poll(() => story.votes(id)).toEqual(['bob'])
  const reviews = (await story.sallyport.events({ type: 'access_request.review' })).filter(
    (event) => event.request === id,
  )
  expect(reviews).toHaveLength(1)
  await story.say('alice', 'cancel', id)
  await expect.poll(() => issue.status).toBe(STATUSES.closed)
})

test('an issue that somebody else rewrote counts for nothing, until it says again what is asked for', async () => {
  const id = await story.ask('alice', 'dba', 'ticket #7')
  const issue = await jira.issueOf(cloud, id)
  const { summary, description } = issue
  const nicer = { summary: summary.replace('dba', 'read-only'), description }
  cloud.log(issue, there.alice.account, nicer)
  issue.summary = nicer.summary
  await there.bob.move(issue, 'approved')
  await expect.poll(() => issue.status).toBe(STATUSES.pending)
  expect(jira.said(issue)).toContain('somebody else has changed what the issue says')
  expect(await story.votes(id)).toEqual([])
  cloud.log(issue, cloud.bot, { summary, description })
  issue.summary = summary
  await there.bob.move(issue, 'approved')
  await expect.poll(() => story.votes(id)).toEqual(['bob'])
  await story.say('alice', 'cancel', id)
})

test('by default a move only begins a vote: the comment leads to the page where the second factor is typed', async () => {
  const id = await story.ask('alice', 'root', 'ticket #4')
  const issue = await jira.issueOf(cloud, id)
  await there.bob.move(issue, 'approved')
  await expect.poll(() => issue.status).toBe(STATUSES.pending)
  expect(await story.votes(id)).toEqual([])
  const page = jira.lastLink(issue, '/confirm/')
  const code = await story.code('bob')
  expect((await sendPage(page, { reason: 'read it', duration: '1h', code })).text).toContain('You approved it')
  await expect.poll(() => issue.status).toBe(STATUSES.approved)
  expect(await story.votes(id)).toEqual(['bob'])
})

const carolIs = (more: object): Promise<void> =>
  story.sallyport.document({
    kind: 'user',
    version: 'v1',
    metadata: { name: 'carol' },
    spec: { roles: ['lead'], ...more },
  })

test('trap 8: a reviewer who lost the right a moment ago moves it in vain', async () => {
  const id = await story.ask('alice', 'dba', 'ticket #5')
  const issue = await jira.issueOf(cloud, id)
  await carolIs({ disabled: true })
  await there.carol.move(issue, 'denied')
  await expect.poll(() => issue.status).toBe(STATUSES.pending)
  expect((await story.request(id)).state).toBe('pending')
  await carolIs({ disabled: false })
})

test('one move to denied denies it', async () => {
  const id = await story.ask('alice', 'dba', 'ticket #2: last')
  const issue = await jira.issueOf(cloud, id)
  await there.carol.move(issue, 'denied')
  await expect.poll(async () => (await story.request(id)).state).toBe('denied')
  await expect.poll(() => readText(issue.description)).toContain('Denied')
  expect(issue.status).toBe(STATUSES.denied)
})

test('Jira Data Center is asked for moved issues: the same counts, and a kill in between loses none', async () => {
  const id = await story.ask('alice', 'web', 'ticket #6 {noformat}[~admin]')
  const issue = await jira.issueOf(server, id)
  expect(linksOf(issue.description)).toHaveLength(1)
  await server.person('Bob').move(issue, 'approved')
  await expect.poll(() => issue.status).toBe(STATUSES.pending)
  await jira.link(issue, 'bob')
  await story.sallyport.kill('SIGKILL')
  await server.person('Bob').move(issue, 'approved')
  await story.sallyport.restart()
  await expect.poll(async () => (await story.request(id)).state).toBe('approved')
  await expect.poll(() => readText(issue.description)).toContain('Approved')
  expect(issue.status).toBe(STATUSES.approved)
})

test('trap 20: neither token nor secret is in a log, an event or an answer', async () => {
  const shown = JSON.stringify([
    await story.sallyport.events(),
    (await story.sallyport.admin('get', 'integration/jira')).stdout,
    (await story.sallyport.admin('integration', 'status')).stdout,
    story.sallyport.logText(),
  ])
  for (const secret of [cloud.token, server.token, SECRET]) expect(shown).not.toContain(secret)
  expect([...cloud.problems, ...server.problems]).toEqual([])
})
