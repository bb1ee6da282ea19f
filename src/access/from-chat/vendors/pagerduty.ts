import { createHmac, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import type { RawCallback } from '../../../contract/from-chat.ts'
import { PagerDutySecrets, PagerDutySettings } from '../../../contract/vendors/pagerduty.ts'
import type { ChatVerifier, Verified } from '../chat-verifier.ts'

/** Webhooks carry no time in what is signed; PagerDuty tries for less than this. */
const OLDEST_MS = 49 * 3_600_000
const MOST_SIGNATURES = 10
const COMMAND = /^\/access (link(?: [A-Za-z0-9._-]{1,63})?|unlink)$/

const Webhook = z.object({
  event: z.object({
    id: z.string().min(1).max(200),
    event_type: z.string(),
    occurred_at: z.string(),
    agent: z.object({ id: z.string().min(1).max(100), type: z.string(), summary: z.string().nullish() }).nullish(),
    data: z.unknown(),
  }),
})
const Annotation = z.object({ content: z.string(), incident: z.object({ id: z.string() }) })

/**
 * Acknowledging and resolving are everyday triage and never mean yes: nothing is decided by a webhook. A note `/access link NAME` of
 * a person begins linking the account, `/access unlink` parts it.
 */
export const pagerDutyVerifier: ChatVerifier = {
  vendor: 'pagerduty',
  verify(callback, opened, parts): Verified {
    const settings = PagerDutySettings.parse(opened.settings)
    const secrets = PagerDutySecrets.parse(opened.secrets)
    if (!isSigned(callback, secrets.webhook_secrets)) return { kind: 'rejected', why: 'signature' }
    const subscription = callback.headers['x-webhook-subscription']
    if (settings.webhook_subscription !== undefined && subscription !== settings.webhook_subscription)
      return { kind: 'rejected', why: 'other_subscription' }
    const parsed = Webhook.safeParse(parsedJson(callback.body))
    if (!parsed.success) return { kind: 'ignored', why: 'no event' }
    const { id, event_type: type, occurred_at: at, agent, data } = parsed.data.event
    if (!(parts.now - Date.parse(at) < OLDEST_MS)) return { kind: 'ignored', why: 'too old' }
    // Automation has no agent, or one that is no user.
    if (agent?.type !== 'user_reference') return { kind: 'ignored', why: 'no person' }
    const note = Annotation.safeParse(data)
    if (type !== 'incident.annotated' || !note.success) return { kind: 'ignored', why: 'nothing is decided here' }
    const command = COMMAND.exec(note.data.content.trim())?.[1]
    if (command === undefined) return { kind: 'ignored', why: 'a note' }
    const account = { tenant: settings.account, id: agent.id, name: agent.summary ?? agent.id }
    return { kind: 'event', event: { eventId: id, account, act: { kind: 'command', text: command } } }
  },
}

/** `X-PagerDuty-Signature: v1=HEX,v1=HEX` over the exact bytes: one good one suffices, while a secret is changed. */
function isSigned({ via, headers, body }: RawCallback, secrets: readonly string[]): boolean {
  if (via !== 'http') return false
  const given = (headers['x-pagerduty-signature'] ?? '')
    .split(',')
    .slice(0, MOST_SIGNATURES)
    .flatMap((text) => /^\s*v1=([0-9a-f]{64})\s*$/i.exec(text)?.[1] ?? [])
  return secrets.some((secret) => {
    const wanted = createHmac('sha256', secret).update(body).digest()
    return given.some((hex) => timingSafeEqual(Buffer.from(hex, 'hex'), wanted))
  })
}

function parsedJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString('utf8')) as unknown
  } catch {
    return undefined
  }
}
