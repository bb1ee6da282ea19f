// What must not come of Jira: votes by another site, project or integration, by whoever follows links, or twice by one human.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { sendPage } from '../support/daemon-page.ts'
import { inJira, openJiraStory, SECRET, type JiraStory } from '../support/jira/jira-story.ts'
import { startJira, STATUSES, type Issue, type Jira, type JiraPerson } from '../support/jira/jira-server.ts'
import { linksOf, readText } from '../support/jira/schemas.ts'
import { scanLinks } from '../support/scanner-bot.ts'
import { until } from '../support/until.ts'

let jira: JiraStory
let story: JiraStory['story']
let cloud: Jira
let server: Jira
let other: Jira
let there: ReturnType<typeof inJira>

beforeAll(async () => {
  ;[jira, other] = await Promise.all([openJiraStory(), startJira({ product: 'cloud' })])
  ;({ story, cloud, server } = jira)
  there = inJira(cloud)
  const issue = await jira.issueOf(cloud, await story.ask('alice', 'dba', 'to link bob by'))
  await undone(issue, there.bob)
  await jira.link(issue, 'bob')
})
afterAll(async () => {
  await jira?.[Symbol.asyncDispose]()
  await other?.[Symbol.asyncDispose]()
})

/** A move that counts for nothing. */
async function undone(issue: Issue, person: JiraPerson): Promise<void> {
  const before = issue.comments.length
  await person.move(issue, 'approved')
  await until('the comment', () => issue.comments.length > before)
  await until('the issue to be back', () => issue.status === STATUSES.pending)
}

/** As it stands in another place: everything that one can see of it is the same. */
const copied = (issue: Issue, more: Partial<Issue> = {}): Issue => ({
  ...issue,
  properties: new Map(issue.properties),
  comments: [],
  history: [],
  ...more,
})

test('trap 5: moves of another site, told with our own secret, are read from ours, where nobody moved anything', async () => {
  const id = await story.ask('alice', 'dba', 'another site')
  const issue = await jira.issueOf(cloud, id)
  const twin = copied(issue)
  other.issues.set(twin.id, twin)
  other.webhook = cloud.webhook
  other.post = cloud.post
  await other.person('Bob').move(twin, 'approved')
  expect(other.webhookAnswers).toEqual([200])
  expect(await story.votes(id)).toEqual([])
  expect(issue).toMatchObject({ status: STATUSES.pending, comments: [] })
})

test('trap 5: an issue that we did not make is nobody’s, whatever project it is of and whatever mark it carries', async () => {
  const id = await story.ask('alice', 'dba', 'another project')
  const issue = await jira.issueOf(cloud, id)
  const forged = copied(issue, { id: '99999', key: 'EVIL-1' })
  cloud.issues.set(forged.id, forged)
  await there.bob.move(forged, 'approved')
  expect(cloud.webhookAnswers.at(-1)).toBe(200)
  expect(await story.votes(id)).toEqual([])
  expect(forged).toMatchObject({ status: STATUSES.approved, comments: [] })
  cloud.issues.delete(forged.id)
})

test('trap 5: an account is linked with one integration: the same id in the other Jira is a stranger', async () => {
  const id = await story.ask('alice', 'web', 'another integration')
  const issue = await jira.issueOf(server, id)
  await undone(issue, inJira(server).bob)
  expect(jira.said(issue)).toContain('not linked')
  expect(jira.lastLink(issue, '/link/')).toContain('/link/')
  expect(await story.votes(id)).toEqual([])
})

test('trap 10: one human who moves the issue and answers on the command line has one vote of the two', async () => {
  const id = await story.ask('alice', 'dba', 'twice')
  const issue = await jira.issueOf(cloud, id)
  await there.bob.move(issue, 'approved')
  await expect.poll(() => story.votes(id)).toEqual(['bob'])
  await until('the issue to be back', () => issue.status === STATUSES.pending)
  await story.review('bob', id).catch(() => {})
  await there.bob.move(issue, 'approved')
  await until('the issue to be back', () => issue.status === STATUSES.pending)
  const { state, reviews } = await story.request(id)
  expect(state).toBe('pending')
  expect(new Set(reviews.filter(({ counts }) => counts).map(({ reviewer }) => reviewer))).toEqual(new Set(['bob']))
  await story.say('alice', 'cancel', id)
})

test('trap 21: a secret in a reason is in no issue and no comment', async () => {
  const secret = `ghp_${'a1B2c3D4e5F6'.repeat(3)}`
  const id = await story.ask('alice', 'dba', `use ${secret} please`)
  const issue = await jira.issueOf(cloud, id)
  expect(readText(issue.description)).toContain('use')
  expect(JSON.stringify([issue.summary, issue.description, issue.comments])).not.toContain(secret)
  await story.say('alice', 'cancel', id)
})

test('trap 17: whoever follows every link of issues and comments, and presses what is there, decides, links and uses up nothing', async () => {
  const id = await story.ask('alice', 'root', 'scanned')
  const issue = await jira.issueOf(cloud, id)
  await undone(issue, there.bob)
  await undone(issue, there.mallory)
  const texts = [issue.description, ...issue.comments.map(({ body }) => body)].flatMap(linksOf)
  const accounts = () => story.sallyport.rows('select * from chat_accounts')
  const before = accounts()
  const scanned = await scanLinks(texts, `https://127.0.0.1:${story.sallyport.port}`)
  const kinds = scanned.map(({ link }) => new URL(link).pathname.split('/')[1]).toSorted()
  expect(kinds).toEqual(['confirm', 'link', 'r'])
  for (const { looks, foreign, pressed } of scanned) {
    expect(new Set(looks)).toEqual(new Set([200]))
    expect(new Set(foreign)).toEqual(new Set([403]))
    for (const status of pressed) expect(status).toBeGreaterThanOrEqual(400)
  }
  expect(accounts()).toEqual(before)
  expect(await story.request(id)).toMatchObject({ state: 'pending', reviews: [] })
  const page = jira.lastLink(issue, '/confirm/')
  const code = await story.code('bob')
  expect((await sendPage(page, { reason: 'read it', duration: '1h', code })).text).toContain('You approved it')
  expect(await story.votes(id)).toEqual(['bob'])
})

test('trap 5: when the integration is moved to another site, nobody is known there', async () => {
  const id = await story.ask('alice', 'dba', 'moved away')
  const issue = await jira.issueOf(cloud, id)
  const twin = copied(issue)
  other.issues.set(twin.id, twin)
  await jira.connectCloudTo(other)
  await undone(twin, other.person('Bob'))
  expect(jira.said(twin)).toContain('not linked')
  expect(await story.votes(id)).toEqual([])
  for (const secret of [other.token, SECRET]) expect(story.sallyport.logText()).not.toContain(secret)
})
