// One request, two products: alice asks in Mattermost, bob answers in Slack and carol in Mattermost. What one of them does shows
// in the other, and a person with accounts in both is one voter. The daemon is killed between the votes.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buttonsOf, chatHouse, textOf, type ChatHouse, type Linked } from '../support/mattermost/chat-house.ts'
import { PageVisitor } from '../support/page-visitor.ts'
import { scanLinks } from '../support/scanner-bot.ts'
import { FakeSlack } from '../support/slack/fake-slack.ts'
import { buttonsOf as slackButtons, shownText, type FakeMessage } from '../support/slack/fake-workspace.ts'
import { until } from '../support/until.ts'

const SLACK_CHANNEL = 'C0OPS'
const BOB_IN_SLACK = 'U0BOB'

let here: ChatHouse
let slack: FakeSlack
let alice: Linked
let bob: Linked
let carol: Linked

beforeAll(async () => {
  slack = await FakeSlack.start({ mode: 'socket' })
  slack.workspace.addUser(BOB_IN_SLACK, 'bob-in-slack')
  slack.workspace.addChannel(SLACK_CHANNEL, [BOB_IN_SLACK])
  here = await chatHouse({
    users: { alice: ['engineer'], bob: ['lead'], carol: ['lead'] },
    linked: ['alice', 'bob', 'carol'],
    async roles(sallyport) {
      const role = (name: string, allow: Record<string, unknown>, options = {}) =>
        sallyport.role({ kind: 'role', metadata: { name }, spec: { allow, options } })
      const logins = [sallyport.login]
      await role('dba', { logins, node_labels: { service: 'database' } }, { chat_approval: 'allowed' })
      const thresholds = [{ name: 'two', filter: 'true', approve: 2, deny: 1 }]
      await role('engineer', { request: { roles: ['dba'], max_duration: '2h', thresholds } })
      await role('lead', { review_requests: { roles: ['dba'] } })
    },
  })
  const { people, sallyport } = here
  if (!people['alice'] || !people['bob'] || !people['carol']) throw new Error('nobody is there')
  ;({ alice, bob, carol } = people as Record<'alice' | 'bob' | 'carol', Linked>)
  const { teamId, appId, apiUrl, botToken, appToken } = slack
  await sallyport.document({
    kind: 'integration',
    metadata: { name: 'slack' },
    spec: {
      ...{ vendor: 'slack', mode: 'socket', team_id: teamId, app_id: appId, api_url: apiUrl },
      allow_networks: ['127.0.0.0/8'],
      deliver: [{ channels: [SLACK_CHANNEL], reviewers: true }],
      secrets: { bot_token: botToken, app_token: appToken },
    },
  })
  await until('the socket', () => slack.sockets.count === 1)
  const said = await slack.command(BOB_IN_SLACK, SLACK_CHANNEL, 'link')
  const url = /https:\/\/[^"\s]+\/link\/[a-z0-9-]+/.exec(said.body)?.[0] ?? ''
  const code = (await bob.account.authenticator?.code()) ?? ''
  const page = await new PageVisitor().fill(url, { user: 'bob', password: bob.account.password, code })
  expect(page.status).toBe(200)
})
afterAll(async () => {
  await here?.[Symbol.asyncDispose]()
  await slack?.stop()
})

const request = async () => (await here.sallyport.api.listRequests({ query: { scope: 'all' } })).items[0]
const inSlack = (text: string): FakeMessage | undefined =>
  slack.workspace.in(SLACK_CHANNEL).findLast(({ blocks }) => shownText(blocks).includes(text))
const slackLabels = (message: FakeMessage | undefined): string[] =>
  slackButtons(message?.blocks ?? []).map(({ label }) => label)

test('1: what is asked in one product is shown in both', async () => {
  await alice.chat.type(here.channel.id, '/access request dba for 1h: ticket #9')
  await expect.poll(() => here.copies().map(buttonsOf)).toEqual([['Approve', 'Deny']])
  const message = await until('the message in Slack', () => inSlack('ticket #9'))
  expect(slackLabels(message)).toEqual(['Approve', 'Deny', 'Open'])
})

test('trap 16, 17: whoever follows every link of both, and presses what is there, decides nothing', async () => {
  const posts = here.mattermost.house.posts.ofChannel(here.channel.id).map((post) => textOf(post))
  const texts = [...posts, ...slack.workspace.in(SLACK_CHANNEL).map(({ blocks }) => JSON.stringify(blocks))]
  const scanned = await scanLinks(texts, `https://127.0.0.1:${here.sallyport.port}`)
  expect(scanned.map(({ link }) => new URL(link).pathname)).toContain(`/r/${(await request())?.id ?? ''}`)
  // A product that looks at links to show what is behind them: it learns no more from them than the id.
  for (const { link } of scanned) expect([new URL(link).search, new URL(link).hash]).toEqual(['', ''])
  for (const { looks, foreign, pressed } of scanned) {
    expect(looks.filter((status) => status >= 500)).toEqual([])
    for (const status of [...foreign, ...pressed]) expect(status).toBeGreaterThanOrEqual(400)
  }
  expect(await request()).toMatchObject({ state: 'pending', reviews: [] })
  expect(here.copies().map(buttonsOf)).toEqual([['Approve', 'Deny']])
})

test('2: a vote in Slack shows in Mattermost, and the same human in Mattermost has no second one', async () => {
  await slack.press(BOB_IN_SLACK, await until('the message', () => inSlack('ticket #9')), 'Approve')
  await until('the dialog', () => slack.workspace.viewOf(BOB_IN_SLACK) ?? null)
  await slack.submit(BOB_IN_SLACK, { reason: 'from Slack', duration: '30m' })
  await expect.poll(() => textOf(here.copies()[0])).toContain('from Slack')
  const copy = here.copies()[0]?.id ?? ''
  await bob.chat.press(copy, 'Approve')
  await bob.chat.submit({ reason: 'from Mattermost', duration: '20m' })
  expect(await request()).toMatchObject({ state: 'pending' })
  const counting = (await request())?.reviews.filter(({ counts }) => counts) ?? []
  expect(counting.map(({ reviewer }) => reviewer)).toEqual(['bob'])
})

test('3: after a kill the second vote comes from Mattermost and decides; no copy in either has a button left', async () => {
  const open = "select id from messages where state = 'due' and due_at < ?"
  await expect.poll(() => here.sallyport.rows(open, Date.now() + 120_000)).toEqual([])
  await here.sallyport.kill('SIGKILL')
  await here.sallyport.restart()
  await carol.chat.press(here.copies()[0]?.id ?? '', 'Approve')
  expect((await carol.chat.submit({ reason: 'me too', duration: '' })).body).toEqual({})
  expect(await request()).toMatchObject({ state: 'approved', grantedDuration: 1_200_000 })
  await expect.poll(() => here.copies().map(buttonsOf)).toEqual([[]])
  const message = await until('the decision in Slack', () => inSlack('me too'))
  await until('Slack to have lost its buttons', () => !slackLabels(inSlack('ticket #9')).includes('Approve'))
  expect(shownText(message.blocks)).toContain('Approved')
  expect(
    slack.workspace.in(SLACK_CHANNEL).filter(({ blocks }) => shownText(blocks).includes('ticket #9')),
  ).toHaveLength(1)
  const votes = await here.sallyport.events({ type: 'access_request.review' })
  expect(new Set(votes.map(({ details }) => details?.['via']))).toEqual(new Set(['slack', 'mattermost']))
})

test('4: revoked by an operator, and both say so', async () => {
  const id = (await request())?.id ?? ''
  await here.sallyport.api.revokeGrant({ params: { id }, body: { reason: 'enough' } })
  await expect.poll(() => textOf(here.copies()[0])).toContain('revoked by local-admin: enough')
  await until('the end in Slack', () => inSlack('revoked by local-admin: enough'))
})
