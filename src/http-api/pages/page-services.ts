import type { FastifyRequest } from 'fastify'
import type { ConfirmParts } from '../../access/from-chat/confirm-review.ts'
import type { Log } from '../../foundation/log.ts'
import type { Passwords } from '../../identity/passwords.ts'

export interface PageServices extends ConfirmParts {
  readonly passwords: Passwords
  readonly log: Log
}

export interface KnownServices extends PageServices {
  readonly addressOf: (request: FastifyRequest) => string
}

export const paramOf = (request: FastifyRequest, name: string): string =>
  (request.params as Readonly<Record<string, string>>)[name] ?? ''
