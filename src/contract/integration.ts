import { z } from 'zod'
import { Name } from './common.ts'
import { deliverySettings, type Vendor } from './vendors/common.ts'
import { DiscordSecrets, DiscordSettings } from './vendors/discord.ts'
import { EmailSecrets, EmailSettings } from './vendors/email.ts'
import { JiraSecrets, JiraSettings } from './vendors/jira.ts'
import { MattermostSecrets, MattermostSettings } from './vendors/mattermost.ts'
import { PagerDutySecrets, PagerDutySettings } from './vendors/pagerduty.ts'
import { SlackSecrets, SlackSettings } from './vendors/slack.ts'
import { TeamsSecrets, TeamsSettings } from './vendors/teams.ts'
import { WebhookSecrets, WebhookSettings } from './vendors/webhook.ts'

/** By vendor: what is printed and what never is. Settings may hold `deliverySettings` themselves. */
export const VENDOR_SETTINGS = {
  slack: SlackSettings,
  mattermost: MattermostSettings,
  jira: JiraSettings,
  pagerduty: PagerDutySettings,
  email: EmailSettings,
  webhook: WebhookSettings,
  teams: TeamsSettings,
  discord: DiscordSettings,
} as const satisfies Record<Vendor, z.ZodObject>

export const VENDOR_SECRETS = {
  slack: SlackSecrets,
  mattermost: MattermostSecrets,
  jira: JiraSecrets,
  pagerduty: PagerDutySecrets,
  email: EmailSecrets,
  webhook: WebhookSecrets,
  teams: TeamsSecrets,
  discord: DiscordSecrets,
} as const satisfies Record<Vendor, z.ZodObject>

/**
 * Never printed. One that is absent in a change stays as it was; null takes it away. What is given is checked by its vendor's
 * schema, together with what is stored.
 */
const GivenSecrets = z
  .record(z.string().regex(/^[a-z][a-z0-9_]{0,62}$/), z.unknown())
  .refine((all) => Object.keys(all).length <= 50, 'at most 50 secrets')

const common = { ...deliverySettings, secrets: GivenSecrets.optional() }

export const IntegrationSpec = z.discriminatedUnion('vendor', [
  z.strictObject({ vendor: z.literal('slack'), ...SlackSettings.shape, ...common }),
  z.strictObject({ vendor: z.literal('mattermost'), ...MattermostSettings.shape, ...common }),
  z.strictObject({ vendor: z.literal('jira'), ...JiraSettings.shape, ...common }),
  z.strictObject({ vendor: z.literal('pagerduty'), ...PagerDutySettings.shape, ...common }),
  z.strictObject({ vendor: z.literal('email'), ...EmailSettings.shape, ...common }),
  z.strictObject({ vendor: z.literal('webhook'), ...WebhookSettings.shape, ...common }),
  z.strictObject({ vendor: z.literal('teams'), ...TeamsSettings.shape, ...common }),
  z.strictObject({ vendor: z.literal('discord'), ...DiscordSettings.shape, ...common }),
])
export type IntegrationSpec = z.infer<typeof IntegrationSpec>

/** kind: integration, as `sallyctl create -f` takes it and `sallyctl get integration/NAME` prints it, without the secrets. */
export const IntegrationDocument = z.strictObject({
  kind: z.literal('integration'),
  version: z.literal('v1').default('v1'),
  metadata: z.strictObject({ name: Name }),
  spec: IntegrationSpec,
})
export type IntegrationDocument = z.infer<typeof IntegrationDocument>
