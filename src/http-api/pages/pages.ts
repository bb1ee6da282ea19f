import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { REFUSALS } from '../../contract/errors.ts'
import { Bug, Refused } from '../../foundation/errors.ts'
import { confirmPage, sendConfirmation } from './confirm-page.ts'
import { sentence } from './fields.ts'
import { html, page, PAGE_HEADERS } from './html.ts'
import { linkPage, sendLink } from './link-page.ts'
import { FORM_LIMIT } from './page-form.ts'
import type { KnownServices, PageServices } from './page-services.ts'
import { requestPage, sendRequestPage } from './request-page.ts'

export type PageAnswer = { readonly title: string; readonly body: ReturnType<typeof html>; readonly status?: number }
type Answer = (services: KnownServices, request: FastifyRequest, reply: FastifyReply) => Promise<PageAnswer>

/**
 * Pages that messages lead to: small, rendered here, without script. Looking at one changes nothing, however it is done and by
 * whom (previews, scanners of mail, prefetching); what is sent by its form is proven by a second factor or a password.
 */
export function answerPages(
  app: FastifyInstance,
  services: PageServices,
  addressOf: (request: FastifyRequest) => string,
): void {
  const known = { ...services, addressOf }
  app.register((scope, _options, done) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser(
      'application/x-www-form-urlencoded',
      { parseAs: 'buffer', bodyLimit: FORM_LIMIT },
      (_request, body, parsed) => parsed(null, body),
    )
    scope.setErrorHandler((error, _request, reply) => sendPage(reply, failed(error, services)))
    const serve = (url: string, look: Answer, send: Answer): void => {
      scope.route({ method: ['GET', 'HEAD'], url, handler: async (q, a) => sendPage(a, await look(known, q, a)) })
      scope.route({
        ...{ method: 'POST', url, bodyLimit: FORM_LIMIT },
        handler: async (q, a) => sendPage(a, await send(known, q, a)),
      })
    }
    serve('/confirm/:token', confirmPage, sendConfirmation)
    serve('/link/:code', linkPage, sendLink)
    serve('/r/:id', requestPage, sendRequestPage)
    done()
  })
}

function sendPage(reply: FastifyReply, { title, body, status = 200 }: PageAnswer): FastifyReply {
  return reply.headers(PAGE_HEADERS).code(status).send(page(title, body))
}

function failed(error: unknown, { log }: PageServices): PageAnswer {
  if (error instanceof Refused) {
    const { message, hint } = error
    const body = html`<p class="wrong" role="alert">${sentence(message)}</p>
      ${hint === undefined ? null : html`<p>${sentence(hint)}</p>`}`
    return { title: 'This did not work', body, status: REFUSALS[error.code][0] }
  }
  const isTheirs = error instanceof Error && 'statusCode' in error && Number(error.statusCode) < 500
  if (isTheirs) return { title: 'This did not work', body: html`<p>The form could not be read.</p>`, status: 400 }
  log.error({ err: error instanceof Bug || error instanceof Error ? error.stack : String(error) }, 'a page failed')
  return { title: 'This did not work', body: html`<p>Something failed inside the daemon.</p>`, status: 500 }
}
