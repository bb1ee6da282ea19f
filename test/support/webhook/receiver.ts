import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { verifyWebhook } from '../../../src/formats/standard-webhook.ts'

export interface Received {
  readonly id: string
  /** Seconds, as it was signed */
  readonly timestamp: number
  readonly signatures: readonly string[]
  readonly text: string
}

export interface Receiver extends AsyncDisposable {
  readonly url: string
  /** Well signed, not too old, and of a size that the specification advises */
  readonly received: Received[]
  readonly refused: string[]
  /** Answers to the next ones, one after the other; when none is left, 204 */
  readonly answers: Scripted[]
  secrets: readonly string[]
}

export interface Scripted {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  /** Bytes of a body behind it */
  readonly bytes?: number
  /** hang: no answer at all. drip: the status, and never an end */
  readonly manner?: 'hang' | 'drip'
}

const ADVISED_BYTES = 20_000

/** A program of somebody's own at the other end of a webhook, by Standard Webhooks. */
export async function webhookReceiver(...secrets: string[]): Promise<Receiver> {
  const server = createServer((request, response) => {
    void bytesOf(request).then((body) => {
      const trouble = keep(request, body)
      const {
        status,
        headers = {},
        bytes = 0,
        manner,
      } = trouble === null ? (state.answers.shift() ?? { status: 204 }) : { status: 401 }
      if (manner === 'hang') return
      response.writeHead(status, headers)
      if (manner === 'drip') response.write('.')
      else response.end(Buffer.alloc(bytes, '.'))
    })
  })
  function keep(request: IncomingMessage, body: Buffer): string | null {
    const headers = Object.fromEntries(Object.entries(request.headers).map(([key, value]) => [key, String(value)]))
    const verdict = verifyWebhook(state.secrets, headers, body, Date.now())
    const trouble = !verdict.ok
      ? verdict.why
      : body.byteLength > ADVISED_BYTES
        ? 'too large'
        : request.method !== 'POST' || headers['content-type'] !== 'application/json'
          ? 'no JSON'
          : null
    if (trouble !== null) state.refused.push(trouble)
    else
      state.received.push({
        id: headers['webhook-id'] ?? '',
        timestamp: Number(headers['webhook-timestamp']),
        signatures: (headers['webhook-signature'] ?? '').split(' '),
        text: body.toString('utf8'),
      })
    return trouble
  }
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const state: Receiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    received: [],
    refused: [],
    answers: [],
    secrets,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return state
}

async function bytesOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  return Buffer.concat(parts)
}
