import type { KnownBlock, ModalView } from '@slack/types'
import { afterEach, describe, expect, test } from 'vitest'
import { systemClock, type Clock } from '../../src/foundation/clock.ts'
import { DeliveryFailed } from '../../src/notify/connector.ts'
import { renderForm } from '../../src/notify/slack/render-form.ts'
import { renderRequest } from '../../src/notify/slack/render-request.ts'
import { aMessageTask, aRequestView } from '../support/a-request-view.ts'
import { problemsWithSlack } from '../support/slack/check-with-vendor.ts'
import { connectorHouse, type ConnectorHouse } from '../support/slack/connector-house.ts'
import { buttonsOf, shownText } from '../support/slack/fake-workspace.ts'
import { until } from '../support/until.ts'

const open: ConnectorHouse[] = []
afterEach(async () => {
  for (const house of open.splice(0)) {
    await house.stop()
    expect(problemsWithSlack(house.slack.api.calls)).toEqual([])
  }
})

async function aHouse(clock: Clock = systemClock): Promise<ConnectorHouse> {
  const house = await connectorHouse('http', clock)
  open.push(house)
  house.slack.workspace.addUser('U0ADA', 'ada')
  house.slack.workspace.addUser('U0BOB', 'bob')
  house.slack.workspace.addChannel('C0OPS', ['U0BOB'])
  return house
}

const signal = AbortSignal.timeout(60_000)
const toChannel = { destination: { channel: 'C0OPS', person: null } }
const toPerson = (account: string | null) => ({
  destination: { channel: null, person: { id: 'usr_1', name: 'bob', email: 'bob@example.org', account } },
})
const failureOf = (attempt: Promise<unknown>): Promise<DeliveryFailed> =>
  attempt.then(
    () => Promise.reject(new Error('it was delivered')),
    (error: unknown) => (error instanceof DeliveryFailed ? error : Promise.reject(error as Error)),
  )

describe('messages of Slack', () => {
  test('a request is posted once and changed afterwards, without unfurling and by the id of the channel', async () => {
    const { slack, connector } = await aHouse()
    const external = await connector.deliver(aMessageTask(toChannel), signal)
    const [message] = slack.workspace.in('C0OPS')
    expect(external).toBe(`C0OPS:${message?.ts ?? ''}`)
    const decided = aRequestView({
      state: 'approved',
      resolution: 'approved by bob',
      decidedAt: Date.now(),
      needed: [],
    })
    const task = aMessageTask({ ...toChannel, view: decided, external })
    const again = await connector.deliver(
      { ...task, content: { kind: 'request', view: decided, buttons: ['open'] } },
      signal,
    )
    expect(again).toBe(external)
    expect(slack.workspace.in('C0OPS')).toHaveLength(1)
    expect(message?.edits).toBe(1)
    expect(buttonsOf(message?.blocks ?? []).map(({ label }) => label)).toEqual(['Open'])
  })

  test('a person is written to under the linked account, and the direct message is opened once', async () => {
    const { slack, connector } = await aHouse()
    const external = await connector.deliver(aMessageTask(toPerson('U0BOB')), signal)
    await connector.deliver(aMessageTask(toPerson('U0BOB')), signal)
    expect(external).toMatch(/^D0BOB:/)
    expect(slack.api.calls.map(({ method }) => method)).toEqual([
      'conversations.open',
      'chat.postMessage',
      'chat.postMessage',
    ])
  })

  test('trap 6: a mail address reaches nobody: without a linked account there is no message and no lookup', async () => {
    const { slack, connector } = await aHouse()
    const failed = await failureOf(connector.deliver(aMessageTask(toPerson(null)), signal))
    expect(failed.kind).toBe('destination')
    expect(slack.api.calls).toEqual([])
  })

  test('a vote is a line in the thread of its message, said once', async () => {
    const { slack, connector } = await aHouse()
    const thread = await connector.deliver(aMessageTask(toChannel), signal)
    const notice = {
      topic: 'request.reviewed',
      text: 'bob approved: <!channel> fine',
      url: 'https://access.example.org/r/1',
      at: 0,
    }
    const said = await connector.deliver(aMessageTask({ ...toChannel, thread, notice }), signal)
    expect(await connector.deliver(aMessageTask({ ...toChannel, thread, notice, external: said }), signal)).toBe(said)
    const [message] = slack.workspace.in('C0OPS')
    if (!message) throw new Error('no message')
    expect(slack.workspace.threadOf(message).map((line) => shownText(line.blocks))).toEqual([
      'bob approved: <!channel> fine\nOpen',
    ])
    expect(slack.workspace.threadOf(message)[0]?.text).not.toContain('<!channel>')
  })

  test.each([
    ['ratelimited', 'retry'],
    ['internal_error', 'retry'],
    ['an_error_of_next_year', 'retry'],
    ['token_revoked', 'integration'],
    ['missing_scope', 'integration'],
    ['is_archived', 'destination'],
    ['invalid_blocks', 'defect'],
  ])('Slack answers %s: %s', async (error, kind) => {
    const { slack, connector } = await aHouse()
    slack.api.plan('chat.postMessage', error)
    expect((await failureOf(connector.deliver(aMessageTask(toChannel), signal))).kind).toBe(kind)
    expect(slack.api.calls).toHaveLength(1)
  })

  test('a message that is gone is said to be gone, so that it is sent anew', async () => {
    const { connector } = await aHouse()
    const task = aMessageTask({ ...toChannel, external: 'C0OPS:1700000000.000001' })
    expect((await failureOf(connector.deliver(task, signal))).kind).toBe('gone')
  })

  test('a 429 is waited for as long as Slack says, and nothing is repeated by itself', async () => {
    const { slack, connector } = await aHouse()
    slack.api.rates = true
    await connector.deliver(aMessageTask(toChannel), signal)
    const failed = await failureOf(connector.deliver(aMessageTask(toChannel), signal))
    expect(failed).toMatchObject({ kind: 'retry', afterMs: 1000 })
    expect(slack.workspace.in('C0OPS')).toHaveLength(1)
  })

  test('trap 24: while Slack answers 500 every call fails once and is asked for again by the engine alone', async () => {
    const { slack, connector } = await aHouse()
    slack.api.breakWith({ status: 500, body: {} })
    expect((await failureOf(connector.deliver(aMessageTask(toChannel), signal))).kind).toBe('retry')
    expect(slack.api.calls).toHaveLength(1)
    slack.api.breakWith(null)
    await connector.deliver(aMessageTask(toChannel), signal)
    expect(slack.workspace.in('C0OPS')).toHaveLength(1)
  })

  test('trap 20: no token is in what failures and logs say', async () => {
    const { slack, connector, logged } = await aHouse()
    const said: string[] = []
    for (const error of ['invalid_auth', 'missing_scope', 'fatal_error']) {
      slack.api.plan('chat.postMessage', error)
      said.push((await failureOf(connector.deliver(aMessageTask(toChannel), signal))).message)
    }
    await slack.stop()
    said.push((await failureOf(connector.deliver(aMessageTask(toChannel), signal))).message)
    open.splice(0)
    expect(said).toHaveLength(4)
    expect(`${said.join()}${logged()}`).not.toMatch(/xoxb-|xapp-/)
  })

  test('trap 22: a channel with guests or another organisation in it is known to have outsiders', async () => {
    const { slack, connector } = await aHouse()
    const { workspace } = slack
    workspace.addUser('U0GUEST', 'guest', { restricted: true })
    workspace.addChannel('C0GUEST', ['U0BOB', 'U0GUEST'])
    workspace.addChannel('C0SHARED', ['U0BOB'], { shared: true })
    workspace.addChannel('C0OPEN', ['U0BOB'], { private: false })
    const readers = (channel: string) => connector.audienceOf(channel, signal)
    expect(await readers('C0OPS')).toBe('private')
    expect(await readers('C0OPEN')).toBe('open')
    expect(await readers('C0GUEST')).toBe('outsiders')
    expect(await readers('C0SHARED')).toBe('outsiders')
    await expect(readers('C0NONE')).rejects.toThrow('channel_not_found')
  })

  test('a check says what is wrong with the settings and the channels', async () => {
    const { slack, connector } = await aHouse()
    slack.workspace.addChannel('C0OUT').botIsIn = false
    const lines = await connector.check(['C0OPS', 'C0OUT', 'C0NONE'], signal)
    expect(lines.map(({ ok }) => ok)).toEqual([true, true, true, false, false])
    expect(lines[1]?.text).toContain('it can look for a message')
    expect(lines[3]?.text).toContain('invite it')
    slack.api.plan('auth.test', 'invalid_auth')
    expect((await connector.check([], signal))[0]).toMatchObject({ ok: false })
  })
})

describe('looking for a message whose sending was cut short', () => {
  const since = (): number => Date.now() - 60_000

  test('finds the one of this app that carries the mark, in channels, direct messages and threads, on whatever page', async () => {
    const { slack, connector } = await aHouse()
    slack.api.mostInPage = 3
    for (const where of [toChannel, toPerson('U0BOB')]) {
      const tasks = Array.from({ length: 8 }, (_, index) => ({ ...aMessageTask(where), onceId: `once-${index}` }))
      const externals: string[] = []
      for (const task of tasks) externals.push(await connector.deliver(task, signal))
      for (const [index, task] of tasks.entries())
        expect(await connector.find(task, since(), signal)).toBe(externals[index])
      expect(await connector.find({ ...aMessageTask(where), onceId: 'never' }, since(), signal)).toBeNull()
      const view = { topic: 'request.reviewed', text: 'bob approved', url: null, at: Date.now() }
      const line = { ...aMessageTask(where), thread: externals[0] ?? '', content: { kind: 'notice' as const, view } }
      expect(await connector.find({ ...line, onceId: 'line' }, since(), signal)).toBeNull()
      const said = await connector.deliver({ ...line, onceId: 'line' }, signal)
      expect(await connector.find({ ...line, onceId: 'line' }, since(), signal)).toBe(said)
    }
  })

  test('is not misled by a mark that another app has copied', async () => {
    const { slack, connector } = await aHouse()
    const task = aMessageTask(toChannel)
    await connector.deliver(task, signal)
    const [ours] = slack.workspace.in('C0OPS')
    if (!ours) throw new Error('no message')
    slack.workspace.messages[slack.workspace.messages.indexOf(ours)] = { ...ours, app: 'A0OTHER' }
    expect(await connector.find(task, since(), signal)).toBeNull()
  })

  test('fails as what cannot be done where a scope is missing, and as what is tried again where Slack is busy', async () => {
    const { slack, connector } = await aHouse()
    slack.api.scopes.delete('groups:history')
    expect((await failureOf(connector.find(aMessageTask(toChannel), since(), signal))).kind).not.toBe('retry')
    const { text } = (await connector.check([], signal)).at(-1) ?? { text: '' }
    expect(text).toContain('without the scope groups:history it cannot look in private channels')
    slack.api.scopes.add('groups:history')
    slack.api.breakWith({ status: 503, body: {} })
    expect((await failureOf(connector.find(aMessageTask(toChannel), since(), signal))).kind).toBe('retry')
  })
})

describe('answers to what people do in Slack', () => {
  async function posted(house: ConnectorHouse) {
    await house.connector.deliver(aMessageTask(toChannel), signal)
    const [message] = house.slack.workspace.in('C0OPS')
    if (!message) throw new Error('no message')
    return message
  }
  const form = {
    kind: 'review' as const,
    nonce: 'n'.repeat(32),
    title: 'Approve the request of alice for dba',
    text: ['alice asks for dba <!channel>'],
    submit: 'Approve',
    fields: [
      {
        name: 'reason' as const,
        label: 'Reason',
        hint: null,
        required: true,
        initial: null,
        maxLength: 4096,
        multiline: true,
        options: null,
        several: false,
      },
      {
        name: 'duration' as const,
        label: 'For',
        hint: 'at most 1h',
        required: false,
        initial: '1h',
        maxLength: 20,
        multiline: false,
        options: null,
        several: false,
      },
    ],
  }

  test('our blocks and dialogs are what Slack’s own types describe', () => {
    const blocks: readonly KnownBlock[] = renderRequest(aRequestView(), ['approve'], 'b'.repeat(32), 'channel').blocks
    const view: ModalView = renderForm(form)
    expect([blocks.length > 0, view.type]).toEqual([true, 'modal'])
  })

  test('a form becomes a dialog within the life of the trigger; what is typed comes back with its nonce', async () => {
    const house = await aHouse()
    const message = await posted(house)
    house.fromChat.willSay({ kind: 'form', form })
    expect(await house.slack.press('U0BOB', message, 'Approve')).toMatchObject({ status: 200, body: '' })
    await until('the dialog', () => house.slack.workspace.viewOf('U0BOB'))
    expect(house.slack.workspace.viewOf('U0BOB')?.view.private_metadata).toBe(form.nonce)
    house.fromChat.willSay({ kind: 'refused', text: 'longer than asked for', field: 'duration' })
    const refused = await house.slack.submit('U0BOB', { reason: 'fine', duration: '9h' })
    expect(JSON.parse(refused.body)).toEqual({
      response_action: 'errors',
      errors: { duration: 'longer than asked for' },
    })
    house.fromChat.willSay({ kind: 'done', text: 'approved: 1 of 2', requestId: 'req_1' })
    await house.slack.submit('U0BOB', { reason: 'fine', duration: '30m' })
    expect(shownText(house.slack.workspace.viewOf('U0BOB')?.view)).toContain('approved: 1 of 2')
  })

  test('a refusal of a click is for the eyes of who clicked alone', async () => {
    const house = await aHouse()
    const message = await posted(house)
    house.fromChat.willSay({ kind: 'refused', text: 'you are no reviewer of dba' })
    await house.slack.press('U0BOB', message, 'Approve')
    await until('the refusal', () => house.slack.workspace.whispers[0])
    expect(house.slack.workspace.whispers[0]).toMatchObject({ user: 'U0BOB', channel: 'C0OPS' })
    expect(house.slack.workspace.in('C0OPS')).toHaveLength(1)
  })

  test('where the bot may not whisper, the address of the click is answered; trap 19: no address that is not Slack’s', async () => {
    const house = await aHouse()
    const message = await posted(house)
    house.fromChat.willSay({ kind: 'refused', text: 'no' }, { kind: 'refused', text: 'no' })
    await house.slack.press('U0ADA', message, 'Deny')
    await until('the answer', () => house.slack.responses[0])
    const [button] = buttonsOf(message.blocks)
    if (!button) throw new Error('no button')
    const forged = house.slack.click('U0ADA', message, button)
    await house.slack.send('interactions', { ...forged, response_url: 'http://127.0.0.1:1/evil' })
    await until('the log of it', () => house.logged().includes('could not be shown'))
    expect(house.slack.responses).toHaveLength(1)
  })

  test('confirmation by a second factor opens as a dialog with a link; in a late one as a whisper', async () => {
    const house = await aHouse()
    const message = await posted(house)
    const outcome = {
      kind: 'open' as const,
      text: 'Confirm with your second factor',
      url: 'https://access.example.org/confirm/abc',
    }
    house.fromChat.willSay(outcome, outcome)
    await house.slack.press('U0BOB', message, 'Approve')
    const view = await until('the dialog', () => house.slack.workspace.viewOf('U0BOB'))
    expect(buttonsOf(view.view.blocks)[0]?.url).toBe(outcome.url)
    house.slack.api.plan('views.open', 'expired_trigger_id')
    await house.slack.press('U0BOB', message, 'Approve')
    await until('the whisper', () => house.slack.workspace.whispers.some(({ text }) => text.includes(outcome.url)))
  })

  test('a command is answered to who typed it, or opens a dialog', async () => {
    const house = await aHouse()
    house.fromChat.willSay({ kind: 'done', text: 'nothing is open', requestId: null })
    const answered = await house.slack.command('U0ADA', 'C0OPS', 'mine')
    expect(JSON.parse(answered.body)).toMatchObject({ response_type: 'ephemeral' })
    house.fromChat.willSay({ kind: 'form', form: { ...form, kind: 'ask' } })
    expect(await house.slack.command('U0ADA', 'C0OPS', '')).toMatchObject({ status: 200, body: '' })
    expect(house.slack.workspace.viewOf('U0ADA')).toBeDefined()
  })

  test('trap 23: what takes longer than Slack waits is acknowledged and told afterwards, to who did it alone', async () => {
    const hurried: Clock = { ...systemClock, after: (ms, callback) => systemClock.after(ms / 20, callback) }
    const house = await aHouse(hurried)
    const message = await posted(house)
    house.fromChat.willSay({ kind: 'form', form })
    await house.slack.press('U0BOB', message, 'Approve')
    await until('the dialog', () => house.slack.workspace.viewOf('U0BOB'))
    const told = house.fromChat.take.bind(house.fromChat)
    const stalled = Promise.withResolvers<void>()
    house.fromChat.take = async (callback) => {
      await stalled.promise
      return told(callback)
    }
    house.fromChat.willSay(
      { kind: 'refused', text: 'you have voted' },
      { kind: 'done', text: 'you approved it', requestId: 'req_1' },
      { kind: 'done', text: 'nothing is open', requestId: null },
    )
    expect(await house.slack.press('U0BOB', message, 'Deny')).toMatchObject({ status: 200, body: '' })
    await house.slack.submit('U0BOB', { reason: 'fine', duration: '30m' })
    expect(shownText(house.slack.workspace.viewOf('U0BOB')?.view)).toContain('takes longer than usual')
    expect((await house.slack.command('U0BOB', 'C0OPS', 'mine')).body).toContain('takes longer than usual')
    stalled.resolve()
    for (const text of ['you have voted', 'nothing is open'])
      await until(text, () => house.slack.workspace.whispers.some((each) => each.text.includes(text)))
    await until('the vote', () =>
      house.slack.workspace.messages.some((each) => shownText(each.blocks).includes('you approved it')),
    )
    expect(house.slack.workspace.in('C0OPS')).toHaveLength(1)
  })

  test('trap 1: what is not authentic is answered 401 and shows nothing', async () => {
    const house = await aHouse()
    const message = await posted(house)
    house.fromChat.willSay({ kind: 'rejected', why: 'signature' })
    expect(await house.slack.press('U0BOB', message, 'Approve')).toMatchObject({ status: 401, body: '' })
    expect(house.slack.api.calls.map(({ method }) => method)).toEqual(['chat.postMessage'])
  })
})
