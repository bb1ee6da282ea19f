import { beforeEach, describe, expect, test } from 'vitest'
import { ManualClock } from '../../test/support/manual-clock.ts'
import type { AskWay } from '../contract/access-check.ts'
import { Refused } from '../foundation/errors.ts'
import { silentLog } from '../foundation/log.ts'
import type { AskAtDoor, DoorPerson, RequestStanding } from './ask-at-door.ts'
import type { SshSignIn, RequestNews } from './control-plane.ts'
import type { AccessDecision } from './decide-access.ts'
import { Doors } from './doors.ts'

const MINUTE = 60_000
const way: AskWay = {
  roles: ['dba'],
  resources: [],
  narrowing: null,
  logins: ['postgres'],
  longest: 4 * 60 * MINUTE,
  reason: { required: true, prompt: 'Ticket' },
}
const denied = (changes: Partial<Extract<AccessDecision, { ok: false }>> = {}): AccessDecision => ({
  ok: false,
  code: 'access_denied',
  lines: ['sallyport: ada may not use db-box'],
  ended: '',
  ways: [way],
  asksInside: true,
  ...changes,
})
// What stands in a yes is nothing that a door looks at.
const allowed = { ok: true } as AccessDecision

/** Requests as the doors see them: what was asked, and who is told. */
class FakeRequests implements AskAtDoor {
  readonly asked: { readonly person: DoorPerson; readonly reason: string; readonly durationMs: number }[] = []
  readonly watched: { readonly id: string; readonly tell: (standing: RequestStanding) => void; stopped: boolean }[] = []
  open: string | null = null
  refusal: Refused | null = null
  /** Held back until it is resolved */
  gate: Promise<void> = Promise.resolve()

  async pending(): Promise<string | null> {
    await this.gate
    return this.open
  }
  async ask(person: DoorPerson, asked: { reason: string; durationMs: number }): Promise<string> {
    if (this.refusal) throw this.refusal
    this.asked.push({ person, reason: asked.reason, durationMs: asked.durationMs })
    this.open = `req_${this.asked.length}`
    return this.open
  }
  watch(_person: DoorPerson, id: string, tell: (standing: RequestStanding) => void): { stop(): void } {
    const watched = { id, tell, stopped: false }
    this.watched.push(watched)
    return { stop: () => void (watched.stopped = true) }
  }
}

let clock: ManualClock
let requests: FakeRequests
let decision: AccessDecision
let doors: Doors
let serial = 0

beforeEach(() => {
  clock = new ManualClock()
  requests = new FakeRequests()
  decision = denied()
  doors = new Doors({
    requests,
    limits: { perUser: 3, perInstance: 5, longestMs: 15 * MINUTE },
    decide: () => decision,
    clock,
    log: silentLog,
  })
})

function signIn(user = 'ada'): SshSignIn {
  const session = new Uint8Array(32).fill(++serial % 256)
  return {
    ...{ protocol: 'ssh', loginSessionId: `lgn_${user}`, userId: `usr_${user}`, keyFingerprint: `SHA256:${user}` },
    ...{ certificateSerial: '1', node: 'db-box', login: null, address: '192.0.2.1' },
    proof: { sessionId: session, request: new Uint8Array(), signature: new Uint8Array() },
  }
}

function arrive(user = 'ada') {
  const input = signIn(user)
  const id = doors.offer(input, decision, user)
  if (id === undefined) throw new Error('no door was offered')
  const news: RequestNews[] = []
  const watch = doors.watch(id, (one) => news.push(one))
  const ask = (reason: string | null) => doors.ask({ door: id, reason })
  return { id, input, news, ask, leave: () => watch.stop(), take: () => doors.take({ ...input, door: id }) }
}

async function waiting(user = 'ada') {
  const door = arrive(user)
  await door.ask(null)
  await door.ask('ticket 7')
  return door
}

describe('who is offered to ask', () => {
  test('only whoever a role of theirs says so for, and only where asking would help', () => {
    expect(doors.offer(signIn(), allowed, 'ada')).toBeUndefined()
    expect(doors.offer(signIn(), denied({ asksInside: false }), 'ada')).toBeUndefined()
    expect(doors.offer(signIn(), denied(), 'ada')).toMatch(/^dor_/)
  })

  test('an offer that nobody takes up is forgotten after a minute', async () => {
    const door = arrive()
    clock.advance(MINUTE)
    expect(await door.ask(null)).toMatchObject({ kind: 'refused' })
    expect(door.take()).toBe(false)
  })

  test('a thousand offers at once, and no more', () => {
    const offered = Array.from({ length: 1001 }, () => doors.offer(signIn(), denied(), 'ada'))
    expect(offered.filter((id) => id !== undefined)).toHaveLength(1000)
  })
})

describe('asking', () => {
  test('the role’s own question first, then the request of this user from this login session, for an hour', async () => {
    const door = arrive()
    expect(await door.ask(null)).toEqual({
      kind: 'prompt',
      lines: ['sallyport: to ask for dba for 1h right here, give the reason (Ctrl-C: do not ask)'],
      prompt: 'Ticket: ',
    })
    expect(await door.ask('ticket 7')).toMatchObject({ kind: 'waiting' })
    const person = { userId: 'usr_ada', userName: 'ada', loginSessionId: 'lgn_ada', protocol: 'ssh' }
    expect(requests.asked).toEqual([{ person, reason: 'ticket 7', durationMs: 60 * MINUTE }])
  })

  test('others that would help are named, and a shorter cap shortens what is asked for', async () => {
    const short = { ...way, roles: ['root'], longest: 30 * MINUTE }
    decision = denied({ ways: [short, way] })
    const answer = await arrive().ask(null)
    expect(answer).toMatchObject({ lines: [expect.stringContaining('root for 30m'), expect.stringContaining('dba')] })
  })

  test('an empty reason is asked for again where one is required, three times in all', async () => {
    const door = arrive()
    await door.ask(null)
    expect(await door.ask('')).toMatchObject({ kind: 'prompt', lines: ['sallyport: a reason is required'] })
    expect(await door.ask(' \t')).toMatchObject({ kind: 'prompt' })
    expect(await door.ask('')).toMatchObject({ kind: 'refused', lines: ['sallyport: nothing was asked'] })
    expect(requests.asked).toEqual([])
  })

  test('where none is required an empty answer asks for nothing (ssh without a terminal gives it), and "-" for it without one', async () => {
    decision = denied({ ways: [{ ...way, reason: { required: false, prompt: null } }] })
    const empty = arrive()
    expect(await empty.ask(null)).toMatchObject({ prompt: 'Reason (- for none): ' })
    expect(await empty.ask('')).toMatchObject({ kind: 'refused' })
    const dash = arrive()
    await dash.ask(null)
    expect(await dash.ask('-')).toMatchObject({ kind: 'waiting' })
    expect(requests.asked.map(({ reason }) => reason)).toEqual([''])
  })

  test.each(['over_limit', 'malformed', 'reason_required'] as const)(
    'a reason that is refused with %s may be given again',
    async (code) => {
      requests.refusal = new Refused(code, 'the reason has 4097 bytes; 4096 is the limit')
      const door = arrive()
      await door.ask(null)
      expect(await door.ask('x')).toMatchObject({ kind: 'prompt', lines: [expect.stringContaining('4097')] })
      requests.refusal = null
      expect(await door.ask('y')).toMatchObject({ kind: 'waiting' })
    },
  )

  test.each(['cooling_down', 'ask_rate', 'locked'] as const)(
    '%s ends it with its line and what to do',
    async (code) => {
      requests.refusal = new Refused(code, 'not now', 'talk to the reviewers')
      const door = arrive()
      await door.ask(null)
      const lines = ['sallyport: not now', '  talk to the reviewers']
      expect(await door.ask('x')).toEqual({ kind: 'refused', code, lines })
    },
  )

  test('a failing store is a refusal, and the next one of the same user has its turn', async () => {
    requests.pending = () => Promise.reject(new Error('disk full'))
    expect(await arrive().ask(null)).toMatchObject({ kind: 'refused', code: 'store_unavailable' })
    requests.pending = () => Promise.resolve(null)
    expect(await arrive().ask(null)).toMatchObject({ kind: 'prompt' })
  })

  test('access that is there by now needs no asking', async () => {
    const door = arrive()
    decision = allowed
    expect(await door.ask(null)).toEqual({ kind: 'go' })
    expect(door.take()).toBe(true)
  })

  test('whoever asks without having come, comes twice, or asks again while waiting is refused', async () => {
    const door = arrive()
    await door.ask(null)
    expect(await door.ask(null)).toMatchObject({ kind: 'refused' })
    const other = await waiting()
    expect(await other.ask('again')).toMatchObject({ kind: 'refused' })
    expect(await doors.ask({ door: 'dor_unknown', reason: 'x' })).toMatchObject({ kind: 'refused' })
    expect(requests.asked).toHaveLength(1)
  })

  test('two reasons at once make one request', async () => {
    const door = arrive()
    await door.ask(null)
    const kinds = (await Promise.all([door.ask('one'), door.ask('two')])).map(({ kind }) => kind)
    expect(kinds).toEqual(['waiting', 'refused'])
    expect(requests.watched).toHaveLength(1)
  })

  test('a reason before the question asks for nothing', async () => {
    const door = arrive()
    expect(await door.ask('ticket 7')).toMatchObject({ kind: 'refused' })
    expect(requests.asked).toEqual([])
  })
})

describe('joining', () => {
  test('a pending request of the user is joined without a question', async () => {
    requests.open = 'req_9'
    expect(await arrive().ask(null)).toMatchObject({
      kind: 'waiting',
      lines: [expect.stringContaining('req_9'), expect.any(String)],
    })
    expect(requests.asked).toEqual([])
  })

  test('two connections that are asked at the same time make one request', async () => {
    const [first, second] = [arrive(), arrive()]
    await Promise.all([first.ask(null), second.ask(null)])
    const gate = Promise.withResolvers<void>()
    requests.gate = gate.promise
    const answers = Promise.all([first.ask('one'), second.ask('two')])
    gate.resolve()
    expect((await answers).map(({ kind }) => kind)).toEqual(['waiting', 'waiting'])
    expect(requests.asked.map(({ reason }) => reason)).toEqual(['one'])
    expect(requests.watched.map(({ id }) => id)).toEqual(['req_1', 'req_1'])
  })
})

describe('waiting', () => {
  test('news come as they are; an approval opens the door once, for this very sign-in', async () => {
    const door = await waiting()
    requests.watched[0]?.tell({ state: 'pending', lines: ['bob approved'] })
    requests.watched[0]?.tell({ state: 'approved', lines: ['approved'] })
    expect(door.news).toEqual([
      { kind: 'progress', lines: ['bob approved'] },
      { kind: 'go', lines: ['approved'] },
    ])
    expect(doors.take({ ...signIn(), door: door.id })).toBe(false)
    expect(doors.take({ ...door.input, node: 'other', door: door.id })).toBe(false)
    expect(doors.take({ ...door.input, login: 'root', door: door.id })).toBe(false)
    expect(door.take()).toBe(true)
    expect(door.take()).toBe(false)
  })

  test('nobody goes through a door at which nothing was asked', () => {
    expect(arrive().take()).toBe(false)
  })

  test.each(['denied', 'cancelled', 'expired'] as const)('a request that is %s ends it', async (state) => {
    const door = await waiting()
    requests.watched[0]?.tell({ state, lines: [`request ${state}`] })
    expect(door.news).toEqual([{ kind: 'over', lines: [`request ${state}`] }])
    expect(door.take()).toBe(false)
    expect(requests.watched[0]?.stopped).toBe(true)
  })

  test('after fifteen minutes it is over, and says how to go on; the request stays', async () => {
    const door = await waiting()
    clock.advance(15 * MINUTE - 1)
    expect(door.news).toEqual([])
    clock.advance(1)
    expect(door.news).toMatchObject([{ kind: 'over' }])
    expect(JSON.stringify(door.news)).toContain('sally request show req_1 --wait')
    expect(requests.watched[0]?.stopped).toBe(true)
  })

  test('so long may the question stand, too', async () => {
    const door = arrive()
    await door.ask(null)
    clock.advance(15 * MINUTE)
    expect(door.news).toMatchObject([{ kind: 'over', lines: ['sallyport: no reason was given within 15m'] }])
  })

  test('hanging up leaves the request and frees the place', async () => {
    const doorsOfAda = [await waiting(), await waiting(), await waiting()]
    expect(await arrive().ask(null)).toMatchObject({ kind: 'refused', code: 'session_limit' })
    doorsOfAda[0]?.leave()
    expect(doors.waiting).toBe(2)
    expect(requests.watched[0]?.stopped).toBe(true)
    expect(await arrive().ask(null)).toMatchObject({ kind: 'waiting' })
  })

  test('hanging up while the request is stored leaves it, and nobody is told', async () => {
    const door = arrive()
    await door.ask(null)
    const gate = Promise.withResolvers<void>()
    requests.gate = gate.promise
    const answer = door.ask('ticket 7')
    door.leave()
    gate.resolve()
    expect(await answer).toMatchObject({ kind: 'refused' })
    expect(requests.watched).toEqual([])
  })

  test('an instance takes so many, whoever they are', async () => {
    for (const user of ['ada', 'ada', 'ben', 'ben', 'cyd']) await arrive(user).ask(null)
    expect(await arrive('dan').ask(null)).toMatchObject({
      code: 'session_limit',
      lines: ['sallyport: too many connections wait for access here'],
    })
  })

  test('access that comes another way opens the door, even if the request says nothing', async () => {
    const door = await waiting()
    decision = allowed
    doors.recheck([{ table: 'grants', id: 'grt_1' }])
    expect(door.news).toEqual([])
    clock.advance(250)
    expect(door.news).toEqual([{ kind: 'go', lines: [] }])
  })

  test('the news of the approval comes first when it is there at once', async () => {
    const door = await waiting()
    decision = allowed
    doors.recheck([{ table: 'grants', id: 'grt_1' }])
    requests.watched[0]?.tell({ state: 'approved', lines: ['approved by bob'] })
    clock.advance(1000)
    expect(door.news).toEqual([{ kind: 'go', lines: ['approved by bob'] }])
  })

  test('whoever is locked, logged out or may not ask any more leaves at once, with the reason', async () => {
    const door = await waiting()
    const asked = arrive()
    await asked.ask(null)
    decision = denied({ code: 'locked', lines: ['sallyport: the account ada is locked'], ways: [], asksInside: false })
    doors.recheck([{ table: 'sessions', id: 'ses_1' }])
    expect(door.news).toEqual([])
    doors.recheck([{ table: 'locks', id: 'lck_1' }])
    const over = [{ kind: 'over', lines: ['sallyport: the account ada is locked'] }]
    expect([door.news, asked.news]).toEqual([over, over])
    expect(doors.waiting).toBe(0)
  })

  test('a door that is gone says so to who watches it', () => {
    const news: RequestNews[] = []
    doors.watch('dor_gone', (one) => news.push(one))
    expect(news).toMatchObject([{ kind: 'over' }])
  })

  test('when the proxy stops nothing is left behind', async () => {
    await waiting()
    doors.close()
    expect(doors.waiting).toBe(0)
    expect(requests.watched[0]?.stopped).toBe(true)
  })
})
