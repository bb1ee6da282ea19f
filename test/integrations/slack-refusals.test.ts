// What Slack is answered when a person may not do what they try: always yes, with the words for that person alone.
// A file of its own: nobody may do more than so much in a minute, which the attacks use up.
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { FakeMessage } from '../support/slack/fake-workspace.ts'
import { buttonsOf } from '../support/slack/fake-workspace.ts'
import { CHANNEL, SLACK_IDS, SlackHouse, type Person } from '../support/slack/slack-house.ts'
import { until } from '../support/until.ts'

interface Asked {
  readonly id: string
  readonly message: FakeMessage
}

let house: SlackHouse
beforeAll(async () => {
  house = await SlackHouse.open('http')
})
afterAll(() => house?.[Symbol.asyncDispose]())

async function asked(reason: string): Promise<Asked> {
  const id = await house.ask('ops', reason)
  return { id, message: await house.shown('channel', id) }
}

const show = (id: string) => house.sallyport.api.showRequest({ params: { id } })
const approveOf = (message: FakeMessage) => {
  const button = buttonsOf(message.blocks).find(({ label }) => label === 'Approve')
  if (!button) throw new Error('there is nothing to approve with')
  return button
}
const click = (person: Person, { message }: Asked) => house.slack.click(SLACK_IDS[person], message, approveOf(message))
const dialogOf = (person: Person, { message }: Asked) => house.pressForDialog(person, message, 'Approve')

test('trap 25: whatever somebody may not do here Slack is answered 200, and the person is told why', async () => {
  const request = await asked('stays open')
  await dialogOf('carol', request)
  const wrong = await house.slack.submit(SLACK_IDS.carol, { reason: 'ok', duration: 'soon' })
  expect(wrong.status).toBe(200)
  expect(wrong.body).toContain('"response_action":"errors"')
  const decided = await asked('is decided')
  const [button, old] = [approveOf(request.message), approveOf(decided.message)]
  await dialogOf('carol', decided)
  await house.slack.submit(SLACK_IDS.carol, { reason: 'ok', duration: '30m' })
  // Of another role, the requester herself, and of what is over
  const refusals = [
    ['bob', request, button],
    ['alice', request, button],
    ['carol', decided, old],
  ] as const
  for (const [person, of, pressed] of refusals) {
    const before = house.whispersTo(person).length
    const { status, body } = await house.slack.pressOld(SLACK_IDS[person], of.message, pressed)
    expect([status, body]).toEqual([200, ''])
    await until(`what ${person} is told`, () => house.whispersTo(person).length > before)
  }
  for (const text of [
    'request no-such-role for 1h: x',
    'request ops for 99d: x',
    'extend req_nobody',
    'no such thing',
  ]) {
    const { status, body } = await house.slack.command(SLACK_IDS.alice, CHANNEL, text)
    expect(status).toBe(200)
    expect(JSON.parse(body)).toMatchObject({ response_type: 'ephemeral' })
  }
  // What Slack sends to other apps, and may send to this one some day
  const common = click('carol', request)
  for (const type of ['view_closed', 'message_action', 'shortcut', 'of next year'])
    expect(await house.slack.send('interactions', { ...common, type })).toMatchObject({ status: 200 })
  expect((await show(request.id)).reviews).toEqual([])
})
