import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { discordApi, type ApiAnswer } from './discord-routes.ts'
import { newDiscordHouse, type DiscordHouse } from './discord-house.ts'
import { DiscordPerson, pingEndpoint } from './discord-person.ts'

/** Discord, as far as we use it: strict about what it is sent, and with people who press and type. */
export interface DiscordServer extends AsyncDisposable {
  /** As `api_url` */
  readonly url: string
  readonly house: DiscordHouse
  /** A member of the server, or of another one */
  person(name: string, guild?: string): DiscordPerson
  /** Where interactions go. Refused unless a ping is answered and a badly signed one is not, as Discord does. `ca`: PEM */
  setEndpoint(url: string, ca?: string): Promise<void>
}

export async function discordServer(): Promise<DiscordServer> {
  const house = newDiscordHouse()
  const server = createServer((request, response) => {
    void readBody(request).then((body) => {
      const answer = discordApi(house, {
        method: request.method ?? '',
        path: (request.url ?? '').replace(/^\/api\/v10/, ''),
        authorization: request.headers.authorization ?? '',
        type: request.headers['content-type'] ?? '',
        body,
      })
      send(response, answer)
    })
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/v10`,
    house,
    person: (name, guild = house.guildId) => new DiscordPerson(house, name, guild),
    async setEndpoint(url, ca) {
      await pingEndpoint(house, url, ca)
      house.endpoint = { url, ca }
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}

function send(response: ServerResponse, { status, headers, body, hang, never }: ApiAnswer): void {
  if (never) return
  if (hang) {
    response.destroy()
    return
  }
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(body === null ? undefined : JSON.stringify(body))
}
