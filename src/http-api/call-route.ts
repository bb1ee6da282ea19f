import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Readable } from 'node:stream'
import { z } from 'zod'
import { CONTRACT_VERSION, routes } from '../contract/routes.ts'
import type { Route, RouteName } from '../contract/routes.ts'
import type { Confirmation } from '../audit/confirmation.ts'
import type { Clock } from '../foundation/clock.ts'
import { Bug, Refused } from '../foundation/errors.ts'
import type { Log } from '../foundation/log.ts'
import { setAnswerHeaders } from './answer-headers.ts'
import { actorOf, checkAccess, checkOperator } from './caller.ts'
import type { PageServices } from './pages/page-services.ts'
import type { AnswerCallback } from './callbacks.ts'
import type { Caller, MayOperate, ServiceCaller, SignedInCaller } from './caller.ts'
import { actionOf, demandFresh, demandStepUp, isFresh } from './freshness.ts'
import type { CheckStepUp } from './freshness.ts'
import type { CallContext, Handler, Handlers, LineStream } from './handler.ts'
import { parsePart } from './parse-part.ts'
import { readJson } from './read-json.ts'

export interface ApiOptions {
  readonly handlers: Handlers
  /** Finds a bearer token's login session. Throws Refused when it is unknown, ended, disabled or locked. */
  readonly authenticate: (token: string, address: string) => Promise<SignedInCaller>
  /** The same for the token of a service account; null: it is none. Left out: none is taken. */
  readonly authenticateService?: (token: string, address: string) => Promise<ServiceCaller | null>
  readonly mayOperate: MayOperate
  readonly checkStepUp: CheckStepUp
  /** Somebody signed in was refused what only operators may, or a service account what its token does not name */
  readonly reportRefused: (caller: RefusedCaller, route: RouteName) => void
  /** Origins of our own web page, `https://host:port`. Browsers elsewhere may not change anything. */
  readonly origins: readonly string[]
  /** Answers what vendors send; left out: nothing comes in */
  readonly callbacks?: AnswerCallback
  /** Callbacks within a minute that may turn out not to be authentic, per address and integration. Default 100. */
  readonly forgedCallbacks?: number
  /** What the pages need that messages lead to; left out: there are none */
  readonly pages?: PageServices
  /** What keeps the daemon from working; empty = ready */
  readonly notReady: () => Promise<readonly string[]>
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>
  readonly publicMetrics?: boolean
  /** How long a call may take until its answer begins. Default 30 s. */
  readonly deadlineMs?: number
  readonly clock: Clock
  readonly log: Log
}

export type RefusedCaller = Extract<Caller, { kind: 'user' | 'service' }>

export interface Listening {
  readonly options: ApiOptions
  readonly local: boolean
  readonly stopping: AbortSignal
  readonly addressOf: (request: FastifyRequest) => string
}

const callers = new WeakMap<FastifyRequest, Caller>()
const NO_BODY = Buffer.alloc(0)

/** Registers one route of the contract: who, version and origin before the body is read; then body, freshness, handler. */
export function callRoute(app: FastifyInstance, name: RouteName, listening: Listening): void {
  const route: Route = routes[name]
  const { options } = listening
  app.route({
    method: route.method,
    url: route.path,
    onRequest: async (request) => {
      checkContractVersion(request, route)
      if (!listening.local) checkOrigin(request, route, options.origins)
      callers.set(request, await admit(request, name, listening))
    },
    handler: async (request, reply) => {
      // A body may take its time: who was signed in when it began may not be when it is there.
      const caller = request.body === undefined ? callers.get(request) : await admit(request, name, listening)
      const handler = options.handlers[name] as Handler<RouteName> | undefined
      if (!caller || !handler) throw new Refused('not_found', 'this daemon does not serve that route')
      return await withDeadline(request, reply, listening, async (signal) => {
        const body = request.body instanceof Buffer ? request.body : NO_BODY
        const input = parseInput(route, request, body)
        const action = actionOf(request.method, request.url, body)
        const token = stepUpToken(request)
        const found = route.fresh ? await demandStepUp(caller, action, token, options.checkStepUp) : null
        const confirmation = found && new SeenConfirmation(found)
        const call = { name, request, caller, signal, action, confirmation }
        const answer = await handler(contextOf(call, token, listening), input as Parameters<Handler<RouteName>>[1])
        if (confirmation?.wasAsked === false) throw new Bug(`${name} was done without using up its confirmation`)
        return answer
      }).then((answer) => sendAnswer(route, answer, reply, options.log))
    },
  })
}

/** One version apart must work. Calls that change something must say theirs, which no foreign web page can. */
function checkContractVersion(request: FastifyRequest, route: Route): void {
  const given = request.headers['sallyport-contract']
  if (given === undefined) {
    if (route.method === 'GET') return
    throw new Refused(
      'malformed',
      'the header sallyport-contract is missing',
      `send sallyport-contract: ${CONTRACT_VERSION}`,
    )
  }
  if (typeof given !== 'string' || !/^\d{1,6}$/.test(given) || Math.abs(Number(given) - CONTRACT_VERSION) > 1)
    throw new Refused(
      'version_mismatch',
      `this daemon speaks contract ${CONTRACT_VERSION}`,
      'update sally and sallyctl',
    )
}

function checkOrigin(request: FastifyRequest, route: Route, origins: readonly string[]): void {
  const { origin } = request.headers
  if (route.method === 'GET' || origin === undefined) return
  if (!origins.includes(origin)) throw new Refused('not_allowed', 'calls from that web page are refused')
}

async function admit(request: FastifyRequest, name: RouteName, listening: Listening): Promise<Caller> {
  const route: Route = routes[name]
  const caller = await identify(request, route, listening)
  await tellingRefusal(caller, name, listening, () => checkAccess(route, caller, listening.options.mayOperate))
  return caller
}

async function tellingRefusal(
  caller: Caller,
  name: RouteName,
  { options }: Listening,
  check: () => Promise<void>,
): Promise<void> {
  try {
    await check()
  } catch (error) {
    if (
      (caller.kind === 'user' || caller.kind === 'service') &&
      error instanceof Refused &&
      error.code === 'not_allowed'
    )
      options.reportRefused(caller, name)
    throw error
  }
}

async function identify(request: FastifyRequest, route: Route, listening: Listening): Promise<Caller> {
  if (listening.local) return { kind: 'local' }
  const { authorization } = request.headers
  if (route.access.who === 'anyone' || authorization === undefined) return { kind: 'anonymous' }
  const token = /^Bearer ([A-Za-z0-9_-]{1,200})$/.exec(authorization)?.[1]
  if (token === undefined)
    throw new Refused('not_signed_in', 'the Authorization header is malformed', 'run: sally login')
  const address = listening.addressOf(request)
  const service = await listening.options.authenticateService?.(token, address)
  if (service) return { kind: 'service', ...service }
  return { kind: 'user', ...(await listening.options.authenticate(token, address)) }
}

function parseInput(route: Route, request: FastifyRequest, body: Buffer): Record<string, unknown> {
  return {
    params: request.params,
    query: parsePart('query', route.query ?? z.strictObject({}), request.query),
    body: parsePart('body', route.body ?? z.undefined(), body.length === 0 ? undefined : readJson(body)),
  }
}

function stepUpToken(request: FastifyRequest): string | undefined {
  const token = request.headers['sallyport-step-up']
  return typeof token === 'string' ? token.slice(0, 200) : undefined
}

interface Call {
  readonly name: RouteName
  readonly request: FastifyRequest
  readonly caller: Caller
  readonly signal: AbortSignal
  readonly action: string
  readonly confirmation: Confirmation | null
}

/** A route that demands a confirmation and forgets to use it up must not go unnoticed. */
class SeenConfirmation implements Confirmation {
  readonly #confirmation: Confirmation
  wasAsked = false

  constructor(confirmation: Confirmation) {
    this.#confirmation = confirmation
  }

  get checkedAt(): number {
    return this.#confirmation.checkedAt
  }

  spend(...args: Parameters<Confirmation['spend']>): Promise<void> {
    this.wasAsked = true
    return this.#confirmation.spend(...args)
  }
}

function contextOf(call: Call, token: string | undefined, listening: Listening): CallContext {
  const { options, local, addressOf } = listening
  const { caller, request, signal, action, confirmation } = call
  return {
    actor: actorOf(caller),
    login: loginOf(caller),
    stillAdmitted: async () => void (await admit(request, call.name, listening)),
    local,
    address: addressOf(request),
    signal,
    requireOperator: (resource, verb) =>
      tellingRefusal(caller, call.name, listening, () => checkOperator(caller, resource, verb, options.mayOperate)),
    requireFresh: async () => await demandFresh(caller, action, token, options.checkStepUp, options.clock.now()),
    confirmation,
    isFresh: isFresh(caller, token, options.clock.now()),
    log: options.log.child({ route: request.routeOptions.url }),
  }
}

/** Deeds of a service account name its token where those of people name their login session. */
function loginOf(caller: Caller): CallContext['login'] {
  if (caller.kind === 'service') return { id: caller.tokenId, userId: caller.user.id, secondFactorAt: null }
  if (caller.kind !== 'user') return null
  return { id: caller.loginId, userId: caller.user.id, secondFactorAt: caller.secondFactorAt }
}

/** Aborts the call's signal when the caller hangs up, the daemon stops, or the answer has not begun in time. */
async function withDeadline<T>(
  request: FastifyRequest,
  reply: FastifyReply,
  { options, stopping }: Listening,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController()
  const late = new Refused('store_unavailable', 'the daemon took too long', 'try again')
  const timer = options.clock.after(options.deadlineMs ?? 30_000, () => controller.abort(late))
  const hungUp = (): void => controller.abort(new Refused('shutting_down', 'the caller hung up'))
  const stop = (): void => controller.abort(stopping.reason)
  request.raw.socket.once('close', hungUp)
  if (stopping.aborted) stop()
  else stopping.addEventListener('abort', stop)
  reply.raw.once('close', () => {
    request.raw.socket.off('close', hungUp)
    stopping.removeEventListener('abort', stop)
  })
  const aborted = new Promise<never>((_resolve, reject) => {
    controller.signal.addEventListener('abort', () => {
      if (controller.signal.reason === late) reject(late)
    })
  })
  try {
    return await Promise.race([work(controller.signal), aborted])
  } finally {
    timer.cancel()
  }
}

function isLineStream(answer: unknown): answer is LineStream {
  return (
    typeof answer === 'object' && answer !== null && 'lines' in answer && Symbol.asyncIterator in Object(answer.lines)
  )
}

/** Whatever the schema does not name is left out of the answer. */
function sendAnswer(route: Route, answer: unknown, reply: FastifyReply, log: Log): FastifyReply {
  setAnswerHeaders(reply).code(200)
  if (!isLineStream(answer)) return reply.send(route.answer.parse(answer))
  // A failure in the middle cuts the chunked body, so that the caller sees that something is missing.
  const stream = Readable.from(asLines(answer.lines), { objectMode: true, highWaterMark: 16 })
  stream.on('error', (error) => log.warn({ err: error.message }, 'a stream of lines failed'))
  return reply.type('application/x-ndjson').send(stream)
}

async function* asLines(lines: AsyncIterable<unknown>): AsyncGenerator<string> {
  for await (const line of lines) yield `${JSON.stringify(line)}\n`
}
