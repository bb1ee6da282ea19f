import { z } from 'zod'
import { WebhookSecrets, WebhookSettings } from '../../../contract/vendors/webhook.ts'
import { verifyWebhook } from '../../../formats/standard-webhook.ts'
import type { ChatVerifier, Verified } from '../chat-verifier.ts'

/** One workspace for all: the names of service accounts are ours. */
export const WEBHOOK_TENANT = 'sallyport'

/** `message` and `shown` as a webhook of ours named them. `reviewer` may be left out where the settings name one alone. */
const Decision = z.object({
  type: z.literal('request.review'),
  data: z.object({
    message: z.string().min(1).max(200),
    shown: z.string().min(1).max(200).optional(),
    decision: z.enum(['approve', 'deny']),
    reviewer: z.string().max(63).optional(),
    reason: z.string().max(4096).default(''),
  }),
})

/** Signed by Standard Webhooks with a secret of its own; `webhook-id` makes a repetition known. */
export const webhookVerifier: ChatVerifier = {
  vendor: 'webhook',
  verify({ via, headers, body }, opened, { now }): Verified {
    const { reviewers } = WebhookSettings.parse(opened.settings)
    const { inbound_secrets: secrets = [] } = WebhookSecrets.parse(opened.secrets)
    if (via !== 'http' || secrets.length === 0) return { kind: 'rejected', why: 'signature' }
    const verdict = verifyWebhook(secrets, headers, body, now)
    if (!verdict.ok) return { kind: 'rejected', why: verdict.why }
    const read = Decision.safeParse(jsonOf(body))
    if (!read.success) return { kind: 'ignored', why: 'no decision' }
    const { message, shown, decision, reviewer, reason } = read.data.data
    const name = reviewer ?? (reviewers.length === 1 ? reviewers[0] : undefined)
    if (name === undefined || !reviewers.includes(name)) return { kind: 'rejected', why: 'unknown_reviewer' }
    const account = { tenant: WEBHOOK_TENANT, id: name, name }
    const which = shown === undefined ? {} : { shown }
    const act = { kind: 'moved', message, decision, reason, ...which } as const
    return { kind: 'event', event: { eventId: verdict.id, account, act } }
  },
}

function jsonOf(body: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString('utf8')) as unknown
  } catch {
    return null
  }
}
