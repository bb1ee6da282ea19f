// What an attacker, a mistake or an unlucky moment does with Slack's callbacks, against the real daemon.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buttonsOf, type FakeMessage } from '../support/slack/fake-workspace.ts'
import { CHANNEL, SLACK_IDS, SlackHouse, type Person } from '../support/slack/slack-house.ts'
import { until } from '../support/until.ts'

let house: SlackHouse
let number = 0
beforeAll(async () => {
  house = await SlackHouse.open('http')
})
afterAll(() => house?.[Symbol.asyncDispose]())

interface Asked {
  readonly id: string
  readonly message: FakeMessage
}

/** A request of its own for each test, and its message in the channel. */
async function asked(role: string, reason = 'because'): Promise<Asked> {
  const id = await house.ask(role, `${reason} ${(number += 1)}`)
  return { id, message: await house.shown('channel', id) }
}

const show = (id: string) => house.sallyport.api.showRequest({ params: { id } })
const approveOf = (message: FakeMessage) => {
  const button = buttonsOf(message.blocks).find(({ label }) => label === 'Approve')
  if (!button) throw new Error('there is nothing to approve with')
  return button
}
const click = (person: Person, { message }: Asked) => house.slack.click(SLACK_IDS[person], message, approveOf(message))

async function dialogOf(person: Person, request: Asked, label = 'Approve'): Promise<void> {
  await house.pressForDialog(person, request.message, label)
}

async function refusedInWhisper(person: Person, work: () => Promise<unknown>): Promise<string> {
  const before = house.whispersTo(person).length
  await work()
  await until(`a whisper to ${person}`, () => house.whispersTo(person).length > before)
  return house.whispersTo(person).at(-1) ?? ''
}

test('trap 1: forged clicks are answered 401, change nothing, and are counted', async () => {
  const request = await asked('ops')
  const payload = click('carol', request)
  const { headers, body } = house.slack.signed('interactions', payload)
  const flipped = Buffer.from(body)
  flipped[100] = (flipped[100] ?? 0) ^ 1
  const wrongKey = house.slack.signed('interactions', payload, { secret: 'f'.repeat(32) }).headers
  const { 'x-slack-signature': _signature, ...unsigned } = headers
  for (const [given, bytes] of [
    [headers, flipped],
    [wrongKey, body],
    [unsigned, body],
  ] as const)
    expect(await house.slack.deliver('interactions', given, bytes)).toMatchObject({ status: 401 })
  expect(house.dialogs('carol')).toBe(0)
  await until('the event', async () => {
    const events = await house.sallyport.events({ type: 'auth.fail' })
    return events.some((event) => JSON.stringify(event).includes('integration slack'))
  })
  expect((await show(request.id)).reviews).toEqual([])
})

test('who has stolen the signing secret and reads the ids of buttons gets no dialog: its nonce goes to Slack alone', async () => {
  const request = await asked('ops')
  const forged = { ...click('carol', request), trigger_id: '1.2.made-up' }
  const { headers, body } = house.slack.signed('interactions', forged)
  expect(await house.slack.deliver('interactions', headers, body)).toMatchObject({ status: 200, body: '' })
  await until('Slack to be asked for a dialog', () => house.sallyport.logText().includes('Slack opened no dialog'))
  expect(house.dialogs('carol')).toBe(0)
  expect((await show(request.id)).reviews).toEqual([])
})

test('trap 3: a click well signed five minutes ago or ahead is refused; the same dialog sent twice is one vote', async () => {
  const request = await asked('pair')
  for (const shiftMs of [-301_000, 301_000]) {
    const { headers, body } = house.slack.signed('interactions', click('carol', request), { shiftMs })
    expect(await house.slack.deliver('interactions', headers, body)).toMatchObject({ status: 401 })
  }
  await dialogOf('carol', request)
  const view = house.slack.workspace.viewOf(SLACK_IDS.carol)
  const payload = house.slack.submission(SLACK_IDS.carol, view?.id ?? '', { reason: 'once', duration: '1h' })
  const { headers, body } = house.slack.signed('interactions', payload)
  const answers = await Promise.all(Array.from({ length: 4 }, () => house.slack.deliver('interactions', headers, body)))
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200])
  expect((await show(request.id)).reviews).toHaveLength(1)
  const replayed = house.slack.submission(SLACK_IDS.carol, view?.id ?? '', { reason: 'twice', duration: '1h' })
  await house.slack.send('interactions', replayed)
  expect((await show(request.id)).reviews).toMatchObject([{ reviewer: 'carol', reason: 'once' }])
})

test('trap 5: other workspaces, other apps and people of partners are answered 401', async () => {
  const request = await asked('ops')
  const payload = click('carol', request)
  const user = { id: SLACK_IDS.carol, username: 'carol', team_id: 'T0PARTNER' }
  for (const wrong of [
    { team: { id: 'T0EVIL' } },
    { api_app_id: 'A0EVIL' },
    { enterprise: { id: 'E0EVIL' } },
    { user },
  ])
    expect(await house.slack.send('interactions', { ...payload, ...wrong })).toMatchObject({ status: 401 })
  expect((await show(request.id)).state).toBe('pending')
})

test('trap 6: an account that bears a reviewer’s name is nobody until it is linked', async () => {
  const request = await asked('ops')
  house.slack.workspace.addUser('U0EVE', 'carol-in-slack')
  house.slack.workspace.channels.get(CHANNEL)?.members.add('U0EVE')
  await house.slack.press('U0EVE', request.message, 'Approve')
  const view = await until('the way to link', () => house.slack.workspace.viewOf('U0EVE'))
  expect(JSON.stringify(view.view)).toContain('/link/')
  expect((await show(request.id)).reviews).toEqual([])
  expect(house.slack.api.calls.map(({ method }) => method)).not.toContain('users.lookupByEmail')
})

test('trap 8: a reviewer who was disabled a moment ago is refused, in the dialog that stood open too', async () => {
  const request = await asked('ops')
  await dialogOf('carol', request)
  const carol = (disabled: boolean) =>
    house.sallyport.document({ kind: 'user', metadata: { name: 'carol' }, spec: { roles: ['ops-lead'], disabled } })
  await carol(true)
  const sent = await house.slack.submit(SLACK_IDS.carol, { reason: 'late', duration: '1h' })
  expect(sent.body).toContain('disabled')
  expect(await refusedInWhisper('carol', () => house.press('carol', request.message, 'Approve'))).toContain('disabled')
  expect((await show(request.id)).reviews).toEqual([])
  await carol(false)
})

test('trap 9: the requester and those who review other roles are refused for their eyes alone', async () => {
  const request = await asked('ops')
  expect(await refusedInWhisper('alice', () => house.press('alice', request.message, 'Approve'))).not.toBe('')
  expect(await refusedInWhisper('bob', () => house.press('bob', request.message, 'Approve'))).not.toBe('')
  expect((await show(request.id)).reviews).toEqual([])
  expect(
    (await house.sallyport.events({ type: 'access_request.review', request: request.id })).every(
      ({ outcome }) => outcome !== 'success',
    ),
  ).toBe(true)
})

test('trap 10: a vote in Slack and one on the command line are one human', async () => {
  const request = await asked('pair')
  await dialogOf('carol', request)
  await house.slack.submit(SLACK_IDS.carol, { reason: 'in chat', duration: '1h' })
  const code = (await house.accounts.carol.authenticator?.code()) ?? ''
  await house.accounts.carol.sally('request', 'review', request.id, '--approve', '--reason=again', `--code=${code}`)
  const { state, reviews } = await show(request.id)
  expect(state).toBe('pending')
  expect(reviews.filter(({ counts }) => counts)).toHaveLength(1)
})

test('trap 11: approvals and denials of two people at the same moment end in one state, shown by every copy', async () => {
  const request = await asked('pair')
  for (const [person, label] of [
    ['bob', 'Deny'],
    ['carol', 'Approve'],
  ] as const)
    await dialogOf(person, request, label)
  const bobs = house.slack.workspace.viewOf(SLACK_IDS.bob)?.id ?? ''
  const carols = house.slack.workspace.viewOf(SLACK_IDS.carol)?.id ?? ''
  const sent = Array.from({ length: 10 }, () => [
    house.slack.send('interactions', house.slack.submission(SLACK_IDS.bob, bobs, { reason: 'no' })),
    house.slack.send(
      'interactions',
      house.slack.submission(SLACK_IDS.carol, carols, { reason: 'yes', duration: '1h' }),
    ),
  ]).flat()
  for (const { status } of await Promise.all(sent)) expect(status).toBe(200)
  const { state, reviews } = await show(request.id)
  expect(state).toBe('denied')
  expect(reviews.filter(({ reviewer }) => reviewer === 'bob')).toHaveLength(1)
  for (const where of ['alice', 'bob', 'carol', 'channel'] as const) {
    await until(`the end at ${where}`, () =>
      JSON.stringify(house.message(where, request.id)?.blocks).includes('Denied'),
    )
    expect(house.labels(house.message(where, request.id))).not.toContain('Approve')
  }
})

test('trap 12: what the payload says of the request is not read', async () => {
  const request = await asked('ops')
  const message = { text: 'role: dba for 14d', blocks: [{ type: 'header', text: { type: 'plain_text', text: 'dba' } }] }
  const before = house.dialogs('carol')
  await house.slack.send('interactions', { ...click('carol', request), message })
  await house.dialog('carol', before)
  await house.slack.submit(SLACK_IDS.carol, { reason: 'ok', duration: '30m' })
  expect(await show(request.id)).toMatchObject({ state: 'approved', roles: ['ops'], grantedDuration: 1_800_000 })
})

test('trap 13: made-up buttons, buttons of other messages’ kinds, and nonces of others are of no use', async () => {
  const request = await asked('ops')
  const { action } = approveOf(request.message)
  const madeUp = { action, value: 'A'.repeat(32), label: 'Approve' }
  expect(
    await refusedInWhisper('carol', () => house.slack.pressOld(SLACK_IDS.carol, request.message, madeUp)),
  ).not.toBe('')
  const cancel = { ...approveOf(request.message), action: 'sallyport.cancel' }
  expect(
    await refusedInWhisper('carol', () => house.slack.pressOld(SLACK_IDS.carol, request.message, cancel)),
  ).not.toBe('')
  await dialogOf('carol', request)
  const stolen = house.slack.submission(SLACK_IDS.bob, house.slack.workspace.viewOf(SLACK_IDS.carol)?.id ?? '', {
    reason: 'mine',
    duration: '1h',
  })
  await house.slack.send('interactions', stolen)
  expect(await show(request.id)).toMatchObject({ state: 'pending', reviews: [] })
})

test('trap 16: links carry no token, and looking at them as Slack’s robot does changes nothing', async () => {
  const request = await asked('dba')
  const url = buttonsOf(request.message.blocks).find(({ label }) => label === 'Open')?.url ?? ''
  expect(new URL(url).pathname).toBe(`/r/${request.id}`)
  expect(new URL(url).search).toBe('')
  const headers = { 'user-agent': 'Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)' }
  for (const method of ['GET', 'HEAD'] as const) await house.visitor().visit(url, { method, headers })
  expect(await show(request.id)).toMatchObject({ state: 'pending', reviews: [] })
})

test('trap 21: secrets in a reason are masked in Slack and whole for who may read the request', async () => {
  const secret = `AKIA${'Q3EGRT7XK2ZLWMV5'}`
  const request = await asked('ops', `key ${secret} for`)
  expect(JSON.stringify(house.slack.api.calls.map(({ args }) => args))).not.toContain(secret)
  expect((await show(request.id)).reason).toContain(secret)
})

test('trap 23: a megabyte is refused unread, and a thousand actions do nothing', async () => {
  const request = await asked('ops')
  const big = house.slack.signed('interactions', { ...click('carol', request), padding: 'x'.repeat(1_000_000) })
  // The answer is on its way while the body still is: who sends may see the connection end instead.
  const refused = await house.slack.deliver('interactions', big.headers, big.body).catch(() => ({ status: 413 }))
  expect(refused.status).toBe(413)
  const [action] = click('carol', request)['actions'] as object[]
  const many = house.slack.signed('interactions', { ...click('carol', request), actions: Array(1000).fill(action) })
  expect((await house.slack.deliver('interactions', many.headers, many.body)).status).toBe(401)
  expect((await show(request.id)).reviews).toEqual([])
})
