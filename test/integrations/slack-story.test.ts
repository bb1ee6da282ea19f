// Alice asks in Slack, bob and carol answer there, every copy shows how it stands, she gets more time and gives the access back there.
// The daemon is killed between the steps.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { shownText, type FakeMessage } from '../support/slack/fake-workspace.ts'
import { CHANNEL, SLACK_IDS, SlackHouse } from '../support/slack/slack-house.ts'
import { until } from '../support/until.ts'

const EVERYWHERE = ['alice', 'bob', 'carol', 'channel'] as const

describe.each(['http', 'socket'] as const)('the story of a request in Slack, over %s', (mode) => {
  let house: SlackHouse
  let id = ''
  beforeAll(async () => {
    house = await SlackHouse.open(mode)
  })
  afterAll(() => house?.[Symbol.asyncDispose]())

  const asked = (where: (typeof EVERYWHERE)[number]): FakeMessage => {
    const found = house.message(where, id)
    if (!found) throw new Error(`no message for ${where}`)
    return found
  }
  const request = () => house.sallyport.api.showRequest({ params: { id } })

  test('1: a form in chat makes the request; reviewers, channel and requester each get one message', async () => {
    const before = house.dialogs('alice')
    expect((await house.slack.command(SLACK_IDS.alice, CHANNEL, '')).status).toBe(200)
    await house.dialog('alice', before)
    const refused = await house.slack.submit(SLACK_IDS.alice, { roles: ['dba', 'ops'], duration: '9h', reason: 'x' })
    expect(refused.body).toContain('"errors":{"duration"')
    const reason = 'ticket 77 <!channel> <https://evil.example|Open>'
    await house.slack.submit(SLACK_IDS.alice, { roles: ['dba', 'ops'], duration: '2h', reason })
    expect(shownText(house.slack.workspace.viewOf(SLACK_IDS.alice)?.view)).toContain('You asked for dba, ops for 2h')
    const [made] = (await house.sallyport.api.listRequests({ query: { scope: 'all' } })).items
    id = made?.id ?? ''
    expect(made).toMatchObject({ user: 'alice', roles: ['dba', 'ops'], reason, state: 'pending' })
    for (const where of EVERYWHERE) await house.shown(where, id)
    expect(house.labels(asked('bob'))).toEqual(['Approve', 'Deny', 'Open'])
    expect(house.labels(asked('channel'))).toEqual(['Approve', 'Deny', 'Open'])
    expect(house.labels(asked('alice'))).toEqual(['Cancel request', 'Open'])
    expect(shownText(asked('carol').blocks)).toContain('ticket 77 <!channel>')
    const [created] = await house.sallyport.events({ type: 'access_request.create', request: id })
    expect(created).toMatchObject({ actor: { name: 'alice' }, details: { via: 'slack' } })
  })

  test('2: after a kill a click opens the page that asks for the second factor; looking at it decides nothing', async () => {
    await house.restart()
    await house.pressForDialog('bob', asked('bob'), 'Approve')
    const view = house.slack.workspace.viewOf(SLACK_IDS.bob)?.view
    const url = /https:\/\/[^"\s]+\/confirm\/[\w-]+/.exec(JSON.stringify(view))?.[0] ?? ''
    await house.visitor().visit(url)
    expect(await request()).toMatchObject({ state: 'pending', reviews: [] })
    await house.restart()
    const code = (await house.accounts.bob.authenticator?.code()) ?? ''
    const page = await house.visitor().fill(url, { reason: 'looks right', duration: '1h', code })
    expect(page.body).toContain('You approved it')
    expect((await request()).reviews).toMatchObject([{ reviewer: 'bob', decision: 'approve', reason: 'looks right' }])
    const again = await house.visitor().fill(url, { reason: 'again', duration: '1h', code: '000000' })
    expect(again.status).toBeGreaterThanOrEqual(400)
  })

  test('3: every copy shows the first vote and keeps its buttons; its thread has one line', async () => {
    for (const where of EVERYWHERE)
      await until(`the vote at ${where}`, () =>
        shownText(asked(where).blocks).includes('✓ bob approved for 1h: looks right'),
      )
    expect(house.labels(asked('channel'))).toEqual(['Approve', 'Deny', 'Open'])
    for (const where of ['channel', 'alice'] as const) {
      const lines = () =>
        house.slack.workspace.threadOf(asked(where)).filter(({ blocks }) => shownText(blocks).includes('bob approved'))
      await until(`the line at ${where}`, () => lines()[0])
      expect(lines()).toHaveLength(1)
    }
  })

  test('4: the second vote is a dialog in chat, and decides; every copy shows it and has lost its buttons', async () => {
    await house.pressForDialog('carol', asked('channel'), 'Approve')
    await house.restart()
    const sent = await house.slack.submit(SLACK_IDS.carol, { reason: 'fine by me', duration: '30m' })
    expect(sent.status).toBe(200)
    expect(shownText(house.slack.workspace.viewOf(SLACK_IDS.carol)?.view)).toContain('approved')
    expect(await request()).toMatchObject({ state: 'approved', grantedDuration: 1_800_000 })
    for (const where of EVERYWHERE)
      await until(`the decision at ${where}`, () => shownText(asked(where).blocks).includes('Approved'))
    for (const where of ['bob', 'carol', 'channel'] as const)
      expect(house.labels(asked(where))).not.toContain('Approve')
    await until('what she can do with it', () => house.labels(asked('alice')).includes('Extend'))
    expect(house.labels(asked('alice'))).toEqual(['Extend', 'Return access', 'Open'])
    const [vote] = (await house.sallyport.events({ type: 'access_request.review', request: id })).slice(-1)
    expect(vote).toMatchObject({ actor: { name: 'carol' }, details: { via: 'slack' } })
  })

  test('trap 13: a button of before the decision says that it is decided', async () => {
    const [old] = house.slack.api.calls
      .filter(({ method, args }) => method === 'chat.postMessage' && String(args['blocks']).includes(id))
      .flatMap(({ args }) => /"value":"([^"]+)"/.exec(String(args['blocks']))?.[1] ?? [])
    const before = house.whispersTo('carol').length
    await house.slack.pressOld(SLACK_IDS.carol, asked('channel'), {
      action: 'sallyport.approve',
      value: old,
      label: 'Approve',
    })
    await until('the refusal', () => house.whispersTo('carol').length > before)
    expect((await request()).reviews).toHaveLength(2)
  })

  test('5: more time is asked for and given in chat', async () => {
    await house.pressForDialog('alice', asked('alice'), 'Extend')
    await house.restart()
    await house.slack.submit(SLACK_IDS.alice, { duration: '45m', reason: 'not done' })
    const more = await until('the extension', async () =>
      (await house.sallyport.api.listRequests({ query: { scope: 'all' } })).items.find(
        ({ kind }) => kind === 'extension',
      ),
    )
    for (const person of ['bob', 'carol'] as const) await house.shown(person, more.id)
    const toBob = await house.shown('bob', more.id)
    await house.pressForDialog('bob', toBob, 'Approve')
    const url = /https:\/\/[^"\s]+\/confirm\/[\w-]+/.exec(
      JSON.stringify(house.slack.workspace.viewOf(SLACK_IDS.bob)?.view),
    )?.[0]
    const code = (await house.accounts.bob.authenticator?.code()) ?? ''
    await house.visitor().fill(url ?? '', { reason: 'ok', duration: '45m', code })
    await house.pressForDialog('carol', await house.shown('carol', more.id), 'Approve')
    await house.slack.submit(SLACK_IDS.carol, { reason: 'ok', duration: '45m' })
    await until('the new end', async () => {
      const { grant } = await request()
      return grant !== null && grant.endsAt - grant.startsAt === 75 * 60_000
    })
  })

  test('6: she sees what is hers, gives it back, and every copy shows the end', async () => {
    const mine = await house.slack.command(SLACK_IDS.alice, CHANNEL, 'mine')
    expect(mine.body).toContain(id)
    expect((await house.press('alice', asked('alice'), 'Return access')).status).toBe(200)
    await until('the end', async () => (await request()).grant?.state === 'ended')
    for (const where of EVERYWHERE)
      await until(`the end at ${where}`, () => shownText(asked(where).blocks).includes('Ended'))
    expect(house.labels(asked('alice'))).toEqual([])
  })

  test('7: what nobody answers expires on every copy', async () => {
    const late = await house.ask('dba', 'later', { pendingFor: 4000 })
    for (const where of ['alice', 'bob', 'channel'] as const) await house.shown(where, late)
    await house.restart()
    for (const where of ['alice', 'bob', 'channel'] as const)
      await until(`the expiry at ${where}`, () => shownText(house.message(where, late)?.blocks).includes('Expired'))
    expect(house.labels(house.message('bob', late))).toEqual([])
  })

  test('nothing was sent twice, refused by Slack, or said with a token in it', async () => {
    const refused = house.slack.api.calls.filter(({ result }) => result !== 'ok')
    expect(refused).toEqual([])
    for (const where of ['bob', 'carol', 'channel'] as const) {
      const copies = house.slack.workspace.messages.filter(
        ({ channel, thread, blocks }) =>
          thread === null && channel === asked(where).channel && JSON.stringify(blocks).includes(`Request ${id}`),
      )
      expect(copies).toHaveLength(1)
    }
    const { botToken, appToken, signingSecret } = house.slack
    const stored = JSON.stringify([await house.sallyport.events({}), await house.sallyport.api.listIntegrations({})])
    for (const secret of [botToken, appToken, signingSecret]) {
      expect(house.sallyport.logText()).not.toContain(secret)
      expect(stored).not.toContain(secret)
    }
  })
})
