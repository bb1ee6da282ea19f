import { z } from 'zod'
import { RolePattern, DurationText } from '../role.ts'

export const VENDORS = ['slack', 'mattermost', 'jira', 'pagerduty', 'email', 'webhook', 'teams', 'discord'] as const
export const Vendor = z.enum(VENDORS)
export type Vendor = z.infer<typeof Vendor>

/** Write-only: never printed. Absent in a change: as it was. */
export const Secret = z.string().min(1).max(16_384)

/** Whom an integration tells of which requests. */
export const DeliverRule = z.strictObject({
  /** Roles of requests, as patterns of roles are written */
  roles: z.array(RolePattern).min(1).max(200).default(['*']),
  /** The vendor's ids of channels, projects or services, or mail addresses: never names, which others can take over */
  channels: z.array(z.string().min(1).max(320)).max(50).default([]),
  /** Everybody who could vote, one by one */
  reviewers: z.boolean().default(false),
  /** The requester, at each step */
  requester: z.boolean().default(false),
  /**
   * Only when nobody has answered for so long. A reviewer whom the integrations before this one cannot reach is told at once.
   * Absent: with the request.
   */
  after: DurationText.optional(),
})
export type DeliverRule = z.infer<typeof DeliverRule>

/** What every integration has besides its vendor's settings and secrets. */
export const deliverySettings = {
  /** False: nothing is sent and nothing taken in */
  enabled: z.boolean().default(true),
  deliver: z.array(DeliverRule).max(50).default([]),
  /** Reasons stay out of this vendor's messages */
  omit_reason: z.boolean().default(false),
  /** CIDRs inside private networks that this integration may reach; else nothing private is connected to */
  allow_networks: z.array(z.string().max(50)).max(20).default([]),
}
