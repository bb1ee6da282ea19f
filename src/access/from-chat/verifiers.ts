import type { ChatVerifier } from './chat-verifier.ts'
import { discordVerifier } from './vendors/discord.ts'
import { jiraVerifier } from './vendors/jira.ts'
import { pagerDutyVerifier } from './vendors/pagerduty.ts'
import { mattermostVerifier } from './vendors/mattermost.ts'
import { slackVerifier } from './vendors/slack.ts'
import { webhookVerifier } from './vendors/webhook.ts'

/** The verifiers of all vendors that bring something in: one line each. A vendor without one is never believed. */
export const VERIFIERS: readonly ChatVerifier[] = [
  discordVerifier,
  jiraVerifier,
  pagerDutyVerifier,
  mattermostVerifier,
  slackVerifier,
  webhookVerifier,
]
