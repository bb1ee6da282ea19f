import { fastify } from 'fastify'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { chmodSync, lstatSync, mkdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { RequestListener, Server } from 'node:http'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { dirname } from 'node:path'
import { routes } from '../contract/routes.ts'
import type { RouteName } from '../contract/routes.ts'
import { Refused } from '../foundation/errors.ts'
import { answerCallbacks } from './callbacks.ts'
import { ForgedPace } from './forged-pace.ts'
import { callRoute } from './call-route.ts'
import type { ApiOptions } from './call-route.ts'
import { errorAnswer } from './error-answer.ts'
import { answerHealth } from './health.ts'
import { setAnswerHeaders } from './answer-headers.ts'
import { takePeerLine } from './peer-line.ts'
import type { Peer } from './peer-line.ts'
import { answerPages } from './pages/pages.ts'
import { BODY_LIMIT } from './read-json.ts'

export type { ApiOptions } from './call-route.ts'

export interface Api {
  /** Takes connections from relay workers, each behind a PEER line. The socket gets mode 0600. */
  serve(unixSocketPath: string): Promise<void>
  /** Takes the local admin's connections. The socket's folder is made 0700, or must be: ours, 0700 and no link. */
  serveAdmin(unixSocketPath: string): Promise<void>
  /** No new connections and calls; aborts waiting calls' signals; cuts what is left after `graceMs`. */
  close(graceMs?: number): Promise<void>
}

interface Listener {
  readonly app: FastifyInstance
  readonly server: Server
}

const REQUEST_MS = 30_000
const CLOSE_MS = 5000
const MOST_FORGED = 100

export function createApi(options: ApiOptions): Api {
  const stopping = new AbortController()
  const listeners: Listener[] = []
  const listen = async (path: string, local: boolean): Promise<void> => {
    await removeStaleSocket(path)
    const listener = buildListener(options, local, stopping.signal)
    listeners.push(listener)
    await listener.app.listen({ path })
    chmodSync(path, 0o600)
  }
  return {
    serve: async (path) => await listen(path, false),
    async serveAdmin(path) {
      checkAdminFolder(dirname(path))
      await listen(path, true)
    },
    async close(graceMs = CLOSE_MS) {
      stopping.abort(new Refused('shutting_down', 'the daemon is stopping', 'try again in a moment'))
      await Promise.all(listeners.map((listener) => closeListener(listener, graceMs, options)))
    },
  }
}

function buildListener(options: ApiOptions, local: boolean, stopping: AbortSignal): Listener {
  const peers = new WeakMap<Socket, Peer>()
  let server: Server | undefined
  const app = fastify({
    bodyLimit: BODY_LIMIT,
    trustProxy: false,
    exposeHeadRoutes: false,
    logger: false,
    routerOptions: { maxParamLength: 200 },
    serverFactory: (listener) => (server = httpServer(listener, local ? null : peers, options)),
    frameworkErrors: (error, request, reply) => void sendError(error, request, reply),
  })
  const sendError = (error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const { status, body } = errorAnswer(error, options.log.child({ route: request.routeOptions?.url ?? 'none' }))
    if (status === 401) reply.header('www-authenticate', 'Bearer')
    return setAnswerHeaders(reply).code(status).send(body)
  }
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  app.setErrorHandler((error, request, reply) => sendError(error, request, reply))
  app.setNotFoundHandler((request, reply) =>
    sendError(new Refused('not_found', 'there is no such route'), request, reply),
  )
  const addressOf = (request: FastifyRequest): string =>
    local ? 'local' : (peers.get(request.raw.socket)?.address ?? 'unknown')
  for (const name of Object.keys(routes) as RouteName[]) callRoute(app, name, { options, local, stopping, addressOf })
  answerHealth(app, options, local)
  const pace = new ForgedPace(options.clock, options.forgedCallbacks ?? MOST_FORGED)
  if (!local && options.callbacks) answerCallbacks(app, options.callbacks, { stopping, pace, addressOf })
  if (!local && options.pages) answerPages(app, options.pages, addressOf)
  if (!server) throw new Error('no server was made')
  return { app, server }
}

/** With `peers`, HTTP begins behind the PEER line; a connection without one is closed unanswered. */
function httpServer(listener: RequestListener, peers: WeakMap<Socket, Peer> | null, options: ApiOptions): Server {
  const server = createServer(
    {
      headersTimeout: 10_000,
      requestTimeout: REQUEST_MS,
      keepAliveTimeout: 60_000,
      maxHeaderSize: 16_384,
      noDelay: true,
    },
    listener,
  )
  server.maxHeadersCount = 100
  // WebSocket and CONNECT are no part of this API.
  server.on('upgrade', (_request, socket) => socket.destroy())
  server.on('connect', (_request, socket) => socket.destroy())
  if (!peers) return server
  const serveHttp = server.listeners('connection') as ((socket: Socket) => void)[]
  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket) => {
    const ignore = (): void => {}
    socket.on('error', ignore)
    void takePeerLine(socket, options.clock).then((peer) => {
      if (!peer || socket.destroyed) {
        socket.destroy()
        return
      }
      peers.set(socket, peer)
      for (const serve of serveHttp) serve.call(server, socket)
      socket.off('error', ignore)
    })
  })
  return server
}

async function closeListener({ app, server }: Listener, graceMs: number, { clock }: ApiOptions): Promise<void> {
  const cut = clock.after(graceMs, () => server.closeAllConnections())
  await app.close()
  cut.cancel()
}

/** A socket file that nobody answers on is left from a crash; anything else at that path is somebody's. */
async function removeStaleSocket(path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (!stat) return
  if (!stat.isSocket()) throw new Error(`${path} exists and is no socket`)
  const isAlive = await new Promise<boolean>((resolve) => {
    const probe = connect(path)
    probe.once('connect', () => resolve(true))
    probe.once('error', () => resolve(false))
    probe.once('close', () => probe.destroy())
    probe.once('connect', () => probe.destroy())
  })
  if (isAlive) throw new Error(`another daemon listens on ${path}`)
  rmSync(path)
}

/** Whoever may open the admin socket is the local admin: Node cannot ask the kernel who the peer is. */
export function checkAdminFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const stat = lstatSync(folder)
  if (!stat.isDirectory()) throw new Error(`${folder} must be a folder and no link`)
  if (stat.uid !== process.getuid?.()) throw new Error(`${folder} belongs to another user`)
  if ((stat.mode & 0o077) !== 0) throw new Error(`${folder} is open to others; run: chmod 700 ${folder}`)
}
