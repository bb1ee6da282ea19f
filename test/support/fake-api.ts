import type { Transport, TransportRequest } from '../../src/contract/client.ts'
import { REFUSALS } from '../../src/contract/errors.ts'
import { CONTRACT_VERSION, routes, type Route, type RouteName } from '../../src/contract/routes.ts'
import { Refused } from '../../src/foundation/errors.ts'
import type { Handler, HandlerInput } from '../../src/http-api/handler.ts'

type FakeHandler<K extends RouteName> = (
  input: HandlerInput<K>,
  call: FakeCall,
) => Awaited<ReturnType<Handler<K>>> | Promise<Awaited<ReturnType<Handler<K>>>>
export type FakeHandlers = { readonly [K in RouteName]?: FakeHandler<K> }

export interface FakeCall {
  readonly route: RouteName
  readonly request: TransportRequest
  readonly body: unknown
}

export interface FakeApi {
  readonly transport: Transport
  /** Every call, in order. */
  readonly calls: readonly FakeCall[]
}

/** What a handler of the fake does to say no. */
export function refuse(...args: ConstructorParameters<typeof Refused>): never {
  throw new Refused(...args)
}

/** An API in this process that holds both sides to the contract: paths, queries, bodies and answers. */
export function fakeApi(handlers: FakeHandlers): FakeApi {
  const calls: FakeCall[] = []
  const transport: Transport = async (request) => {
    const { name, route, params, query } = match(request)
    const body: unknown = request.body === null ? undefined : JSON.parse(new TextDecoder().decode(request.body))
    const call: FakeCall = { route: name, request, body }
    calls.push(call)
    const handler = handlers[name] as ((input: unknown, call: FakeCall) => unknown) | undefined
    if (handler === undefined) throw new Error(`the test gives no answer for ${name}`)
    try {
      const input = { params, query: route.query?.parse(query), body: route.body?.parse(body) }
      const answer = await handler(input, call)
      if (isStream(answer)) return reply(200, lines(answer.lines))
      return reply(200, [JSON.stringify(route.answer.parse(answer))])
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      const { code, message, hint } = error
      return reply(REFUSALS[code][0], [JSON.stringify({ error: { code, message, hint } })])
    }
  }
  return { transport, calls }
}

function match(request: TransportRequest): {
  name: RouteName
  route: Route
  params: Record<string, string>
  query: Record<string, string>
} {
  const url = new URL(request.target, 'http://fake')
  for (const [name, route] of Object.entries(routes as Record<RouteName, Route>)) {
    if (route.method !== request.method) continue
    const pattern = new RegExp(`^${route.path.replace(/:([a-z]+)/g, '(?<$1>[^/]+)')}$`)
    const found = pattern.exec(url.pathname)
    if (found === null) continue
    const params = Object.fromEntries(Object.entries(found.groups ?? {}).map(([k, v]) => [k, decodeURIComponent(v)]))
    return { name: name as RouteName, route, params, query: Object.fromEntries(url.searchParams) }
  }
  throw new Error(`no route takes ${request.method} ${request.target}`)
}

function isStream(answer: unknown): answer is { lines: AsyncIterable<unknown> } {
  if (typeof answer !== 'object' || answer === null || !('lines' in answer)) return false
  return Symbol.asyncIterator in Object(answer.lines)
}

async function* lines(values: AsyncIterable<unknown>): AsyncGenerator<string> {
  for await (const value of values) yield `${JSON.stringify(value)}\n`
}

/** In pieces of a few bytes: a client must not take a chunk for a message. */
function reply(status: number, parts: Iterable<string> | AsyncIterable<string>): Awaited<ReturnType<Transport>> {
  return { status, contract: String(CONTRACT_VERSION), body: inPieces(parts) }
}

async function* inPieces(parts: Iterable<string> | AsyncIterable<string>): AsyncGenerator<Uint8Array> {
  for await (const part of parts) {
    const bytes = new TextEncoder().encode(part)
    for (let at = 0; at < bytes.length; at += 997) yield bytes.subarray(at, at + 997)
  }
}
