import type { FastifyReply } from 'fastify'
import { CONTRACT_VERSION } from '../contract/routes.ts'

const HEADERS = {
  'sallyport-contract': String(CONTRACT_VERSION),
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
}

export function setAnswerHeaders(reply: FastifyReply): FastifyReply {
  return reply.headers(HEADERS)
}
