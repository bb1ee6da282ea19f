// Jira's connector against the stand-in, and what the stand-in refuses as Jira does.
import { afterEach, describe, expect, test } from 'vitest'
import type { ChatOutcome, FromChat, RawCallback } from '../../src/contract/from-chat.ts'
import type { MessageTask, RequestView } from '../../src/contract/message.ts'
import { JiraSecrets, JiraSettings } from '../../src/contract/vendors/jira.ts'
import { silentLog } from '../../src/foundation/log.ts'
import { systemClock, type Clock } from '../../src/foundation/clock.ts'
import { outboundConnect, outboundFetch } from '../../src/foundation/outbound-fetch.ts'
import { DeliveryFailed } from '../../src/notify/connector.ts'
import { JiraConnector } from '../../src/notify/jira/jira-connector.ts'
import type { Call } from '../support/jira/house.ts'
import { startJira, STATUSES, type Jira } from '../support/jira/jira-server.ts'
import { linksOf, readText } from '../support/jira/schemas.ts'
import { aMessageTask, aRequestView as aView, HOSTILE_TEXTS } from '../support/a-request-view.ts'

const PRODUCTS = ['cloud', 'datacenter'] as const
const signal = new AbortController().signal
const allowNetworks = ['127.0.0.0/8']
let jira: Jira
let outcome: ChatOutcome

let taken: RawCallback[]
/** Between the clock and that of the connector, ms */
let passed = 0
const clock: Clock = { ...systemClock, monotonic: () => systemClock.monotonic() + passed }
const fromChat: FromChat = {
  take: (callback) => {
    taken.push(callback)
    return Promise.resolve(outcome)
  },
}

afterEach(async () => {
  expect(jira.problems).toEqual([])
  await jira[Symbol.asyncDispose]()
})

async function open(product: 'cloud' | 'datacenter', more: object = {}): Promise<JiraConnector> {
  jira = await startJira({ product })
  taken = []
  passed = 0
  outcome = { kind: 'ignored', why: 'repeated' }
  const settings = JiraSettings.parse({
    product,
    url: jira.url,
    user: jira.botEmail,
    issue_type: jira.issueType,
    statuses: {
      pending: STATUSES.pending,
      approved: STATUSES.approved,
      denied: STATUSES.denied,
      closed: STATUSES.closed,
    },
    deliver: [{ channels: [jira.project.id] }],
    ...more,
  })
  return new JiraConnector({
    integration: 'jira',
    settings,
    secrets: JiraSecrets.parse({ token: jira.token }),
    clock,
    log: silentLog,
    fetch: outboundFetch({ allowNetworks }),
    connect: outboundConnect({ allowNetworks }),
    publicUrl: 'https://us.test',
    report: () => {},
  })
}

function task(view: Partial<RequestView> = {}, more: Partial<Omit<MessageTask, 'content'>> = {}): MessageTask {
  return aMessageTask({ view: aView(view), destination: { channel: jira.project.id, person: null }, ...more })
}
function line(text: string, more: Partial<Omit<MessageTask, 'content'>>): MessageTask {
  return aMessageTask({ notice: { topic: 'request.reviewed', text, url: null, at: 0 }, ...more })
}

describe.each(PRODUCTS)('Jira %s', (product) => {
  test('has an issue for a request, with our mark on it, and moves it with the request', async () => {
    const connector = await open(product)
    const id = await connector.deliver(task(), signal)
    const issue = jira.only()
    expect(issue).toMatchObject({
      id,
      status: STATUSES.pending,
      summary: expect.stringMatching(/^alice asks for dba \(req_/),
    })
    const mark = issue.properties.get('sallyport')
    expect(typeof mark === 'string' ? JSON.parse(mark) : mark).toMatchObject({
      message: 'msg_1',
      state: 'pending',
      cut: false,
    })
    expect(readText(issue.description)).toContain('ticket #1234')
    expect(linksOf(issue.description)).toEqual([aView().url])
    for (const [state, status] of [
      ['approved', STATUSES.approved],
      ['expired', STATUSES.closed],
    ] as const) {
      await connector.deliver(task({ state }, { external: id }), signal)
      expect(issue.status).toBe(status)
      expect(readText(issue.description)).toContain(state === 'approved' ? 'Approved' : 'Expired')
    }
    expect(jira.issues.size).toBe(1)
  })

  test('trap 15: texts of people are inert in it', async () => {
    const connector = await open(product)
    for (const reason of HOSTILE_TEXTS) {
      jira.issues.clear()
      await connector.deliver(task({ reason }), signal)
      const { description } = jira.only()
      expect(linksOf(description)).toEqual([aView().url])
      expect(readText(description)).not.toMatch(/[\u202e\0\u200b]/)
      await connector.deliver(line(reason, { thread: jira.only().id }), signal)
      expect(linksOf(jira.only().comments[0]?.body)).toEqual([])
    }
    expect(readText(jira.only().description)).toContain('xxxx')
  })

  const answersNothing = (what: string) => (call: Call) =>
    call.method === 'POST' && call.path.endsWith(what) ? { cut: true, after: true } : null

  test('trap 24: an issue whose creation was answered by nothing is found by its mark once the search knows of it', async () => {
    const connector = await open(product)
    const since = Date.now() - 5000
    await connector.deliver(task({ id: 'req_other' }, { id: 'msg_other' }), signal)
    jira.fault = answersNothing('/issue')
    await expect(connector.deliver(task(), signal)).rejects.toThrow()
    jira.fault = () => null
    jira.searchLagMs = 3_600_000
    await expect(connector.find(task(), since, signal)).rejects.toMatchObject({ kind: 'retry', holds: 'message' })
    passed += 14_000
    await expect(connector.find(task(), since, signal)).rejects.toMatchObject({ kind: 'retry' })
    jira.searchLagMs = 0
    const made = [...jira.issues.values()].find(({ summary }) => summary.includes('req_1'))
    const found = await connector.find(task(), since, signal)
    expect(found).toBe(made?.id)
    expect(await connector.deliver(task({ state: 'approved' }, { external: found, attempt: 3 }), signal)).toBe(found)
    expect(made?.status).toBe(STATUSES.approved)
    expect(jira.issues.size).toBe(2)
  })

  test('trap 24: an issue that was never made is made again, but not before the search would know of it', async () => {
    const connector = await open(product)
    await expect(connector.find(task(), Date.now(), signal)).rejects.toMatchObject({ kind: 'retry' })
    passed += 15_000
    expect(await connector.find(task(), Date.now(), signal)).toBeNull()
    // The next time that nothing is known the wait begins anew.
    await expect(connector.find(task(), Date.now(), signal)).rejects.toMatchObject({ kind: 'retry' })
  })

  test('an issue with the mark of another message, or of another project, is not taken for it', async () => {
    const connector = await open(product)
    const id = await connector.deliver(task(), signal)
    passed += 15_000
    const elsewhere = { destination: { channel: 'ELSE', person: null } }
    for (const other of [task({}, { id: 'msg_2' }), task({ id: 'req_2' }), task({}, elsewhere)]) {
      await connector.find(other, 0, signal).catch(() => {})
      passed += 15_000
      expect(await connector.find(other, 0, signal)).toBeNull()
    }
    expect(await connector.find(task(), 0, signal)).toBe(id)
  })

  test('a comment is found again, unless it is older, of somebody else, or says something else', async () => {
    const connector = await open(product)
    const since = Date.now() - 1000
    const thread = await connector.deliver(task(), signal)
    const said = line('bob approved: read it', { thread })
    expect(await connector.find(said, since, signal)).toBeNull()
    jira.fault = answersNothing('/comment')
    await expect(connector.deliver(said, signal)).rejects.toThrow()
    jira.fault = () => null
    const [comment] = jira.only().comments
    expect(await connector.find(said, since, signal)).toBe(`${thread}/${comment?.id}`)
    expect(await connector.find(said, Date.now() + 60_000, signal)).toBeNull()
    expect(await connector.find(line('bob denied: read it', { thread }), since, signal)).toBeNull()
    if (comment) jira.only().comments[0] = { ...comment, author: jira.person('Bob').account }
    expect(await connector.find(said, since, signal)).toBeNull()
    expect(await connector.find(line('x', { thread: null }), since, signal)).toBeNull()
  })

  test('a move that counts for nothing is undone with a comment; the comment holds the page where it goes on', async () => {
    const connector = await open(product)
    await connector.deliver(task(), signal)
    const issue = jira.only()
    const bob = jira.person('Bob')
    outcome = { kind: 'open', text: 'Confirm it with a code.', url: 'https://us.test/confirm/x' }
    await bob.move(issue, 'approved')
    const body = Buffer.from(JSON.stringify({ issue: { id: issue.id }, changelog: { id: '1', items: [] } }))
    const callback = { integration: 'jira', path: 'events', headers: {}, body, via: 'http' } as const
    expect(await connector.receive(callback, fromChat, signal)).toEqual({ status: 200 })
    expect(issue.status).toBe(STATUSES.pending)
    expect(readText(issue.comments[0]?.body)).toContain('Confirm it with a code.')
    expect(linksOf(issue.comments[0]?.body)).toEqual(['https://us.test/confirm/x'])
  })

  test('trap 28: an issue that is moved by hand with our own token goes back; what we moved ourselves stays', async () => {
    const connector = await open(product, { poll_every: '1s' })
    const id = await connector.deliver(task(), signal)
    const issue = jira.only()
    await jira.move(issue, STATUSES.approved, jira.bot)
    const stop = new AbortController()
    const listening = connector.listen(fromChat, stop.signal)
    await expect.poll(() => issue.status).toBe(STATUSES.pending)
    expect(taken[0]).toMatchObject({ via: 'socket', path: 'polled' })
    await connector.deliver(task({ state: 'approved' }, { external: id }), signal)
    const looks = (): number => jira.calls.filter(({ path }) => path.includes('/search')).length
    const before = looks()
    await expect.poll(looks).toBeGreaterThan(before + 1)
    expect(issue.status).toBe(STATUSES.approved)
    expect(issue.comments).toHaveLength(1)
    stop.abort()
    await listening
  })

  test('a counted move of a request that still waits comes back to wait, so that the next reviewer can move it', async () => {
    const connector = await open(product)
    const id = await connector.deliver(task(), signal)
    const issue = jira.only()
    await jira.person('Bob').move(issue, 'approved')
    outcome = { kind: 'done', text: 'You approved it.', requestId: 'req_1' }
    const body = Buffer.from(JSON.stringify({ issue: { id } }))
    await connector.receive({ integration: 'jira', path: 'events', headers: {}, body, via: 'http' }, fromChat, signal)
    expect(issue.status).toBe(STATUSES.approved)
    outcome = { kind: 'ignored', why: 'repeated' }
    await connector.deliver(task({}, { external: id }), signal)
    expect(issue.status).toBe(STATUSES.pending)
    expect(issue.comments).toHaveLength(0)
  })

  test('a message about a move that was not judged yet judges it first', async () => {
    const connector = await open(product)
    const id = await connector.deliver(task(), signal)
    await jira.person('Bob').move(jira.only(), 'denied')
    await expect(connector.deliver(task({}, { external: id }), signal)).rejects.toMatchObject({ kind: 'retry' })
    outcome = { kind: 'refused', text: 'You may not review this.' }
    await connector.receive(
      { integration: 'jira', path: 'x', headers: {}, body: Buffer.from('{}'), via: 'http' },
      fromChat,
      signal,
    )
    await connector.deliver(task({}, { external: id }), signal)
    expect(jira.only()).toMatchObject({ status: STATUSES.pending })
    expect(readText(jira.only().comments[0]?.body)).toContain('You may not review this.')
  })

  test.each<[number, string]>([
    [401, 'integration'],
    [403, 'destination'],
    [429, 'retry'],
    [503, 'retry'],
    [400, 'defect'],
  ])('an answer %i is a failure of the kind %s, without the token', async (status, kind) => {
    const connector = await open(product)
    jira.fault = () => ({ status, headers: { 'retry-after': '30' }, body: `{"errorMessages":["no"]}` })
    const failed = await connector.deliver(task(), signal).catch((error: unknown) => error)
    expect(failed).toBeInstanceOf(DeliveryFailed)
    expect(failed).toMatchObject({ kind, ...(status === 429 ? { afterMs: 30_000 } : {}) })
    expect(String(failed)).not.toContain(jira.token)
  })

  test('an issue that is gone is gone, and one that somebody else moves at the same time is retried', async () => {
    const connector = await open(product)
    const id = await connector.deliver(task(), signal)
    jira.fault = ({ method, path }) =>
      method === 'POST' && path.endsWith('/transitions') ? { status: 409, body: '{}' } : null
    await expect(connector.deliver(task({ state: 'denied' }, { external: id }), signal)).rejects.toMatchObject({
      kind: 'retry',
    })
    jira.issues.clear()
    jira.fault = () => null
    await expect(connector.deliver(task({}, { external: id }), signal)).rejects.toMatchObject({ kind: 'gone' })
  })

  test('the check says who the token is and which issue types there are', async () => {
    const connector = await open(product, { issue_type: '77' })
    expect(await connector.check([jira.project.id, '999'], signal)).toEqual([
      { ok: true, text: 'the token works' },
      { ok: false, text: 'project 10000 has the issue type: it has 10001 (Access request)' },
      { ok: false, text: expect.stringContaining('404') },
    ])
  })
})

describe('the stand-in refuses what Jira refuses', () => {
  async function as(
    product: 'cloud' | 'datacenter',
  ): Promise<(method: string, path: string, body?: unknown) => Promise<number>> {
    await open(product)
    const basic = Buffer.from(`${jira.botEmail}:${jira.token}`).toString('base64')
    const authorization = product === 'cloud' ? `Basic ${basic}` : `Bearer ${jira.token}`
    return async (method, path, body) => {
      const root = product === 'cloud' ? '/rest/api/3' : '/rest/api/2'
      const sent = body === undefined ? {} : { body: JSON.stringify(body) }
      return (await fetch(`${jira.url}${root}${path}`, { method, headers: { authorization }, ...sent })).status
    }
  }
  const adf = { type: 'doc', version: 1, content: [{ type: 'paragraph', content: [{ type: 'text', text: 'x' }] }] }
  const issue = (more: object = {}) => ({
    fields: { project: { id: '10000' }, issuetype: { id: '10001' }, summary: 'x', description: adf, ...more },
    properties: [],
  })

  test('a wrong token, text where Cloud wants a document, an empty text node, a long summary, unknown fields and types', async () => {
    const call = await as('cloud')
    expect((await fetch(`${jira.url}/rest/api/3/myself`, { headers: { authorization: 'Bearer x' } })).status).toBe(401)
    expect(await call('POST', '/issue', issue())).toBe(201)
    expect(await call('POST', '/issue', issue({ description: 'x' }))).toBe(400)
    const empty = { ...adf, content: [{ type: 'paragraph', content: [{ type: 'text', text: '' }] }] }
    expect(await call('POST', '/issue', issue({ description: empty }))).toBe(400)
    expect(await call('POST', '/issue', issue({ summary: 'x'.repeat(256) }))).toBe(400)
    expect(await call('POST', '/issue', issue({ summary: 'x\ny' }))).toBe(400)
    expect(await call('POST', '/issue', issue({ reporter: 'bob' }))).toBe(400)
    expect(await call('POST', '/issue', issue({ issuetype: { id: '5' } }))).toBe(400)
    expect(await call('POST', '/search', {})).toBe(400)
    expect(await call('POST', '/search/jql', { jql: 'x', fields: [], properties: [], maxResults: 5 })).toBe(400)
  })

  test('a transition that is not there from where the issue is, a change log path on Data Center, and a document there', async () => {
    const call = await as('datacenter')
    expect(await call('POST', '/issue', issue())).toBe(400)
    expect(await call('POST', '/issue', issue({ description: 'x' }))).toBe(201)
    const { id } = jira.only()
    expect(await call('GET', `/issue/${id}/changelog`)).toBe(404)
    expect(await call('POST', `/issue/${id}/transitions`, { transition: { id: `9${STATUSES.pending}` } })).toBe(400)
    expect(await call('POST', `/issue/${id}/transitions`, { transition: { id: `9${STATUSES.denied}` } })).toBe(204)
    expect(jira.only().history).toHaveLength(1)
  })
})
