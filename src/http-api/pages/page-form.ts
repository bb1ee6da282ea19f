import { randomBytes, timingSafeEqual } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Refused } from '../../foundation/errors.ts'
import { html, type Html } from './html.ts'

export const FORM_LIMIT = 32_768
const MOST_FIELDS = 20
const COOKIE = '__Host-sallyport-form'

/**
 * The browser that sends a form is the one that was given it: a value in the form and the same in a cookie of its own. `Lax`, so that a
 * second page opened from chat keeps the value of the first; no form of another site comes with the cookie either way.
 */
export function newFormMark(request: FastifyRequest, reply: FastifyReply): Html {
  const mark = markOf(request) ?? randomBytes(24).toString('base64url')
  reply.header('set-cookie', `${COOKIE}=${mark}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=1200`)
  return html`<input type="hidden" name="mark" value="${mark}" />`
}

/** Fields as typed; of repeated ones the first. Errors: Refused('malformed' | 'not_allowed'). */
export function readForm(request: FastifyRequest): ReadonlyMap<string, string> {
  const body = request.body instanceof Buffer ? request.body : Buffer.alloc(0)
  const fields = new Map<string, string>()
  for (const [name, value] of new URLSearchParams(body.toString('utf8'))) {
    if (fields.size >= MOST_FIELDS) throw new Refused('malformed', 'the form has too many fields')
    if (!fields.has(name)) fields.set(name, value)
  }
  refuseForeign(request, fields.get('mark') ?? '')
  return fields
}

function refuseForeign(request: FastifyRequest, mark: string): void {
  const { origin, host } = request.headers
  const site = request.headers['sec-fetch-site']
  const isForeign =
    (origin !== undefined && origin !== `https://${host ?? ''}`) ||
    (site !== undefined && site !== 'same-origin' && site !== 'none')
  const own = markOf(request)
  if (isForeign || own === null || !same(own, mark))
    throw new Refused('not_allowed', 'this form was not opened in this browser', 'open the page again')
}

function markOf(request: FastifyRequest): string | null {
  const found = /(?:^|;\s*)__Host-sallyport-form=([A-Za-z0-9_-]{32})(?:;|$)/.exec(request.headers.cookie ?? '')
  return found?.[1] ?? null
}

function same(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)]
  return a.length === b.length && timingSafeEqual(a, b)
}
