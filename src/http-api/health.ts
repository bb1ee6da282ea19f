import type { FastifyInstance } from 'fastify'
import { setAnswerHeaders } from './answer-headers.ts'
import type { ApiOptions } from './call-route.ts'

/** `/healthz`: the process answers. `/readyz`: it can do its work. `/metrics`: Prometheus text, on the admin socket. */
export function answerHealth(app: FastifyInstance, options: ApiOptions, local: boolean): void {
  app.get('/healthz', (_request, reply) => setAnswerHeaders(reply).send({ ok: true }))
  app.get('/readyz', async (_request, reply) => {
    const missing = await options.notReady()
    // What is missing is told to the admin alone.
    const body = { ok: missing.length === 0, ...(local ? { missing } : {}) }
    return setAnswerHeaders(reply)
      .code(missing.length === 0 ? 200 : 503)
      .send(body)
  })
  if (!local && options.publicMetrics !== true) return
  app.get('/metrics', async (_request, reply) => {
    const { contentType, text } = await options.metrics()
    return setAnswerHeaders(reply).type(contentType).send(text)
  })
}
