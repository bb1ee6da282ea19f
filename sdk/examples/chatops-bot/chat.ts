import { createHash, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

// A chat, as small as one can be: one room over HTTP. Put your own in its place.
//   POST /messages {"text": "..."}   with `Authorization: Bearer KEY` of somebody in the room
//   GET  /messages?after=3           the same key; messages behind number 3

export interface ChatMessage {
  readonly number: number
  readonly from: string
  readonly text: string
}

const LONGEST_BODY = 8192
const MOST_KEPT = 1000

export class Chat {
  readonly #people: ReadonlyMap<string, Buffer>
  readonly #said: ChatMessage[] = []
  readonly #heard: (message: ChatMessage) => void
  readonly #server: Server
  #count = 0

  /** `people`: name and key of everybody in the room. `heard` is told of what they say, and not of what the bot says. */
  constructor(people: Readonly<Record<string, string>>, heard: (message: ChatMessage) => void) {
    this.#people = new Map(Object.entries(people).map(([name, key]) => [name, digest(key)]))
    this.#heard = heard
    this.#server = createServer((request, response) => void this.#answer(request, response))
  }

  /** On loopback. Gives the port. */
  async listen(port = 0): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(port, '127.0.0.1', resolve)
    })
    return (this.#server.address() as AddressInfo).port
  }

  say(from: string, text: string): ChatMessage {
    const message = { number: ++this.#count, from, text }
    this.#said.push(message)
    if (this.#said.length > MOST_KEPT) this.#said.shift()
    return message
  }

  close(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const send = (status: number, body: unknown): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    }
    try {
      const url = new URL(request.url ?? '', 'http://chat')
      const who = this.#who(request.headers.authorization ?? '')
      if (who === null) return send(401, { error: 'who are you?' })
      if (url.pathname !== '/messages') return send(404, { error: 'there is nothing here' })
      if (request.method === 'GET') {
        const after = Number(url.searchParams.get('after') ?? 0)
        return send(
          200,
          this.#said.filter(({ number }) => number > after),
        )
      }
      const text = textOf(await bodyOf(request))
      if (request.method !== 'POST' || text === null) return send(400, { error: 'POST {"text": "..."}' })
      const message = this.say(who, text)
      send(201, message)
      this.#heard(message)
    } catch {
      if (!response.headersSent) send(400, { error: 'that was not understood' })
    }
  }

  #who(header: string): string | null {
    const given = digest(/^Bearer (.{1,200})$/.exec(header)?.[1] ?? '')
    for (const [name, key] of this.#people) if (timingSafeEqual(given, key)) return name
    return null
  }
}

const digest = (key: string): Buffer => createHash('sha256').update(key).digest()

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = []
  let length = 0
  for await (const part of request) {
    length += (part as Buffer).length
    if (length > LONGEST_BODY) throw new Error('too long')
    parts.push(part as Buffer)
  }
  return Buffer.concat(parts).toString('utf8')
}

function textOf(body: string): string | null {
  const { text } = JSON.parse(body) as { text?: unknown }
  return typeof text === 'string' && text.trim() !== '' ? text.trim() : null
}
