import { z } from 'zod'
import { deliverySettings, Secret } from './common.ts'
import { DurationText } from '../role.ts'

/** Numbers as texts, as Jira writes them. */
const JiraId = z
  .string()
  .regex(/^[1-9]\d{0,17}$/, 'an id of Jira is a number: open the thing in Jira, its address has it')

/** A project by id (`10000`) or key (`OPS`): the `channels` of a delivery. */
export const JIRA_PROJECT = /^(?:[1-9]\d{0,17}|[A-Z][A-Z0-9_]{1,254})$/

/** Of a move that is ignored: there is no message of ours by the id of the issue. What becomes of it is not for us to say. */
export const NO_ISSUE_OF_OURS = 'no issue of ours'

/** `https://acme.atlassian.net`, `https://jira.acme.org/jira`: no credentials, no query. */
const BaseUrl = z
  .url({ protocol: /^https?$/ })
  .max(300)
  .refine((text) => {
    const { username, password, search, hash } = new URL(text)
    return username === '' && password === '' && search === '' && hash === ''
  }, 'an address without user, password, query and fragment')
  .transform((text) => text.replace(/\/+$/, ''))

export const JiraSettings = z.strictObject({
  ...deliverySettings,
  /** Cloud speaks API 3 and ADF; Data Center API 2 and wiki markup */
  product: z.enum(['cloud', 'datacenter']),
  url: BaseUrl,
  /** Mail address of the account whose token it is; Data Center tokens need none */
  user: z.email().max(320).optional(),
  issue_type: JiraId,
  /** Ids of statuses of the project's workflow */
  statuses: z
    .strictObject({
      /** Where issues begin, and go back to when a move does not count */
      pending: JiraId,
      approved: JiraId,
      denied: JiraId,
      /** Cancelled and expired requests */
      closed: JiraId,
    })
    .refine(
      (ids) => new Set([ids.pending, ids.approved, ids.denied]).size === 3,
      'pending, approved and denied differ',
    ),
  /** How moves get here: Jira calls, or is asked every `poll_every` */
  events: z.enum(['webhook', 'poll']).default('poll'),
  poll_every: DurationText.default('30s'),
})
export type JiraSettings = z.infer<typeof JiraSettings>

export const JiraSecrets = z.strictObject({
  /** API token (Cloud) or personal access token (Data Center) */
  token: Secret,
  /** With `events: webhook`: the secret of the webhook, at least 16 characters */
  webhook_secret: Secret.min(16).optional(),
})
export type JiraSecrets = z.infer<typeof JiraSecrets>

/** What the shapes alone cannot say; one sentence each. */
export function jiraProblems(settings: JiraSettings, secrets: JiraSecrets): string[] {
  const problems: string[] = []
  if (settings.product === 'cloud' && settings.user === undefined)
    problems.push('user: Jira Cloud needs the mail address of the account whose API token it is')
  if (settings.events === 'webhook' && secrets.webhook_secret === undefined)
    problems.push('secrets.webhook_secret: with events: webhook nothing unsigned is taken in')
  for (const channel of settings.deliver.flatMap((rule) => rule.channels))
    if (!JIRA_PROJECT.test(channel)) problems.push(`deliver: "${channel.slice(0, 40)}" is no id or key of a project`)
  return problems
}
