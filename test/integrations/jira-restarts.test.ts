// What a death of the daemon in the midst of a step leaves behind in Jira, what becomes of requests that nobody answers, and of
// accesses that are prolonged and returned.
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Call, Fault } from '../support/jira/house.ts'
import { inJira, openJiraStory, type JiraStory } from '../support/jira/jira-story.ts'
import { STATUSES, type Issue, type Jira } from '../support/jira/jira-server.ts'
import { readText } from '../support/jira/schemas.ts'
import { until } from '../support/until.ts'

let jira: JiraStory
let story: JiraStory['story']
let cloud: Jira
let server: Jira

beforeAll(async () => {
  jira = await openJiraStory()
  ;({ story, cloud, server } = jira)
  for (const [site, role] of [
    [cloud, 'dba'],
    [server, 'web'],
  ] as const) {
    const issue = await jira.issueOf(site, await story.ask('alice', role, 'to link bob by'))
    await inJira(site).bob.move(issue, 'approved')
    await until('the comment with the page', () => jira.said(issue).includes('not linked'))
    await until('the issue to be back', () => issue.status === STATUSES.pending)
    await jira.link(issue, 'bob')
  }
})
afterAll(() => jira?.[Symbol.asyncDispose]())

/** The call is done, its answer does not arrive, and the daemon dies. */
async function killedDuring(site: Jira, method: string, path: RegExp, step: () => Promise<unknown>): Promise<void> {
  const before = site.held
  let isOver = false
  site.fault = (call: Call): Fault | null =>
    !isOver && call.method === method && path.test(call.path) ? { hold: true } : null
  const stepped = step().catch(() => {})
  await until(`${method} ${path} to be held`, () => site.held > before)
  await story.sallyport.kill('SIGKILL')
  isOver = true
  await stepped
  await story.sallyport.restart()
}

const about = (site: Jira, id: string): Issue[] =>
  [...site.issues.values()].filter(({ summary }) => summary.includes(id))
const text = (issue: Issue): string => readText(issue.description)
const lines = (issue: Issue, part: RegExp): number =>
  issue.comments.filter(({ body }) => part.test(readText(body))).length
/** Moves by our own account into a status. */
const broughtTo = (issue: Issue, status: string): number =>
  issue.history.filter(({ author, items }) => author.id === 'bot-account' && items.some(({ to }) => to === status))
    .length
const reviewsOf = async (id: string): Promise<number> =>
  (await story.sallyport.events({ type: 'access_request.review', request: id })).length

test.each(['cloud', 'server'] as const)(
  'a death between Jira’s yes to an issue and our storing it makes no second one, also while the search lags: %s',
  async (which) => {
    const site = jira[which]
    const reason = `died over ${which}`
    site.searchLagMs = 6000
    let id = ''
    await killedDuring(site, 'POST', /\/issue$/, async () => {
      id = await story.ask('alice', which === 'cloud' ? 'dba' : 'web', reason)
    })
    await story.settled()
    const [issue, ...more] = about(site, id)
    expect(more).toEqual([])
    site.searchLagMs = 0
    await story.say('alice', 'cancel', id)
    await expect.poll(() => issue?.status).toBe(STATUSES.closed)
    expect(about(site, id)).toHaveLength(1)
  },
)

test('a death between a webhook’s arrival and the decision loses no vote and counts none twice', async () => {
  const id = await story.ask('alice', 'dba', 'arrived')
  const issue = await jira.issueOf(cloud, id)
  await killedDuring(cloud, 'GET', /\/changelog$/, () => inJira(cloud).bob.move(issue, 'approved'))
  await expect.poll(() => story.votes(id)).toEqual(['bob'])
  await expect.poll(() => issue.status).toBe(STATUSES.pending)
  await story.settled()
  expect(await reviewsOf(id)).toBe(1)
  expect(lines(issue, /bob approved/)).toBeLessThanOrEqual(1)
  expect(text(issue)).toContain('bob')
})

test('a death while Jira is asked who moved an issue counts the move once, and brings nothing back', async () => {
  const id = await story.ask('alice', 'web', 'polled')
  const issue = await jira.issueOf(server, id)
  await inJira(server).mallory.move(issue, 'approved')
  await until('the refusal', () => jira.said(issue).includes('not linked'))
  await until('the issue to be back', () => issue.status === STATUSES.pending)
  await killedDuring(server, 'GET', new RegExp(`/issue/${issue.id}$`), () => inJira(server).bob.move(issue, 'approved'))
  await expect.poll(() => story.state(id)).toBe('approved')
  await story.settled()
  expect(await reviewsOf(id)).toBe(1)
  expect(issue.status).toBe(STATUSES.approved)
  expect(broughtTo(issue, STATUSES.approved)).toBe(0)
  expect(jira.said(issue)).not.toContain('The issue goes back to what')
  await story.say('alice', 'return', id)
})

test('a death between Jira’s yes to a comment, or to a move, and our storing it says and moves nothing twice', async () => {
  const id = await story.ask('alice', 'dba', 'comment')
  const issue = await jira.issueOf(cloud, id)
  await killedDuring(cloud, 'POST', /\/comment$/, () => story.review('bob', id))
  await story.settled()
  expect(lines(issue, /bob approved/)).toBe(1)
  await killedDuring(cloud, 'POST', /\/transitions$/, () => story.review('carol', id))
  await story.settled()
  expect(issue.status).toBe(STATUSES.approved)
  expect(broughtTo(issue, STATUSES.approved)).toBe(1)
  expect(text(issue)).toContain('Approved')
})

test('what nobody answers ends by the clock: its issue is closed and says so, also when that came while nobody ran', async () => {
  const soon = await story.ask('alice', 'root', 'nobody answers', '--pending-for=4s')
  const later = await story.ask('alice', 'web', 'nobody answers either', '--pending-for=9s')
  const [inCloud, inServer] = [await jira.issueOf(cloud, soon), await jira.issueOf(server, later)]
  await expect.poll(() => inCloud.status).toBe(STATUSES.closed)
  expect(text(inCloud)).toContain('Expired')
  const { pendingUntil } = await story.request(later)
  await story.sallyport.kill('SIGKILL')
  await until('the time to be over', () => Date.now() > pendingUntil)
  await story.sallyport.restart()
  await expect.poll(() => inServer.status).toBe(STATUSES.closed)
  expect(text(inServer)).toContain('Expired')
  expect(text(inServer)).not.toContain('How to answer')
})

test('more time is an issue of its own, and the first one shows the new end and the return', async () => {
  const id = await story.ask('alice', 'web', 'extended', '--duration=1h')
  const issue = await jira.issueOf(server, id)
  await inJira(server).bob.move(issue, 'approved')
  await expect.poll(() => text(issue)).toContain('Access until')
  const before = text(issue)
  const more = await story.say('alice', 'extend', id, '--duration=30m', '--reason=not done', '--nowait')
  const second = await jira.issueOf(server, more)
  expect(second.summary).toContain('alice asks to keep web')
  await inJira(server).bob.move(second, 'approved')
  await expect.poll(() => story.state(more)).toBe('approved')
  await expect.poll(() => text(issue)).not.toBe(before)
  const end = (await story.request(id)).grant?.endsAt ?? 0
  await expect.poll(() => text(issue)).toContain(new Date(end).toISOString().slice(0, 16).replace('T', ' '))
  await story.say('alice', 'return', id)
  for (const each of [issue, second]) await expect.poll(() => text(each)).toContain('Access ended')
  expect([cloud.problems, server.problems]).toEqual([[], []])
})
