import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { AcceptedPost } from './accepted-post.ts'

export interface WorkflowServer extends AsyncDisposable {
  /** Of the channel's workflow, with its signature: whoever has it may post */
  urlOf(channel: string): string
  /** What was posted, in order: the texts of a card, and where its button leads */
  readonly cards: { readonly channel: string; readonly text: string; readonly links: readonly string[] }[]
  readonly refused: string[]
  /** Workflows that were deleted, or whose owner left */
  readonly gone: Set<string>
  /** Answered to every post while it is not null */
  outage: { readonly status: number; readonly headers?: Readonly<Record<string, string>> } | null
  /** Posts what it is sent and answers nothing */
  silent: boolean
  /** Posts that are taken in a minute */
  perMinute: number
}

/** Teams refuses larger ones. */
const LARGEST = 28 * 1024

/** Workflows that post cards in channels of Teams. */
export async function workflowServer(): Promise<WorkflowServer> {
  const SIGNATURE = 'fake-workflow-signature'
  const posts: number[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const url = new URL(request.url ?? '', 'http://localhost')
      const answer = take(request.method ?? '', url, request.headers['content-type'] ?? '', Buffer.concat(chunks))
      if (!state.silent) response.writeHead(answer.status, answer.headers).end()
    })
  })
  function take(
    method: string,
    url: URL,
    type: string,
    body: Buffer,
  ): { status: number; headers?: Record<string, string> } {
    const channel = /^\/workflows\/([^/]+)\/triggers\/manual\/paths\/invoke$/.exec(url.pathname)?.[1]
    if (state.outage) return { ...state.outage, headers: { ...state.outage.headers } }
    if (channel === undefined || state.gone.has(channel)) return { status: 404 }
    if (url.searchParams.get('sig') !== SIGNATURE) return { status: 401 }
    if (method !== 'POST' || type !== 'application/json') return { status: 400 }
    const recent = posts.filter((at) => at > Date.now() - 60_000)
    if (recent.length >= state.perMinute) return { status: 429, headers: { 'retry-after': '7' } }
    if (body.byteLength > LARGEST) return { status: 413 }
    const parsed = AcceptedPost.safeParse(safeJson(body))
    if (!parsed.success) {
      state.refused.push(parsed.error.message)
      return { status: 400 }
    }
    posts.push(Date.now())
    const { body: blocks, actions } = parsed.data.attachments[0].content
    const text = blocks.map(({ inlines }) => inlines.map((run) => run.text).join('')).join('\n')
    state.cards.push({ channel, text, links: actions.map((action) => action.url) })
    return { status: 202 }
  }
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  const state: WorkflowServer = {
    urlOf: (channel) =>
      `http://127.0.0.1:${port}/workflows/${channel}/triggers/manual/paths/invoke?api-version=1&sig=${SIGNATURE}`,
    cards: [],
    refused: [],
    gone: new Set(),
    outage: null,
    silent: false,
    perMinute: 1000,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return state
}

function safeJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8')) as unknown
  } catch {
    return null
  }
}
