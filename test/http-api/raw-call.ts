import { connect } from 'node:net'
import { request } from 'node:http'
import type { OutgoingHttpHeaders } from 'node:http'

export interface RawAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  readonly json: { error?: { code: string; message: string; id?: string } } & Record<string, unknown>
}

export interface RawCall {
  readonly method?: string
  readonly path: string
  readonly headers?: OutgoingHttpHeaders
  /** Sent as it is when bytes or text, else as JSON */
  readonly body?: unknown
  readonly token?: string | undefined
  /** null: no PEER line, as on the admin socket */
  readonly peer?: string | null
}

/** One call over a connection of its own; a mutating one with the headers that the CLI sends unless others are given. */
export async function rawCall(socketPath: string, call: RawCall): Promise<RawAnswer> {
  const socket = connect(socketPath)
  if (call.peer !== null) socket.write(call.peer ?? 'PEER 192.0.2.1 4711\n')
  const body = bytesOf(call.body)
  const headers: OutgoingHttpHeaders = { 'sallyport-contract': '1', ...call.headers }
  if (call.token !== undefined) headers['authorization'] = `Bearer ${call.token}`
  if (body) headers['content-type'] ??= 'application/json'
  return await new Promise((resolve, reject) => {
    const outgoing = request(
      { createConnection: () => socket, method: call.method ?? 'GET', path: call.path, headers },
      (incoming) => {
        let text = ''
        incoming.setEncoding('utf8')
        incoming.on('data', (chunk: string) => (text += chunk))
        incoming.on('error', reject)
        incoming.on('end', () => {
          socket.destroy()
          const isJson = text !== '' && String(incoming.headers['content-type']).startsWith('application/json')
          const json = (isJson ? JSON.parse(text) : {}) as RawAnswer['json']
          resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text, json })
        })
      },
    )
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

function bytesOf(body: unknown): Buffer | undefined {
  if (body === undefined) return undefined
  return body instanceof Uint8Array ? Buffer.from(body) : Buffer.from(JSON.stringify(body))
}
