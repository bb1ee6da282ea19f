import { expect, test } from 'vitest'
import { EmailSettings } from '../../src/contract/vendors/email.ts'
import { outboundConnect } from '../../src/foundation/outbound-fetch.ts'
import { emailConnector } from '../../src/notify/email/email-connector.ts'
import { aMessageTask } from '../support/a-request-view.ts'
import { connectorParts } from '../support/mail/connector-parts.ts'
import { mailServer } from '../support/mail/mail-server.ts'

const never = new AbortController().signal
const task = aMessageTask({ destination: { channel: 'ops@example.org', person: null } })

/** A connector under the product's own rules of what may be connected to. */
async function deliverTo(host: string, port: number, ca: string, allowNetworks: readonly string[], resolved?: string) {
  const settings = EmailSettings.parse({ smtp: { host, port, ca }, from: 'access@example.org' })
  const resolve =
    resolved === undefined
      ? {}
      : {
          resolve: (_: string, done: (error: null, all: { address: string; family: number }[]) => void) =>
            done(null, [{ address: resolved, family: 4 }]),
        }
  const connect = outboundConnect({ allowNetworks, ...resolve })
  const connector = emailConnector(connectorParts(settings, {}, { connect }))
  const stop = new AbortController()
  void connector.listen?.({ take: () => Promise.reject(new Error('mail takes nothing')) }, stop.signal)
  try {
    return await connector.deliver(task, never)
  } finally {
    stop.abort()
  }
}

test('trap 18: a mail server inside a private network is reached where the integration allows it, and nowhere else', async () => {
  await using server = await mailServer({ names: ['localhost', 'mail.example.org'] })
  for (const host of ['127.0.0.1', 'localhost', '0x7f.1', '2130706433', '::ffff:127.0.0.1']) {
    await expect(deliverTo(host, server.port, server.ca, [])).rejects.toMatchObject({
      kind: expect.stringMatching(/integration|retry/),
    })
  }
  await expect(deliverTo('mail.example.org', server.port, server.ca, [], '127.0.0.1')).rejects.toMatchObject({
    kind: 'integration',
  })
  expect(server.connections).toBe(0)
  await deliverTo('mail.example.org', server.port, server.ca, ['127.0.0.0/8'], '127.0.0.1')
  expect(server.mails.length).toBe(1)
})
