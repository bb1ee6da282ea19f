import { randomBytes } from 'node:crypto'
import type { FastifyError } from 'fastify'
import type { ErrorBody } from '../contract/common.ts'
import { REFUSALS } from '../contract/errors.ts'
import { Refused } from '../foundation/errors.ts'
import type { Log } from '../foundation/log.ts'

export interface ErrorAnswer {
  readonly status: number
  readonly body: ErrorBody
}

/** A refusal tells its code and text. Anything else is our fault: the caller gets an id that finds the log line, and no text. */
export function errorAnswer(error: unknown, log: Log): ErrorAnswer {
  const refusal = error instanceof Refused ? error : refusalOfServer(error)
  if (refusal) return { status: REFUSALS[refusal.code][0], body: refusalBody(refusal) }
  const id = randomBytes(8).toString('hex')
  log.error(
    { id, err: error instanceof Error ? { message: error.message, stack: error.stack } : String(error) },
    'call failed',
  )
  return { status: 500, body: { error: { code: 'internal', message: 'something failed inside the daemon', id } } }
}

function refusalBody({ code, message, hint, details }: Refused): ErrorBody {
  return {
    error: {
      code,
      message,
      ...(hint === undefined ? {} : { hint }),
      ...(Object.keys(details).length === 0 ? {} : { details: { ...details } }),
    },
  }
}

/** What the HTTP server itself refuses. */
function refusalOfServer(error: unknown): Refused | null {
  if (!(error instanceof Error) || !('code' in error)) return null
  const { code, statusCode } = error as FastifyError
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return new Refused('too_large', 'the body is larger than 1 MiB')
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return new Refused('malformed', 'send application/json')
  const isTheirs = code.startsWith('FST_ERR_') && statusCode !== undefined && statusCode >= 400 && statusCode < 500
  return isTheirs ? new Refused('malformed', 'the request is malformed') : null
}
