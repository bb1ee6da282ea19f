import { Agent, request } from 'node:http'
import { stat } from 'node:fs/promises'
import { httpTransport } from './http-exchange.ts'
import type { OpenTransport } from './proxy-transport.ts'

/** The daemon's admin socket: who can open it is the local admin, no token needed. */
export function socketTransport(socketPath: string): OpenTransport {
  const agent = new Agent({ keepAlive: true })
  return {
    transport: httpTransport(request, socketPath, { agent, socketPath, host: 'sallyport' }),
    close: () => agent.destroy(),
  }
}

export async function isSocket(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isSocket()
  } catch {
    return false
  }
}
