// How a mail server may behave besides taking mail.
import { createServer, type Socket } from 'node:net'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { EmailSettings } from '../../src/contract/vendors/email.ts'
import { emailConnector } from '../../src/notify/email/email-connector.ts'
import { openPool } from '../../src/notify/email/open-pool.ts'
import { smtpVerdict } from '../../src/notify/email/smtp-verdict.ts'
import { aMessageTask } from '../support/a-request-view.ts'
import { connectorParts } from '../support/mail/connector-parts.ts'
import { mailServer } from '../support/mail/mail-server.ts'

const never = new AbortController().signal
const PASSWORD = 'fake-smtp-password-77'

const settingsFor = (port: number, more: object = {}) =>
  EmailSettings.parse({ smtp: { host: 'localhost', port, username: 'access', ...more }, from: 'access@example.org' })

/** Says what it is told to after each line that it is sent; null: nothing more, and the connection stays open. */
async function rawServer(answer: (line: string) => string | null, greeting: string | null) {
  const lines: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    if (greeting !== null) socket.write(greeting)
    socket.on('data', (bytes) => {
      for (const line of bytes.toString('latin1').split('\r\n').filter(Boolean)) {
        lines.push(line)
        const said = answer(line)
        if (said !== null) socket.write(said)
      }
    })
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    lines,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function sendBy(port: number, silenceMs = 20_000): Promise<unknown> {
  const { connect } = connectorParts({}, {})
  const pool = openPool(settingsFor(port), { password: PASSWORD }, connect, silenceMs)
  const letter = { from: 'access@example.org', to: 'bob@example.org', subject: 'x', text: 'x' }
  return await pool
    .sendMail(letter)
    .catch((error: unknown) => smtpVerdict(error, [PASSWORD]))
    .finally(() => pool.close())
}

const CAN_TLS = '250-mail.example.org\r\n250-AUTH PLAIN LOGIN\r\n250 STARTTLS\r\n'
const NO_TLS = '250-mail.example.org\r\n250 AUTH PLAIN LOGIN\r\n'

test('a server that never greets, or falls silent in the middle, is given up and asked again later', async () => {
  for (const [greeting, silentAt] of [
    [null, 'EHLO'],
    ['220 mail\r\n', 'EHLO'],
    ['220 mail\r\n', 'STARTTLS'],
  ] as const) {
    await using server = await rawServer((line) => (line.startsWith(silentAt) ? null : CAN_TLS), greeting)
    expect(await sendBy(server.port, 300)).toMatchObject({ kind: 'retry' })
  }
})

test('neither password nor mail goes out in clear, whoever takes STARTTLS out of what the server offers', async () => {
  for (const offer of [NO_TLS, CAN_TLS]) {
    const refusing = (line: string): string => (line.startsWith('EHLO') ? offer : '454 4.7.0 TLS not available\r\n')
    await using server = await rawServer(refusing, '220 mail\r\n')
    expect(await sendBy(server.port)).toMatchObject({ kind: expect.stringMatching(/integration|retry/) as string })
    expect(server.lines.filter((line) => !/^(EHLO|HELO|STARTTLS|QUIT)/.test(line))).toEqual([])
    const clear = server.lines.join('\n')
    expect(clear).not.toContain(Buffer.from(`\0access\0${PASSWORD}`).toString('base64'))
  }
})

test('what somebody in between puts behind the answer to STARTTLS is not taken for the server’s', async () => {
  const injected =
    '220 go ahead\r\n250-mail.example.org\r\n250 AUTH PLAIN\r\n235 welcome\r\n250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n'
  await using server = await rawServer((line) => (line === 'STARTTLS' ? injected : CAN_TLS), '220 mail\r\n')
  expect(await sendBy(server.port, 1000)).toMatchObject({ name: 'DeliveryFailed' })
  const clear = server.lines.slice(server.lines.indexOf('STARTTLS') + 1).join('\n')
  expect(clear).not.toMatch(/AUTH|MAIL FROM|RCPT|Subject/)
})

test('too many recipients for now, or too many mails, is asked again later', async () => {
  await using server = await mailServer()
  const settings = EmailSettings.parse({
    smtp: { host: 'localhost', port: server.port, ca: server.ca },
    from: 'a@b.example',
  })
  const connector = emailConnector(connectorParts(settings, {}))
  const task = aMessageTask({ destination: { channel: 'bob@example.org', person: null } })
  for (const [code, text] of [
    [452, '4.5.3 too many recipients'],
    [450, '4.2.0 greylisted'],
    [451, '4.3.2 later'],
  ] as const) {
    server.refusals.set('bob@example.org', { code, text, once: true })
    await expect(connector.deliver(task, never)).rejects.toMatchObject({ kind: 'retry' })
  }
  await connector.deliver(task, never)
  expect(server.mails.length).toBe(1)
})

test('addresses in other scripts are written to', async () => {
  await using server = await mailServer()
  const settings = EmailSettings.parse({
    smtp: { host: 'localhost', port: server.port, ca: server.ca },
    from: 'a@b.example',
  })
  const connector = emailConnector(connectorParts(settings, {}))
  for (const [index, channel] of ['jörg@example.org', 'joerg@bücher.example', '用户@例子.example'].entries())
    await connector.deliver(aMessageTask({ destination: { channel, person: null }, onceId: `once_${index}` }), never)
  expect(server.refused).toEqual([])
  expect(server.mails.length).toBe(3)
  for (const channel of ['jörg@exam ple.org', 'a\u202eb@example.org', 'a@b\r\nBcc: c@d.example', 'a,b@c.example'])
    await expect(
      connector.deliver(aMessageTask({ destination: { channel, person: null } }), never),
    ).rejects.toMatchObject({ kind: 'destination' })
})

test('trap 15: no sender’s name or address makes a header', () => {
  for (const from_name of ['x\r\nBcc: eve@example.org', '"x" <eve@example.org>', 'x\u2028y', 'x, y', 'a\u202eb'])
    expect(EmailSettings.safeParse({ ...settingsFor(25), from_name }).success).toBe(false)
  for (const from of ['a@b.example\r\nX: y', 'x <a@b.example>', 'a@b.example, c@d.example'])
    expect(EmailSettings.safeParse({ ...settingsFor(25), from }).success).toBe(false)
})
