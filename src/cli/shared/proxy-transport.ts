import { Agent, request } from 'node:https'
import { isIP } from 'node:net'
import type { Transport } from '../../contract/client.ts'
import { OWN_ALPN } from '../../formats/own-alpn.ts'
import { httpTransport } from './http-exchange.ts'
import type { ProxyAddress } from './command-context.ts'

export interface OpenTransport {
  readonly transport: Transport
  close(): void
}

/** HTTPS to a known proxy: its chain must end in the stored authority and name the stored proxy name. */
export function proxyTransport(proxy: ProxyAddress): OpenTransport {
  // No session cache: the server gives no tickets, and a resumed session would skip the check of the chain.
  const agent = new Agent({ keepAlive: true, maxCachedSessions: 0, ALPNProtocols: [OWN_ALPN, 'http/1.1'] })
  const transport = httpTransport(request as typeof import('node:http').request, `${proxy.host}:${proxy.port}`, {
    agent,
    host: proxy.host,
    port: proxy.port,
    ...{
      ca: proxy.tlsAuthority,
      // Whatever NODE_TLS_REJECT_UNAUTHORIZED says.
      rejectUnauthorized: true,
      servername: isIP(proxy.name) === 0 ? proxy.name : '',
      minVersion: 'TLSv1.3',
    },
  })
  return { transport, close: () => agent.destroy() }
}
