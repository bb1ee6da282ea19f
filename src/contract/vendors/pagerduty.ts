import { z } from 'zod'
import { Name } from '../common.ts'
import { deliverySettings, Secret } from './common.ts'

/** `PT4KHLK`, `P1A2B3C`, or the longer ones of today. */
export const PagerDutyId = z.string().regex(/^[A-Z0-9]{5,40}$/, 'an id of PagerDuty looks like P1A2B3C')

const ApiUrl = z
  .url({ protocol: /^https?$/ })
  .max(300)
  .refine((text) => {
    const { username, password, search, hash } = new URL(text)
    return username === '' && password === '' && search === '' && hash === ''
  }, 'an address without user, password, query and fragment')
  .transform((text) => text.replace(/\/+$/, ''))

/** A duty under the name that rules use: `oncall("primary")`. */
export const OnCallDuty = z.union([
  z.strictObject({ schedule: PagerDutyId }),
  /** `max_level`: shifts of further levels are no duty */
  z.strictObject({ escalation_policy: PagerDutyId, max_level: z.int().min(1).max(20).default(1) }),
])
export type OnCallDuty = z.infer<typeof OnCallDuty>

export const PagerDutySettings = z.strictObject({
  ...deliverySettings,
  /** Subdomain: `acme` of acme.pagerduty.com */
  account: z.string().regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, 'the subdomain: acme of acme.pagerduty.com'),
  /** `events`: an event per request (Events API v2). `incidents`: an incident with notes (REST API) */
  mode: z.enum(['events', 'incidents']).default('events'),
  api_url: ApiUrl.default('https://api.pagerduty.com'),
  events_url: ApiUrl.default('https://events.pagerduty.com'),
  /** Mail address of a user of the account: incidents and notes are made in that name */
  from: z.email().max(320).optional(),
  urgency: z.enum(['high', 'low']).default('low'),
  /** Id of the webhook subscription, which is switched on again when PagerDuty has switched it off */
  webhook_subscription: PagerDutyId.optional(),
  /** Duties by the name under which rules and policies ask for them */
  oncall: z
    .record(Name, OnCallDuty)
    .refine((duties) => Object.keys(duties).length <= 50, 'at most 50 duties')
    .default({}),
  /** Finds the PagerDuty user of somebody without a linked account by the mail address that an administrator wrote, compared exactly */
  match_email: z.boolean().default(false),
})
export type PagerDutySettings = z.infer<typeof PagerDutySettings>

export const PagerDutySecrets = z.strictObject({
  /** Integration keys of the Events API by service id: the `channels` of a delivery */
  routing_keys: z.record(PagerDutyId, Secret.max(100)).default({}),
  api_token: Secret.optional(),
  /** Of the webhook subscription; several while one is changed */
  webhook_secrets: z.array(Secret.min(16)).max(4).default([]),
})
export type PagerDutySecrets = z.infer<typeof PagerDutySecrets>

/** What the shapes alone cannot say; one sentence each. */
export function pagerDutyProblems(settings: PagerDutySettings, secrets: PagerDutySecrets): string[] {
  const channels = settings.deliver.flatMap((rule) => rule.channels)
  const problems: string[] = []
  for (const channel of channels) {
    if (!PagerDutyId.safeParse(channel).success)
      problems.push(`deliver: "${channel.slice(0, 40)}" is no id of a PagerDuty service`)
    else if (settings.mode === 'events' && secrets.routing_keys[channel] === undefined)
      problems.push(`secrets.routing_keys: there is no integration key for the service ${channel}`)
  }
  if (settings.mode === 'incidents' && channels.length > 0 && settings.from === undefined)
    problems.push('from: incidents are made in the name of a user of PagerDuty; write the mail address')
  const needsToken = Object.keys(settings.oncall).length > 0 || (settings.mode === 'incidents' && channels.length > 0)
  if (needsToken && secrets.api_token === undefined)
    problems.push('secrets.api_token: incidents and duties are read and written with a token of the REST API')
  return problems
}
