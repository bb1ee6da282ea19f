import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { CallbackAnswer, RawCallback } from '../contract/from-chat.ts'
import { Refused } from '../foundation/errors.ts'
import { setAnswerHeaders } from './answer-headers.ts'
import type { ForgedPace } from './forged-pace.ts'

export const CALLBACK_LIMIT = 262_144
const TYPES = ['application/json', 'application/x-www-form-urlencoded', 'text/plain']
/** Under which names that are none are counted together */
const NO_INTEGRATION = ''
const PATH = '/v1/callbacks/:integration/:path'

/** Answers a vendor; null: there is no such integration, or nothing comes in to it. */
export type AnswerCallback = (callback: RawCallback, signal: AbortSignal) => Promise<CallbackAnswer | null>

export interface CallbackSurroundings {
  readonly stopping: AbortSignal
  readonly pace: ForgedPace
  readonly addressOf: (request: FastifyRequest) => string
}

/**
 * What vendors send. Anybody may call it: who sent something is in its signature, over the exact bytes, so that nothing is
 * parsed here. Not on the admin socket.
 */
export function answerCallbacks(
  app: FastifyInstance,
  answer: AnswerCallback,
  { stopping, pace, addressOf }: CallbackSurroundings,
): void {
  app.register((scope, _options, done) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser(TYPES, { parseAs: 'buffer', bodyLimit: CALLBACK_LIMIT }, (_request, body, parsed) =>
      parsed(null, body),
    )
    scope.post(PATH, { bodyLimit: CALLBACK_LIMIT }, async (request, reply) => {
      const callback = callbackOf(request)
      const given = await answer(callback, stopping)
      // Whoever sends what is not authentic, or tries names, keeps no connection of those that the vendor's address may have.
      if (!given || given.status === 401) {
        reply.header('connection', 'close')
        refuseFlood(pace.count(addressOf(request), given ? callback.integration : NO_INTEGRATION), reply)
      }
      if (!given) throw new Refused('not_found', 'there is no such route')
      setAnswerHeaders(reply).code(given.status)
      if (given.headers) reply.headers(given.headers)
      return reply.send(given.body ?? '')
    })
    done()
  })
}

/** `wait`: ms; null: not too many yet. Errors: Refused('too_many_attempts'). */
function refuseFlood(wait: number | null, reply: FastifyReply): void {
  if (wait === null) return
  const seconds = Math.ceil(wait / 1000)
  reply.header('retry-after', String(seconds))
  throw new Refused('too_many_attempts', 'too many calls that are not authentic', `try again in ${seconds} s`)
}

function callbackOf(request: FastifyRequest): RawCallback {
  const { integration = '', path = '' } = request.params as Readonly<Record<string, string>>
  const body = request.body instanceof Buffer ? request.body : Buffer.alloc(0)
  return { integration, path, headers: firstOf(request.raw.rawHeaders), body, via: 'http' }
}

/** Of repeated headers the first: which one a signature was checked in must not be a matter of taste. */
function firstOf(raw: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = Object.create(null) as Record<string, string>
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = (raw[at] ?? '').toLowerCase()
    headers[name] ??= raw[at + 1] ?? ''
  }
  return headers
}
