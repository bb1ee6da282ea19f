import { z } from 'zod'
import { Name } from '../common.ts'
import { Secret } from './common.ts'
import { ServiceUrl } from './service-url.ts'

/** `whsec_` and base64 of 24 to 64 bytes, as Standard Webhooks 1.0.0 has it. */
export const WebhookSecret = Secret.max(200).regex(
  /^whsec_[A-Za-z0-9+/]{32,86}={0,2}$/,
  'whsec_ and base64 of 24 to 64 bytes: whsec_$(openssl rand -base64 32)',
)

export const WebhookSettings = z.strictObject({
  url: ServiceUrl,
  /** Whole requests with reasons; else ids, names and states */
  full: z.boolean().default(false),
  /** Service accounts whose decisions this address may bring back; empty: none are taken */
  reviewers: z.array(Name).max(20).default([]),
})
export type WebhookSettings = z.infer<typeof WebhookSettings>

export const WebhookSecrets = z.strictObject({
  /** What we sign with, the newest first; two while one is replaced */
  signing_secrets: z.array(WebhookSecret).min(1).max(4),
  /** What decisions that come back are signed with; absent: none are taken */
  inbound_secrets: z.array(WebhookSecret).min(1).max(4).optional(),
})
export type WebhookSecrets = z.infer<typeof WebhookSecrets>
