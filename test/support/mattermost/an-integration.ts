import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface AnIntegration extends AsyncDisposable {
  readonly url: string
  readonly got: { readonly path: string; readonly headers: NodeJS.Dict<string | string[]>; readonly body: string }[]
  /** What is answered next */
  answer: (body: string) => { readonly status: number; readonly body: string }
  /** Instead of `answer`, with the path it came to */
  serve: ((path: string, body: string) => Promise<{ readonly status: number; readonly body: string }>) | null
}

/** What a Mattermost server calls: remembers it, and answers as told. */
export async function anIntegration(): Promise<AnIntegration> {
  const got: AnIntegration['got'] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', async () => {
      const body = Buffer.concat(chunks).toString()
      got.push({ path: request.url ?? '', headers: request.headers, body })
      const answer = integration.serve ? await integration.serve(request.url ?? '', body) : integration.answer(body)
      response.writeHead(answer.status, { 'content-type': 'application/json' })
      response.end(answer.body)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const integration: AnIntegration = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    got,
    answer: () => ({ status: 200, body: '{}' }),
    serve: null,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return integration
}
