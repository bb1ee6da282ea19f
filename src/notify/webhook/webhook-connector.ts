import { createHash } from 'node:crypto'
import type { CallbackAnswer, ChatOutcome, FromChat, RawCallback } from '../../contract/from-chat.ts'
import type { MessageTask } from '../../contract/message.ts'
import type { WebhookSecrets, WebhookSettings } from '../../contract/vendors/webhook.ts'
import { signWebhook } from '../../formats/standard-webhook.ts'
import { OutboundRefused, type OutboundAnswer } from '../../foundation/outbound-fetch.ts'
import { DeliveryFailed, type CheckLine, type Connector, type ConnectorParts } from '../connector.ts'
import { waitOf } from '../vendor-answer.ts'
import { webhookBody } from './webhook-body.ts'

/** An address of somebody's own program, by Standard Webhooks 1.0.0: signed, told again until it answers 2xx. */
export function webhookConnector(parts: ConnectorParts<WebhookSettings, WebhookSecrets>): Connector {
  const { settings, secrets, clock, fetch } = parts
  const post = async (id: string, body: string, signal: AbortSignal): Promise<OutboundAnswer> => {
    const headers = {
      'content-type': 'application/json',
      ...signWebhook(secrets.signing_secrets, id, clock.now(), body),
    }
    try {
      return await fetch(settings.url, { method: 'POST', headers, body, signal, statusOnly: true })
    } catch (error) {
      if (error instanceof OutboundRefused) throw new DeliveryFailed('integration', error.message)
      throw error
    }
  }
  return {
    vendor: 'webhook',
    async deliver(task: MessageTask, signal: AbortSignal): Promise<string> {
      const message = task.external ?? `wh_${task.onceId}`
      const body = webhookBody(task, message, settings.full)
      const answer = await post(idOf(task, message), body, signal)
      if (answer.status < 200 || answer.status > 299) throw failureOf(answer, clock.now())
      return message
    },
    async receive(callback: RawCallback, fromChat: FromChat): Promise<CallbackAnswer> {
      return answerOf(await fromChat.take(callback))
    },
    async check(_channels, signal): Promise<readonly CheckLine[]> {
      const now = clock.now()
      const body = JSON.stringify({ type: 'integration.check', timestamp: new Date(now).toISOString(), data: {} })
      const answer = await post(`check_${now}`, body, signal)
      const ok = answer.status >= 200 && answer.status < 300
      return [{ ok, text: `the address answered ${answer.status} to a signed integration.check` }]
    },
  }
}

/** The same with each attempt at the same state, another one with each state: receivers drop what they had. */
function idOf({ content, shown }: MessageTask, message: string): string {
  if (content.kind === 'notice') return message
  return `${message}_${createHash('sha256')
    .update(JSON.stringify([content, shown]))
    .digest('hex')
    .slice(0, 16)}`
}

function failureOf(answer: OutboundAnswer, now: number): DeliveryFailed {
  const { status } = answer
  if (status === 410) return new DeliveryFailed('integration', 'the address answered 410: it wants nothing more')
  const why = status >= 300 && status < 400 ? `${status}, and redirections are not followed` : String(status)
  const waits = status === 429 || status === 502 || status === 503 || status === 504
  return new DeliveryFailed('retry', `the address answered ${why}`, waits ? waitOf(answer, now, ['retry-after']) : null)
}

/** A sender repeats what is not answered 2xx: what was decided, or will never be, is answered so. */
function answerOf(outcome: ChatOutcome): CallbackAnswer {
  const json = (status: number, body: object): CallbackAnswer => ({
    status,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  switch (outcome.kind) {
    case 'rejected':
      return json(401, { error: 'not authentic' })
    case 'ignored':
      return json(200, { result: 'ignored', why: outcome.why })
    case 'done':
      return json(200, { result: 'done', text: outcome.text })
    case 'refused':
      return json(422, { result: 'refused', text: outcome.text })
    case 'form':
    case 'open':
      return json(422, { result: 'refused', text: 'this decision is made by a person, on a page' })
  }
}
