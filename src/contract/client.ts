// The typed client of the contract: nothing here knows how bytes travel, so it runs over TLS, the admin socket or a fake.
import type { z } from 'zod'
import { ApiError } from './api-error.ts'
import { ErrorBody } from './common.ts'
import { CONTRACT_VERSION, routes, type Route, type RouteName } from './routes.ts'

export interface TransportRequest {
  readonly method: Route['method']
  /** Path with query, percent-encoded. */
  readonly target: string
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array | null
  readonly signal?: AbortSignal
}

export interface TransportAnswer {
  readonly status: number
  /** The server's `sallyport-contract` header. */
  readonly contract: string | undefined
  readonly body: AsyncIterable<Uint8Array>
}

/** Rejects with ApiError('unreachable') when no answer arrives. */
export type Transport = (request: TransportRequest) => Promise<TransportAnswer>

type Routes = typeof routes
type PathNames<P extends string> = P extends `${string}:${infer Rest}`
  ? Rest extends `${infer Name}/${infer Tail}`
    ? Name | PathNames<Tail>
    : Rest
  : never
type Params<K extends RouteName> = [PathNames<Routes[K]['path']>] extends [never]
  ? { params?: never }
  : { params: Readonly<Record<PathNames<Routes[K]['path']>, string>> }
type Query<K extends RouteName> = Routes[K] extends { query: infer Q extends z.ZodType }
  ? { query?: Partial<z.output<Q>> }
  : { query?: never }
type Body<K extends RouteName> = Routes[K] extends { body: infer B extends z.ZodType }
  ? { body: z.input<B> }
  : { body?: never }

/** What a route takes; routes that need nothing take `{}`. */
export type CallInput<K extends RouteName> = Params<K> & Query<K> & Body<K> & { signal?: AbortSignal }
export type Answer<K extends RouteName> = z.output<Routes[K]['answer']>
export type Client = {
  readonly [K in Exclude<RouteName, 'playSession'>]: (input: CallInput<K>) => Promise<Answer<K>>
} & {
  /** One parsed JSON line after the other; the caller checks each against `PlayedRecord`. */
  playSession(input: CallInput<'playSession'>): AsyncIterable<unknown>
}

export interface ClientOptions {
  /** Bearer token of the login session; absent on the admin socket. */
  readonly token?: string
  /** Supplies a second-factor code for one call; absent: `step_up_required` goes to the caller. */
  readonly stepUpCode?: (call: { route: RouteName; method: string; path: string }) => Promise<string>
}

const LONGEST_ANSWER = 32 * 1024 * 1024
const LONGEST_LINE = 8 * 1024 * 1024

interface LooseInput {
  params?: Readonly<Record<string, string>>
  query?: Readonly<Record<string, unknown>>
  body?: unknown
  signal?: AbortSignal
}

interface Prepared {
  readonly name: RouteName
  readonly route: Route
  readonly path: string
  readonly request: TransportRequest
}

/**
 * `createClient(transport).showRequest({ params: { id } })`: every route is a method. Answers are checked against the
 * contract; anything that is not 2xx is thrown as ApiError.
 */
export function createClient(transport: Transport, options: ClientOptions = {}): Client {
  const exchange = async (prepared: Prepared): Promise<TransportAnswer> => {
    try {
      return await send(transport, prepared.request)
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== 'step_up_required' || !options.stepUpCode) throw error
      const code = await options.stepUpCode({
        route: prepared.name,
        method: prepared.route.method,
        path: prepared.path,
      })
      const token = await stepUp(transport, options, prepared, code)
      const headers = { ...prepared.request.headers, 'sallyport-step-up': token }
      return await send(transport, { ...prepared.request, headers })
    }
  }
  const methods = Object.keys(routes).map((key) => {
    const name = key as RouteName
    if (name === 'playSession') return [name, (input: LooseInput) => readLines(exchange, prepare(name, input, options))]
    return [
      name,
      async (input: LooseInput) => {
        const answer = await exchange(prepare(name, input, options))
        return parseAnswer(routes[name].answer, await readText(answer.body))
      },
    ]
  })
  return Object.fromEntries(methods) as Client
}

function prepare(name: RouteName, input: LooseInput, options: ClientOptions): Prepared {
  const route: Route = routes[name]
  const path = route.path.replace(/:([a-zA-Z]+)/g, (_, key: string) => encodeURIComponent(input.params?.[key] ?? ''))
  const search = new URLSearchParams()
  for (const [key, value] of Object.entries(input.query ?? {})) if (value !== undefined) search.set(key, String(value))
  const headers: Record<string, string> = { 'sallyport-contract': String(CONTRACT_VERSION), accept: 'application/json' }
  if (options.token !== undefined) headers['authorization'] = `Bearer ${options.token}`
  // Only with a body: servers refuse an empty one that calls itself JSON.
  if (input.body !== undefined) headers['content-type'] = 'application/json'
  const body = input.body === undefined ? null : new TextEncoder().encode(JSON.stringify(input.body))
  const target = search.size === 0 ? path : `${path}?${search.toString()}`
  const signal = input.signal === undefined ? {} : { signal: input.signal }
  return { name, route, path, request: { method: route.method, target, headers, body, ...signal } }
}

/** Trades a code for a token that is good for exactly this call: method, path and body bytes. */
async function stepUp(transport: Transport, options: ClientOptions, prepared: Prepared, code: string): Promise<string> {
  const head = new TextEncoder().encode(`${prepared.route.method} ${prepared.path}\n`)
  const action = await sha256Hex(head, prepared.request.body ?? new Uint8Array())
  const request = prepare('stepUp', { body: { action, code } }, options).request
  const answer = await send(transport, request)
  return parseAnswer(routes.stepUp.answer, await readText(answer.body)).token
}

async function sha256Hex(...parts: Uint8Array[]): Promise<string> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', whole))
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

async function send(transport: Transport, request: TransportRequest): Promise<TransportAnswer> {
  const answer = await transport(request)
  if (answer.status >= 200 && answer.status < 300) {
    checkContract(answer.contract)
    return answer
  }
  throw readError(answer.status, await readText(answer.body))
}

/** One version apart must work; a server that names none is taken as ours. */
function checkContract(theirs: string | undefined): void {
  if (theirs === undefined) return
  if (/^\d{1,6}$/.test(theirs) && Math.abs(Number(theirs) - CONTRACT_VERSION) <= 1) return
  throw new ApiError(
    'version_mismatch',
    `the proxy speaks contract version ${theirs.slice(0, 20)}, this program ${CONTRACT_VERSION}`,
    { hint: 'Install the version of the command line that belongs to the proxy.' },
  )
}

function readError(status: number, text: string): ApiError {
  const parsed = ErrorBody.safeParse(parseJson(text))
  if (!parsed.success) return new ApiError('bad_answer', `the proxy answered with status ${status} and no reason`)
  const { code, message, ...rest } = parsed.data.error
  return new ApiError(code, message, rest)
}

function parseAnswer<S extends z.ZodType>(schema: S, text: string): z.output<S> {
  const parsed = schema.safeParse(parseJson(text))
  if (parsed.success) return parsed.data
  const where = parsed.error.issues[0]?.path.join('.') ?? ''
  throw new ApiError('bad_answer', `the proxy's answer is not what the contract says${where ? ` (at ${where})` : ''}`)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

async function readText(body: AsyncIterable<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  let length = 0
  for await (const chunk of body) {
    length += chunk.length
    if (length > LONGEST_ANSWER) throw new ApiError('bad_answer', 'the answer is longer than 32 MiB')
    text += decoder.decode(chunk, { stream: true })
  }
  return text + decoder.decode()
}

async function* readLines(
  exchange: (prepared: Prepared) => Promise<TransportAnswer>,
  prepared: Prepared,
): AsyncGenerator<unknown> {
  const answer = await exchange(prepared)
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of answer.body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > LONGEST_LINE) throw new ApiError('bad_answer', 'a line of the recording is longer than 8 MiB')
    for (const line of lines) if (line !== '') yield readLine(line)
  }
  rest += decoder.decode()
  if (rest !== '') yield readLine(rest)
}

/** A line `{"error": ...}` is how a stream that has already begun tells that it failed. */
function readLine(line: string): unknown {
  const value = parseJson(line)
  const failure = ErrorBody.safeParse(value)
  if (failure.success) throw new ApiError(failure.data.error.code, failure.data.error.message, failure.data.error)
  if (value === undefined) throw new ApiError('bad_answer', 'a line of the recording is not JSON')
  return value
}
