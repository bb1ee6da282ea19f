import { generateKeyPairSync } from 'node:crypto'
import { beforeEach, describe, expect, test } from 'vitest'
import { FakeControlPlane } from '../../../../test/support/fake-control-plane.ts'
import { FakeLeg } from '../../../../test/support/fake-ssh-leg.ts'
import { ManualClock } from '../../../../test/support/manual-clock.ts'
import { settled } from '../../../../test/support/relay-pair.ts'
import type { AskAnswer, RequestNews } from '../../control-plane.ts'
import { AskInside, type AskOutcome } from './ask-inside.ts'
import { publicKeyRequest, readBanner } from './wire/auth-messages.ts'
import { infoResponse, interactiveRequest, readInfoRequest } from './wire/interactive-messages.ts'
import { payload } from './wire/payload.ts'

const DOOR = 'dor_1'
const prompt: AskAnswer = { kind: 'prompt', lines: ['sallyport: you may ask'], prompt: 'Ticket: ' }
const waiting: AskAnswer = { kind: 'waiting', lines: ['sallyport: asked (req_1)'] }

let leg: FakeLeg
let control: FakeControlPlane
let clock: ManualClock
let abort: AbortController
let asking: AskInside
let outcome: AskOutcome | null

beforeEach(() => {
  const node = { id: 'nod_1', name: 'box', host: '192.0.2.1', port: 22 }
  leg = new FakeLeg()
  clock = new ManualClock()
  abort = new AbortController()
  control = new FakeControlPlane({
    onwardAuthority: generateKeyPairSync('ed25519').privateKey,
    node: { ...node, hostKey: null, hostAuthority: null, hostPrincipal: null },
    login: 'root',
    folder: '/nowhere',
  })
  control.onAsk = ({ reason }) => Promise.resolve(reason === null ? prompt : waiting)
  const refusal = ['sallyport: ada may not use box', '  Ask for it: sally request create']
  asking = new AskInside({ leg, control, clock, door: DOOR, userName: '+box', refusal, patienceMs: 5000 })
  outcome = null
  void asking.run(abort.signal).then((settledAs) => void (outcome = settledAs))
})

async function say(...messages: readonly Buffer[]): Promise<void> {
  leg.receive(...messages)
  await settled()
}

const tell = async (news: RequestNews): Promise<void> => {
  control.doors.get(DOOR)?.(news)
  await settled()
}

/** Everything sent since the last look, as a person or client would put it. */
const seen = (): string[] =>
  leg.take().map((message) => {
    if (message[0] === 53) return `banner ${readBanner(message).replaceAll('\r\n', '|')}`
    if (message[0] === 51)
      return message.includes('keyboard-interactive') && message.at(-1) === 1 ? 'partial' : 'failure'
    if (message[0] !== 60) return `message ${message[0]}`
    const { instruction, prompts } = readInfoRequest(message)
    return prompts.length === 0 ? `told ${instruction.replaceAll('\n', '|')}` : `asked ${prompts.join()}`
  })

async function toWaiting(): Promise<void> {
  await say(interactiveRequest('+box'))
  await say(infoResponse('ticket 7'))
  seen()
}

describe('a client that can be asked', () => {
  test('is told the refusal first, then that the certificate was right and not enough', () => {
    expect(seen()).toEqual(['banner sallyport: ada may not use box|  Ask for it: sally request create|', 'partial'])
    expect(control.reasons).toEqual([])
  })

  test('is asked why, told news without a question, and goes when it is approved', async () => {
    seen()
    await say(interactiveRequest('+box'))
    expect(seen()).toEqual(['banner sallyport: you may ask|', 'asked Ticket: '])
    await say(infoResponse('ticket 7'))
    expect(control.reasons).toEqual([null, 'ticket 7'])
    expect(seen()).toEqual(['banner sallyport: asked (req_1)|'])
    await tell({ kind: 'progress', lines: ['0 of 1', 'can answer: bob'] })
    expect(seen()).toEqual(['told 0 of 1|can answer: bob'])
    await say(infoResponse())
    await tell({ kind: 'go', lines: ['approved'] })
    expect(seen()).toEqual(['banner approved|'])
    expect(outcome).toEqual({ kind: 'go' })
  })

  test('is told one thing at a time: news wait for its answer to the last, and none is lost', async () => {
    await toWaiting()
    for (const line of ['one', 'two', 'three']) await tell({ kind: 'progress', lines: [line] })
    expect(seen()).toEqual(['told one'])
    await say(infoResponse())
    expect(seen()).toEqual(['told two|three'])
  })

  test('hears from us every 15 s while nothing happens, and not while it has not answered', async () => {
    await toWaiting()
    clock.advance(14_999)
    expect(seen()).toEqual([])
    clock.advance(1)
    expect(seen()).toEqual(['told '])
    clock.advance(60_000)
    expect(seen()).toEqual([])
    await say(infoResponse())
    clock.advance(15_000)
    expect(seen()).toEqual(['told '])
  })

  test('that has not answered yet goes on with its answer: none may arrive in the session', async () => {
    await toWaiting()
    await tell({ kind: 'progress', lines: ['one'] })
    await tell({ kind: 'go', lines: ['approved'] })
    expect(seen()).toEqual(['told one', 'banner approved|'])
    expect(outcome).toBeNull()
    await say(infoResponse())
    expect(outcome).toEqual({ kind: 'go' })
  })

  test('that is suspended costs a bounded number of lines', async () => {
    await toWaiting()
    await tell({ kind: 'progress', lines: ['first'] })
    for (let line = 0; line < 1000; line++) await tell({ kind: 'progress', lines: [`line ${line}`] })
    await say(infoResponse())
    expect(seen().at(-1)?.split('|')).toEqual(expect.objectContaining({ length: 20, 19: 'line 999' }))
  })

  test('is asked again as often as the other side wants to', async () => {
    await say(interactiveRequest('+box'))
    control.onAsk = ({ reason }) => Promise.resolve(reason === '' ? { ...prompt, lines: ['required'] } : waiting)
    seen()
    await say(infoResponse(''))
    expect(seen()).toEqual(['banner required|', 'asked Ticket: '])
    await say(infoResponse('x'))
    expect(seen()).toEqual(['banner sallyport: asked (req_1)|'])
  })

  test('whose request is over is refused with what was said', async () => {
    await toWaiting()
    await tell({ kind: 'over', lines: ['denied by bob'] })
    expect(outcome).toEqual({ kind: 'refused', lines: ['denied by bob'] })
  })

  test('gives its door up only when it is told to: authorize still needs it', async () => {
    await toWaiting()
    await tell({ kind: 'go', lines: [] })
    expect(control.doors.has(DOOR)).toBe(true)
    asking.leave()
    expect(control.doors.has(DOOR)).toBe(false)
  })
})

describe('a client that cannot be asked or does not want to', () => {
  test('that says nothing more is refused when its patience is over', async () => {
    clock.advance(5000)
    await settled()
    expect(outcome).toEqual({ kind: 'refused', lines: [] })
    expect(control.reasons).toEqual([])
  })

  test.each<[string, Buffer]>([
    ['another key', publicKeyRequest('+box', 'ssh-ed25519', Buffer.alloc(32))],
    ['a password', payload(50, '+box', 'ssh-connection', 'password', false, 'x')],
    ['nothing', payload(50, '+box', 'ssh-connection', 'none')],
  ])('that tries %s is refused', async (_name, message) => {
    await say(message)
    expect(outcome).toEqual({ kind: 'refused', lines: [] })
    expect(leg.failure).toBeNull()
    expect(control.reasons).toEqual([])
  })

  test('that leaves asks for nothing more', async () => {
    await say(interactiveRequest('+box'))
    abort.abort()
    await settled()
    expect(outcome).toEqual({ kind: 'refused', lines: [] })
    expect(control.reasons).toEqual([null])
  })

  test('is told when the proxy stops', async () => {
    await toWaiting()
    asking.end('the proxy stops')
    await settled()
    expect(outcome).toEqual({ kind: 'refused', lines: ['the proxy stops'] })
  })

  test('is refused when nobody answers for the requests', async () => {
    control.onAsk = () => Promise.reject(new Error('gone'))
    await say(interactiveRequest('+box'))
    expect(outcome).toMatchObject({ kind: 'refused', lines: [expect.stringContaining('at the moment')] })
  })
})

const count = (value: number): Buffer => payload(61, value)
const hostile: readonly (readonly [string, 'offered' | 'asked' | 'waiting', Buffer])[] = [
  ['an answer before there is a question', 'offered', infoResponse('x')],
  ['an answer while nothing is asked', 'waiting', infoResponse()],
  ['no answer where one is due', 'asked', infoResponse()],
  ['two answers', 'asked', infoResponse('x', 'y')],
  ['a count of four thousand million', 'asked', count(0xffff_ffff)],
  ['a count without answers', 'asked', count(1)],
  ['no count', 'asked', payload(61)],
  ['an answer of 17 KiB', 'asked', infoResponse('x'.repeat(17 * 1024))],
  ['bytes behind the answer', 'asked', Buffer.concat([infoResponse('x'), Buffer.from([0])])],
  ['an answer cut short', 'asked', infoResponse('reason').subarray(0, 8)],
  ['another user name', 'offered', interactiveRequest('root+box')],
  ['another service', 'offered', payload(50, '+box', 'ssh-userauth', 'keyboard-interactive', '', '')],
  ['a second request to be asked', 'asked', interactiveRequest('+box')],
  ['a second request while waiting', 'waiting', interactiveRequest('+box')],
  ['a request cut short', 'offered', interactiveRequest('+box').subarray(0, 30)],
  ['a giant user name', 'offered', interactiveRequest('x'.repeat(300))],
  ['a channel', 'waiting', payload(90, 'session', 0, 0, 0)],
  ['a service request', 'waiting', payload(5, 'ssh-userauth')],
  ['a success of its own', 'offered', payload(52)],
]

test.each(hostile)('%s (%s) ends the connection, and asks for nothing', async (_name, stage, message) => {
  if (stage === 'asked') await say(interactiveRequest('+box'))
  if (stage === 'waiting') await toWaiting()
  const before = [...control.reasons]
  await say(message)
  expect(leg.failure).not.toBeNull()
  expect(control.reasons).toEqual(before)
})

test('another method while waiting ends it; the request stays as it is', async () => {
  await toWaiting()
  await say(publicKeyRequest('+box', 'ssh-ed25519', Buffer.alloc(32)))
  expect(outcome).toEqual({ kind: 'refused', lines: [] })
})

test('what is said after the end of the asking breaks the connection instead of reaching the session', async () => {
  await toWaiting()
  await tell({ kind: 'go', lines: [] })
  await say(infoResponse())
  expect(leg.failure).not.toBeNull()
})

test('texts from the other side move no cursor and forge no line', async () => {
  const line = 'bob: \u001b[2J\u202e\r\nsallyport: all is well'
  control.onAsk = () => Promise.resolve({ kind: 'prompt', lines: ['ok'], prompt: 'Ticket\u001b]0;x\u0007\r\n: ' })
  seen()
  await say(interactiveRequest('+box'))
  expect(seen()).toEqual(['banner ok|', 'asked Ticket]0;x: '])
  control.onAsk = () => Promise.resolve(waiting)
  await say(infoResponse('x'))
  seen()
  await tell({ kind: 'progress', lines: [line] })
  expect(seen()).toEqual(['told bob: [2Jsallyport: all is well'])
})

test('an answer that is no text is asked for as the text it can be', async () => {
  await say(interactiveRequest('+box'))
  await say(infoResponse(Buffer.from([0xff, 0xfe, 0x00, 0x61])))
  expect(control.reasons.at(-1)).toBe('\ufffd\ufffd\0a')
})
