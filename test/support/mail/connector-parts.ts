import { connect } from 'node:net'
import type { ConnectorParts } from '../../../src/notify/connector.ts'
import { systemClock } from '../../../src/foundation/clock.ts'
import { silentLog } from '../../../src/foundation/log.ts'
import type { OutboundConnect } from '../../../src/foundation/outbound-fetch.ts'

const plainConnect: OutboundConnect = (host, port) =>
  new Promise((resolve, reject) => {
    const socket = connect({ host: host === 'localhost' ? '127.0.0.1' : host, port })
    socket.once('connect', () => resolve(socket)).once('error', reject)
  })

/** Parts of a connector that may reach this machine. */
export function connectorParts<Settings, Secrets>(
  settings: Settings,
  secrets: Secrets,
  overrides: Partial<ConnectorParts<Settings, Secrets>> = {},
): ConnectorParts<Settings, Secrets> {
  return {
    integration: 'chat',
    settings,
    secrets,
    clock: systemClock,
    log: silentLog,
    connect: plainConnect,
    async fetch(url, { method, headers, body, signal }) {
      const answer = await fetch(url, {
        method,
        redirect: 'manual',
        ...(headers === undefined ? {} : { headers }),
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : new Uint8Array(body) }),
        ...(signal === undefined ? {} : { signal }),
      })
      return {
        status: answer.status,
        headers: Object.fromEntries(answer.headers),
        body: new Uint8Array(await answer.arrayBuffer()),
      }
    },
    publicUrl: 'https://access.example.org',
    report: () => {},
    ...overrides,
  }
}
