import { afterEach, describe, expect, test } from 'vitest'
import { connectorHouse, type ConnectorHouse } from '../support/slack/connector-house.ts'
import { systemClock, type Clock } from '../../src/foundation/clock.ts'
import { until } from '../support/until.ts'

const open: { house: ConnectorHouse; stop: AbortController; listening: Promise<void> | undefined }[] = []
afterEach(async () => {
  for (const { house, stop, listening } of open.splice(0)) {
    stop.abort(new Error('the test is over'))
    await listening
    await house.stop()
  }
})

/** Pings and hellos still leave a loaded machine its time; what waits for an operator does not. */
const quick: Clock = { ...systemClock, after: (ms, work) => systemClock.after(ms / (ms > 20_000 ? 400 : 20), work) }

/** Listening, with pauses that pass sooner. */
async function aListener(prepare: (house: ConnectorHouse) => void = () => {}): Promise<ConnectorHouse> {
  const house = await connectorHouse('socket', quick)
  house.slack.workspace.addUser('U0BOB', 'bob')
  prepare(house)
  const stop = new AbortController()
  open.push({ house, stop, listening: house.connector.listen?.(house.fromChat, stop.signal) })
  return house
}

const connected = (house: ConnectorHouse, count = 1): Promise<true> =>
  until(`${count} open sockets`, () => house.slack.sockets.count === count)

describe('Socket Mode', () => {
  test('what people do arrives unsigned over our own socket, and the answer goes back on it', async () => {
    const house = await aListener()
    await connected(house)
    house.fromChat.willSay({ kind: 'done', text: 'nothing is open', requestId: null })
    const answered = await house.slack.command('U0BOB', 'C0OPS', 'mine')
    expect(answered.status).toBe(200)
    expect(answered.body).toContain('nothing is open')
    const [taken] = house.fromChat.taken
    expect(taken).toMatchObject({ via: 'socket', path: 'commands', integration: 'chat', headers: {} })
  })

  test('trap 25: what was refused, ignored or is not authentic is acknowledged too: Slack repeats none of it', async () => {
    const house = await aListener()
    await connected(house)
    const outcomes = [
      { kind: 'refused', text: 'you may not decide this request' },
      { kind: 'ignored', why: 'repeated' },
      { kind: 'rejected', why: 'other_tenant' },
    ] as const
    for (const [index, outcome] of outcomes.entries()) {
      house.fromChat.willSay(outcome)
      expect((await house.slack.command('U0BOB', 'C0OPS', 'mine')).status).toBe(200)
      expect(house.slack.sockets.acks).toHaveLength(index + 1)
    }
    expect(house.fromChat.taken).toHaveLength(outcomes.length)
  })

  test('when Slack asks for a new socket the old one serves until the new one has said hello', async () => {
    const house = await aListener()
    await connected(house)
    for (let round = 0; round < 3; round++) {
      house.slack.sockets.askToRefresh(round === 0 ? 'warning' : 'refresh_requested')
      const answered = await house.slack.command('U0BOB', 'C0OPS', 'mine')
      expect(answered.status).toBe(200)
      await until('another socket', () => house.slack.api.calls.length >= round + 2)
      await connected(house)
    }
    expect(house.reports.every((report) => report === null)).toBe(true)
  })

  test('a socket that is cut is opened again, as often as it takes', async () => {
    const house = await aListener()
    for (let round = 0; round < 4; round++) {
      await until('a socket', () => house.slack.api.calls.length > round && house.slack.sockets.count === 1)
      house.slack.sockets.cutAll()
    }
    await until('the last socket', () => house.slack.api.calls.length > 4 && house.slack.sockets.count === 1)
    expect((await house.slack.command('U0BOB', 'C0OPS', 'mine')).status).toBe(200)
  })

  test('a network that swallows everything is noticed by pings without an answer', async () => {
    const house = await aListener()
    await connected(house)
    house.slack.sockets.freezeAll()
    await until('a new socket', () => house.slack.api.calls.length >= 2)
    expect(house.logged()).toContain('silent')
  })

  test('trap 26: a refused token ends nothing, is reported as broken, and is reported healed when it works again', async () => {
    const house = await aListener(({ slack }) =>
      slack.api.plan('apps.connections.open', 'invalid_auth', 'token_revoked'),
    )
    await until('the report', () => house.reports.some((report) => report?.includes('invalid_auth')))
    await until('it works again', () => house.reports.at(-1) === null)
    expect((await house.slack.command('U0BOB', 'C0OPS', 'mine')).status).toBe(200)
    house.slack.api.plan('apps.connections.open', 'invalid_auth')
    house.slack.sockets.askToRefresh()
    await until('the second report', () => house.reports.at(-1)?.includes('invalid_auth'))
    expect(house.slack.sockets.count).toBe(1)
    await until('healed again', () => house.reports.at(-1) === null)
  })

  test('Socket Mode switched off in the app is reported to operators', async () => {
    const house = await aListener()
    await connected(house)
    house.slack.sockets.askToRefresh('link_disabled')
    await until('the report', () => house.reports.some((report) => report?.includes('switched off')))
  })

  test('a socket that says no hello is given up for another', async () => {
    const house = await aListener(({ slack }) => {
      slack.sockets.mute = true
    })
    await until('the second try', () => house.slack.api.calls.length >= 2)
    house.slack.sockets.mute = false
    await until('the hello', () => house.reports.includes(null))
  })

  test('what the core could not store is not acknowledged, so that Slack brings it again', async () => {
    const house = await aListener()
    await connected(house)
    house.slack.sockets.ackWithinMs = 500
    house.fromChat.willSay(new Error('the store is away'), { kind: 'done', text: 'here', requestId: null })
    const answered = await house.slack.command('U0BOB', 'C0OPS', 'mine')
    expect(answered.body).toContain('here')
    expect(house.fromChat.taken.length).toBeGreaterThanOrEqual(2)
  })

  test('what is not authentic is acknowledged and not brought again', async () => {
    const house = await aListener()
    await connected(house)
    house.fromChat.willSay({ kind: 'rejected', why: 'other_tenant' })
    expect(await house.slack.command('U0BOB', 'C0OPS', 'mine')).toMatchObject({ status: 200, body: '' })
  })

  test('frames that are no envelopes are passed over, and other events acknowledged', async () => {
    const house = await aListener()
    await connected(house)
    for (const raw of ['', '{', '[]', 'null', '{"type":"interactive"}', '{"envelope_id":1}', '"x"'])
      house.slack.sockets.sendRaw(raw)
    house.slack.sockets.sendRaw(
      JSON.stringify({ envelope_id: 'e1', type: 'events_api', payload: { type: 'event_callback' } }),
    )
    await until('the acknowledgement', () => house.slack.sockets.acks.includes('e1'))
    expect(house.fromChat.taken).toEqual([])
    expect(house.slack.sockets.count).toBe(1)
  })

  test('trap 23: a frame of a megabyte ends the socket and not the listener', async () => {
    const house = await aListener()
    await connected(house)
    house.slack.sockets.sendRaw(
      JSON.stringify({ envelope_id: 'e2', type: 'interactive', payload: { x: 'y'.repeat(1_000_000) } }),
    )
    await until('another socket', () => house.slack.api.calls.length >= 2 && house.slack.sockets.count === 1)
    expect(house.fromChat.taken).toEqual([])
  })

  test('trap 19: a socket that is not beside the Web API is not opened', async () => {
    const house = await aListener(({ slack }) =>
      slack.api.plan('apps.connections.open', {
        status: 200,
        body: { ok: true, url: 'wss://evil.example/link?ticket=1' },
      }),
    )
    await until('the report', () => house.reports.some((report) => report?.includes('not beside')))
    expect(house.logged()).not.toContain('evil')
  })
})
