import type { IncomingMessage, RequestOptions } from 'node:http'
import type { request as HttpRequest } from 'node:http'
import { ApiError } from '../../contract/api-error.ts'
import type { Transport, TransportAnswer } from '../../contract/client.ts'

// Verifying the whole audit log is the longest silence of a daemon that works; a dead one is noticed by TCP keepalive.
const SILENCE_MS = 600_000

/** Over HTTP/1.1 by `request` of node:http or node:https; `where` is named when nobody answers. */
export function httpTransport(request: typeof HttpRequest, where: string, options: RequestOptions): Transport {
  return (call) =>
    new Promise<TransportAnswer>((resolve, reject) => {
      const failed = (error: Error): void => {
        if (call.signal?.aborted) reject(call.signal.reason as Error)
        else reject(unreachable(where, error))
      }
      const length = call.body === null ? {} : { 'content-length': String(call.body.length) }
      const outgoing = request({
        ...options,
        method: call.method,
        path: call.target,
        headers: { ...call.headers, ...length },
        timeout: SILENCE_MS,
        ...(call.signal === undefined ? {} : { signal: call.signal }),
      })
      outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer within ${SILENCE_MS / 1000} s`)))
      outgoing.on('error', failed)
      outgoing.on('response', (incoming) =>
        resolve({
          status: incoming.statusCode ?? 0,
          contract: headerOf(incoming, 'sallyport-contract'),
          body: chunksOf(incoming, where, call.signal),
        }),
      )
      outgoing.end(call.body ?? undefined)
    })
}

function headerOf(incoming: IncomingMessage, name: string): string | undefined {
  const value = incoming.headers[name]
  return typeof value === 'string' ? value : undefined
}

async function* chunksOf(incoming: IncomingMessage, where: string, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of incoming) yield chunk as Uint8Array
  } catch (error) {
    if (signal?.aborted) throw signal.reason
    throw unreachable(where, error as Error)
  }
}

export function unreachable(where: string, error: Error): ApiError {
  const { code } = error as NodeJS.ErrnoException
  const why = code === undefined || error.message.includes(code) ? error.message : `${error.message} (${code})`
  return new ApiError('unreachable', `${where} does not answer: ${why}`)
}
