// Alice asks; bob and carol read of it in mails, decide in Sallyport, and every mail's thread tells how it ended. The daemon is
// killed between the steps.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { mailServer, type MailServer, type TakenMail } from '../support/mail/mail-server.ts'
import { startSallyport, type Account, type Sallyport } from '../support/sallyport.ts'

const ROLES = ['dba', 'dbb', 'dbc', 'dbd', 'dbe'] as const
const PASSWORD = 'fake-smtp-password-5d1f'
let sallyport: Sallyport
let server: MailServer
let alice: Account
let bob: Account
let carol: Account

beforeAll(async () => {
  ;[sallyport, server] = await Promise.all([
    startSallyport(),
    mailServer({ user: { name: 'access', password: PASSWORD } }),
  ])
  const role = (name: string, allow: Record<string, unknown>, options = {}) =>
    sallyport.role({ kind: 'role', metadata: { name }, spec: { allow, options } })
  // A role that was denied cannot be asked for again at once.
  for (const name of ROLES) await role(name, { logins: [sallyport.login], node_labels: { service: 'database' } })
  await role('engineer', {
    request: {
      roles: [...ROLES],
      thresholds: [{ name: 'two leads', filter: '"lead" in reviewer.roles', approve: 2, deny: 1 }],
    },
  })
  await role('lead', { review_requests: { roles: ['db*'] } })
  await sallyport.user('alice', ['engineer'], {}, 'alice@example.org')
  await sallyport.user('bob', ['lead'], {}, 'bob@example.org')
  await sallyport.user('carol', ['lead'], {}, 'carol@example.org')
  ;[alice, bob, carol] = (await Promise.all([
    sallyport.signIn('alice'),
    sallyport.signIn('bob', { apps: 3 }),
    sallyport.signIn('carol', { apps: 3 }),
  ])) as [Account, Account, Account]
  await sallyport.document({
    kind: 'integration',
    metadata: { name: 'mail' },
    spec: {
      vendor: 'email',
      smtp: { host: 'localhost', port: server.port, ca: server.ca, username: 'access' },
      from: 'access@example.org',
      allow_networks: ['127.0.0.0/8', '::1/128'],
      deliver: [{ reviewers: true, requester: true, channels: ['audit@example.org'] }],
      secrets: { password: PASSWORD },
    },
  })
})
afterAll(async () => {
  await sallyport?.stop()
  await server?.[Symbol.asyncDispose]()
})

/** Without the mark of the request, which differs from run to run. */
const subjectsTo = (name: string): (string | undefined)[] =>
  mailsTo(name).map(({ headers }) => headers.get('subject')?.replace(/ for \S+ \[[0-9a-f]{6}\]$/, ''))
const mailsTo = (name: string): TakenMail[] => server.mails.filter(({ to }) => to === `${name}@example.org`)

async function ask(role: string, reason: string, ...more: string[]): Promise<string> {
  const args = [`--roles=${role}`, `--reason=${reason}`, '--nowait', '--format=json', ...more]
  const made = await alice.sally('request', 'create', ...args)
  if (made.code !== 0) throw new Error(made.stderr)
  return (JSON.parse(made.stdout) as { id: string }).id
}

async function review(who: Account, id: string, how: '--approve' | '--deny', reason: string): Promise<void> {
  const code = `--code=${await who.authenticator?.code()}`
  const done = await who.sally('request', 'review', id, how, `--reason=${reason}`, code)
  if (done.code !== 0) throw new Error(done.stderr)
}

async function killed(): Promise<void> {
  await sallyport.kill('SIGKILL')
  await sallyport.restart()
}

const everybody = ['alice', 'bob', 'carol', 'audit']
const asked = (name: string, role: string): string =>
  name === 'alice' ? `Your request for ${role}` : `alice asks for ${role}`
let id = ''

test('trap 21: everybody who could decide gets one mail about the request, with a link to its page', async () => {
  id = await ask('dba', 'ticket 77 AKIAABCDEFGH12345678 <a href="https://evil.example">x</a>')
  await expect.poll(() => server.mails.length).toBe(4)
  for (const name of everybody) expect(subjectsTo(name)).toEqual([asked(name, 'dba')])
  for (const { text } of server.mails) {
    expect(text).toContain(`/r/${id}`)
    expect(text).toContain('ticket 77')
    expect(text).not.toMatch(/https?:\/\/evil/)
  }
  for (const { raw } of server.mails) expect(raw).not.toContain('AKIAABCDEFGH')
  expect(server.refused).toEqual([])
})

test('2: after a kill nothing is sent again; a first vote is said in the thread', async () => {
  await killed()
  await review(bob, id, '--approve', 'looks right')
  for (const name of ['alice', 'audit']) await expect.poll(() => subjectsTo(name).length).toBe(2)
  const [first, vote] = mailsTo('alice')
  expect(vote?.headers.get('references')).toBe(first?.headers.get('message-id'))
  expect(vote?.text).toContain('looks right')
  expect(vote?.text).toContain('Still missing')
  expect(subjectsTo('carol')).toEqual([asked('carol', 'dba')])
})

test('3: after another kill the decision is told in every thread, once and together with the vote that made it', async () => {
  await killed()
  await review(carol, id, '--approve', 'fine')
  for (const name of everybody)
    await expect.poll(() => mailsTo(name).filter(({ text }) => text.startsWith('Approved for')).length).toBe(1)
  expect(everybody.map((name) => mailsTo(name).length)).toEqual([3, 2, 2, 3])
  for (const name of everybody) {
    const mails = mailsTo(name)
    expect(mails.at(-1)?.text).toMatch(/- bob: .*looks right[^]*- carol: .*fine/)
    const root = mails[0]?.headers.get('message-id')
    for (const mail of mails.slice(1)) expect(mail.headers.get('references')).toBe(root)
  }
})

test('trap 24: while the mail server is away requests are decided all the same, and afterwards people read of the end alone', async () => {
  server.mails.length = 0
  server.outage = { code: 451, text: '4.3.2 not now' }
  const second = await ask('dbb', 'ticket 78')
  await review(bob, second, '--deny', 'not today')
  await sallyport.restart()
  server.outage = null
  for (const name of ['alice', 'audit'])
    await expect
      .poll(() => mailsTo(name).filter(({ text }) => text.startsWith('Denied')).length, { timeout: 60_000 })
      .toBe(1)
  // Who was never told that there was something to decide is not told what came of it.
  for (const name of ['bob', 'carol']) expect(mailsTo(name)).toEqual([])
  expect(server.mails.filter(({ text }) => text.startsWith('Waiting'))).toEqual([])
})

test('5: a request that is cancelled is told to be, to those who were asked', async () => {
  server.mails.length = 0
  const third = await ask('dbc', 'ticket 79')
  await expect.poll(() => subjectsTo('bob')).toEqual([asked('bob', 'dbc')])
  await alice.sally('request', 'cancel', third)
  for (const name of everybody)
    await expect.poll(() => mailsTo(name).some(({ text }) => text.startsWith('Cancelled'))).toBe(true)
})

test('6: a mailbox that is gone breaks that destination alone, and the others are told', async () => {
  server.mails.length = 0
  server.refusals.set('carol@example.org', { code: 550, text: '5.1.1 no such user' })
  await ask('dbc', 'ticket 80')
  for (const name of ['alice', 'bob', 'audit']) await expect.poll(() => subjectsTo(name)).toEqual([asked(name, 'dbc')])
  await expect
    .poll(() => sallyport.rows("select state, failure_kind from messages where state = 'dead'"))
    .toEqual([expect.objectContaining({ failure_kind: 'destination' })])
  expect(subjectsTo('carol')).not.toContain(asked('carol', 'dbc'))
})

test('7: a request that nobody answers is told to have expired, in the thread of each', async () => {
  server.mails.length = 0
  server.refusals.clear()
  await ask('dbd', 'ticket 81', '--pending-for=4s')
  for (const name of everybody)
    await expect
      .poll(() => mailsTo(name).map(({ text }) => text.split(/[ \n]/)[0]), { timeout: 60_000 })
      .toEqual(['Waiting:', 'Expired'])
  for (const name of everybody) {
    const [root, end] = mailsTo(name)
    expect(end?.headers.get('in-reply-to')).toBe(root?.headers.get('message-id'))
    expect(end?.headers.get('subject')).toBe(`Re: ${root?.headers.get('subject')}`)
  }
})

test('8: killed between a server that took the mail and our noting it, each mail comes again under the same Message-ID', async () => {
  server.mails.length = 0
  server.silent = true
  const silent = await ask('dbe', 'ticket 82')
  await expect.poll(() => server.mails.length).toBeGreaterThan(1)
  await sallyport.kill('SIGKILL')
  server.silent = false
  await sallyport.restart()
  await expect.poll(() => server.mails.length, { timeout: 60_000 }).toBe(4)
  await expect.poll(() => server.folded.length).toBeGreaterThan(1)
  server.silent = true
  await review(bob, silent, '--deny', 'no')
  await expect.poll(() => server.mails.length, { timeout: 60_000 }).toBeGreaterThan(5)
  await killed()
  server.silent = false
  for (const name of everybody)
    await expect
      .poll(() => mailsTo(name).map(({ text }) => text.split(/[ :\n]/)[0]), { timeout: 90_000 })
      .toEqual(['Waiting', 'Denied'])
  const found = await sallyport.api.showRequest({ params: { id: silent } })
  expect([found.state, found.reviews.length]).toEqual(['denied', 1])
})

test('9: an operator sends a test message and is told what came of it', async () => {
  server.mails.length = 0
  const sent = await sallyport.admin('integration', 'test', 'mail', '--user=bob')
  expect([sent.code, sent.stdout.trim()]).toEqual([0, 'delivered  user:bob'])
  expect(server.mails).toMatchObject([{ to: 'bob@example.org' }])
  expect(server.mails[0]?.headers.get('subject')).toMatch(/^Test message of Sallyport/)
  server.refusals.set('audit@example.org', { code: 550, text: '5.1.1 no such user' })
  const failed = await sallyport.admin('integration', 'test', 'mail')
  expect([failed.code, failed.stdout]).toEqual([
    1,
    expect.stringMatching(/^FAILED +channel:audit@example\.org .*5\.1\.1/),
  ])
  const [event] = await sallyport.events({ type: 'integration.test' })
  expect(event?.details).toMatchObject({ name: 'mail' })
})

test('trap 20: the password of the mail server is in no log, event, document or mail', async () => {
  const document = await sallyport.admin('get', 'integration/mail')
  const events = JSON.stringify(await sallyport.events())
  const mails = server.mails.map(({ raw }) => raw).join('')
  for (const text of [document.stdout, events, mails, sallyport.logText()]) expect(text).not.toContain(PASSWORD)
  expect(document.stdout).toContain('mail')
})
