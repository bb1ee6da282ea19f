import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'

export interface IntegrationAnswer {
  readonly status: number
  readonly type: string
  readonly body: string
}

/** POSTs as the server does, without following anything. `ca`: who is trusted besides the machine's. */
export function callIntegration(
  url: string,
  body: string,
  options: {
    readonly type: string
    readonly headers?: Record<string, string>
    readonly ca?: string
    readonly timeoutMs: number
  },
): Promise<IntegrationAnswer> {
  const send = url.startsWith('https:') ? requestHttps : requestHttp
  return new Promise((resolve, reject) => {
    const sent = send(
      url,
      {
        method: 'POST',
        timeout: options.timeoutMs,
        headers: { ...options.headers, 'content-type': options.type, 'content-length': Buffer.byteLength(body) },
        ...(options.ca === undefined ? {} : { ca: options.ca }),
      },
      (answer) => {
        const chunks: Buffer[] = []
        answer.on('data', (chunk: Buffer) => chunks.push(chunk))
        answer.on('error', reject)
        answer.on('end', () =>
          resolve({
            status: answer.statusCode ?? 0,
            type: answer.headers['content-type'] ?? '',
            body: Buffer.concat(chunks).toString(),
          }),
        )
      },
    )
    sent.on('timeout', () => sent.destroy(new Error('the integration did not answer in time')))
    sent.on('error', reject)
    sent.end(body)
  })
}
