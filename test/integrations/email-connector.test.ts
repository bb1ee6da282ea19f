import { createTransport } from 'nodemailer'
import { expect, test } from 'vitest'
import { EmailSettings, type EmailSecrets } from '../../src/contract/vendors/email.ts'
import { emailConnector } from '../../src/notify/email/email-connector.ts'
import { aMessageTask, aRequestView, HOSTILE_TEXTS } from '../support/a-request-view.ts'
import { connectorParts } from '../support/mail/connector-parts.ts'
import { mailServer, type MailServer } from '../support/mail/mail-server.ts'

const SUBJECT = 'alice asks for dba for 1h [1]'
const never = new AbortController().signal
const bob = { id: 'usr_bob', name: 'bob', email: 'bob@example.org', account: null }
const toBob = { audience: 'reviewer', destination: { channel: null, person: bob } } as const

function connectorTo(server: MailServer, smtp: object = {}, secrets: EmailSecrets = {}) {
  const settings = EmailSettings.parse({
    smtp: { host: 'localhost', port: server.port, ca: server.ca, ...smtp },
    from: 'access@example.org',
  })
  const stop = new AbortController()
  const connector = emailConnector(connectorParts(settings, secrets))
  void connector.listen?.({ take: () => Promise.reject(new Error('mail takes nothing')) }, stop.signal)
  return { connector, [Symbol.dispose]: () => stop.abort() }
}

test('a request is one mail, and what became of it is a reply in the same thread', async () => {
  await using server = await mailServer()
  using mail = connectorTo(server)
  const task = aMessageTask(toBob)
  const external = await mail.connector.deliver(task, never)
  const approved = aRequestView({ state: 'approved', needed: [], resolution: 'approved by carol' })
  const later = await mail.connector.deliver(aMessageTask({ ...toBob, external, view: approved }), never)
  expect(server.refused).toEqual([])
  const [first, second] = server.mails
  expect(first?.headers.get('subject')).toBe(SUBJECT)
  expect(first?.headers.get('from')).toBe('Sallyport <access@example.org>')
  expect(first?.headers.get('auto-submitted')).toBe('auto-generated')
  expect(second?.headers.get('subject')).toBe(`Re: ${SUBJECT}`)
  expect(second?.headers.get('in-reply-to')).toBe(first?.headers.get('message-id'))
  expect(second?.headers.get('references')).toBe(first?.headers.get('message-id'))
  expect(second?.text).toContain('Approved for 1h: approved by carol')
  expect(await mail.connector.deliver(aMessageTask({ ...toBob, external: later, view: approved }), never)).toBe(later)
  expect(server.mails.length).toBe(2)
})

test('a line about a vote is a mail in the thread; what the message itself tells is not told twice', async () => {
  await using server = await mailServer()
  using mail = connectorTo(server)
  const thread = await mail.connector.deliver(aMessageTask(toBob), never)
  const notice = { text: 'carol approved: fine', url: 'https://access.example.org/requests/req_1', at: 0 }
  const said = { ...toBob, thread, onceId: 'once_2' }
  await mail.connector.deliver(aMessageTask({ ...said, notice: { topic: 'request.reviewed', ...notice } }), never)
  await mail.connector.deliver(aMessageTask({ ...said, notice: { topic: 'request.decided', ...notice } }), never)
  const decided = { topic: 'request.reviewed', ...notice, request: { state: 'approved' as const, needed: [] } }
  await mail.connector.deliver(aMessageTask({ ...said, onceId: 'once_3', notice: decided }), never)
  expect(server.mails.map(({ headers }) => headers.get('subject'))).toEqual([SUBJECT, `Re: ${SUBJECT}`])
  expect(server.mails[1]?.text).toContain('carol approved: fine')
  expect(server.mails[1]?.headers.get('references')).toBe(server.mails[0]?.headers.get('message-id'))
})

test('trap 24: a mail whose acceptance was never heard of is sent again under the same Message-ID, and is one mail', async () => {
  await using server = await mailServer()
  using mail = connectorTo(server)
  server.dropAfter = 0
  await expect(mail.connector.deliver(aMessageTask(toBob), never)).rejects.toMatchObject({ kind: 'retry' })
  await mail.connector.deliver(aMessageTask({ ...toBob, attempt: 2 }), never)
  expect(server.mails.length).toBe(1)
})

test.each([
  ['a mailbox that is gone breaks the destination', 550, '5.1.1 no such user', 'destination'],
  ['a greylisted mail is sent again', 451, '4.7.1 try later', 'retry'],
  ['a full mailbox breaks the destination', 552, '5.2.2 mailbox full', 'destination'],
  ['a server that is busy is asked again', 421, '4.3.2 closing', 'retry'],
] as const)('%s', async (_, code, text, kind) => {
  await using server = await mailServer()
  using mail = connectorTo(server)
  server.refusals.set('bob@example.org', { code, text })
  await expect(mail.connector.deliver(aMessageTask(toBob), never)).rejects.toMatchObject({ kind })
  expect(server.mails).toEqual([])
})

test('a sender that the server takes nothing from breaks the integration', async () => {
  await using server = await mailServer()
  using mail = connectorTo(server)
  server.outage = { code: 553, text: '5.7.1 sender not allowed' }
  await expect(mail.connector.deliver(aMessageTask(toBob), never)).rejects.toMatchObject({ kind: 'integration' })
  server.outage = { code: 451, text: '4.3.0 later' }
  await expect(mail.connector.deliver(aMessageTask(toBob), never)).rejects.toMatchObject({ kind: 'retry' })
  server.outage = null
  await mail.connector.deliver(aMessageTask(toBob), never)
  expect(server.mails.length).toBe(1)
})

test('trap 20: a wrong password breaks the integration, and what the server echoes of it is not passed on', async () => {
  await using server = await mailServer({ user: { name: 'access', password: 'right-horse' } })
  using wrong = connectorTo(server, { username: 'access' }, { password: 'fake-smtp-password' })
  const refused = await wrong.connector.deliver(aMessageTask(toBob), never).catch((error: unknown) => error)
  expect(refused).toMatchObject({ kind: 'integration' })
  expect(String(refused)).not.toContain('fake-smtp-password')
  const [line] = await wrong.connector.check([], never)
  expect(line?.ok).toBe(false)
  expect(JSON.stringify(line)).not.toContain('fake-smtp-password')
  using right = connectorTo(server, { username: 'access' }, { password: 'right-horse' })
  await right.connector.deliver(aMessageTask(toBob), never)
  expect(await right.connector.check(['ops@example.org', 'nobody'], never)).toEqual([
    { ok: true, text: 'localhost takes mail of access' },
    expect.objectContaining({ ok: true }),
    { ok: false, text: 'nobody is no mail address' },
  ])
  expect(server.mails.length).toBe(1)
})

test('TLS from the start works as STARTTLS does', async () => {
  await using server = await mailServer({ implicitTls: true })
  using mail = connectorTo(server, { tls: 'implicit' })
  await mail.connector.deliver(aMessageTask(toBob), never)
  expect(server.mails.length).toBe(1)
})

test.each([
  ['that offers no TLS', { withoutTls: true }, {}],
  ['whose certificate is for another name', { names: ['other.example'] }, {}],
  ['whose certificate nobody trusts', {}, { ca: undefined }],
])('no mail goes to a server %s', async (_, options, smtp) => {
  await using server = await mailServer(options)
  using mail = connectorTo(server, smtp)
  await expect(mail.connector.deliver(aMessageTask(toBob), never)).rejects.toMatchObject({ kind: 'integration' })
  expect(server.mails).toEqual([])
})

test('who has no mail address, or one that is more than an address, is not written to', async () => {
  await using server = await mailServer()
  using mail = connectorTo(server)
  for (const email of [
    null,
    '',
    'a@b.example,c@d.example',
    'x <y@z.example>',
    'a@b.example\r\nBcc: c@d.example',
    '"a b"@c.example',
  ]) {
    const destination = { channel: null, person: { ...bob, email } }
    await expect(mail.connector.deliver(aMessageTask({ ...toBob, destination }), never)).rejects.toMatchObject({
      kind: 'destination',
    })
  }
  expect(server.connections).toBe(0)
})

test('trap 15: what people typed arrives as text: no header, link or markup of it', async () => {
  await using server = await mailServer()
  using mail = connectorTo(server)
  for (const [index, reason] of HOSTILE_TEXTS.entries()) {
    const view = aRequestView({ reason, resolution: reason, state: 'denied' })
    await mail.connector.deliver(aMessageTask({ ...toBob, onceId: `once_${index}`, view }), never)
  }
  expect(server.refused).toEqual([])
  expect(server.mails.length).toBe(HOSTILE_TEXTS.length)
  for (const { headers, text } of server.mails) {
    expect(headers.get('subject')).toBe(SUBJECT)
    expect(text.match(/\b[a-z]+:\/\/\S+/gi)).toEqual(['https://access.example.org/requests/req_1'])
  }
})

test('the mail server of tests refuses what servers refuse: clear text, no password, several recipients, odd headers', async () => {
  await using server = await mailServer({ user: { name: 'access', password: 'right-horse' } })
  const tls = { ca: server.ca, servername: 'localhost' }
  const mail = { from: 'access@example.org', to: 'bob@example.org', subject: 'x', text: 'x', html: '<p>x</p>' }
  const auth = { user: 'access', pass: 'right-horse' }
  const generated = { headers: { 'Auto-Submitted': 'auto-generated' } }
  const send = (transport: object, letter: object): Promise<unknown> => {
    const to = createTransport({ host: '127.0.0.1', port: server.port, tls, ...transport })
    return to.sendMail({ ...mail, ...letter }).finally(() => to.close())
  }
  await expect(send({ ignoreTLS: true }, generated)).rejects.toThrow(/530|STARTTLS|[Aa]uthentication/)
  await expect(send({}, generated)).rejects.toThrow(/530|[Aa]uthentication/)
  await expect(send({ auth: { ...auth, pass: 'no' } }, generated)).rejects.toThrow(/535/)
  await expect(send({ auth }, { ...generated, bcc: 'eve@example.org' })).rejects.toThrow(/several/)
  await expect(send({ auth }, { headers: { ...generated.headers, 'X-Track': '1' } })).rejects.toThrow(/x-track/)
  await expect(send({ auth }, {})).rejects.toThrow(/auto-submitted/)
  await expect(send({ auth }, { ...generated, attachments: [{ content: 'x' }] })).rejects.toThrow(/not plain text/)
  await send({ auth }, generated)
  expect(server.mails.length).toBe(1)
})
