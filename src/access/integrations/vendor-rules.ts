import { jiraProblems, JiraSecrets, JiraSettings } from '../../contract/vendors/jira.ts'
import { PagerDutySecrets, PagerDutySettings, pagerDutyProblems } from '../../contract/vendors/pagerduty.ts'
import { slackProblems, SlackSecrets, SlackSettings } from '../../contract/vendors/slack.ts'
import type { Vendor } from '../../contract/vendors/common.ts'

type Values = Readonly<Record<string, unknown>>

/** What the schema of a vendor does not say. */
interface VendorRules {
  /** Settings that say where secrets are sent: when one of them changes, none that is stored goes there */
  readonly destination: readonly string[]
  /** Secrets that are made here where none is given */
  readonly made?: readonly string[]
  /** What is wrong with a whole document, one sentence each */
  readonly problems?: (settings: Values, secrets: Values) => readonly string[]
}

export const VENDOR_RULES: Readonly<Record<Vendor, VendorRules>> = {
  slack: {
    destination: ['api_url'],
    problems: (settings, secrets) => slackProblems(SlackSettings.parse(settings), SlackSecrets.parse(secrets)),
  },
  mattermost: { destination: ['url'], made: ['context_key'] },
  jira: {
    destination: ['url'],
    problems: (settings, secrets) => jiraProblems(JiraSettings.parse(settings), JiraSecrets.parse(secrets)),
  },
  pagerduty: {
    destination: ['api_url', 'events_url'],
    problems: (settings, secrets) =>
      pagerDutyProblems(PagerDutySettings.parse(settings), PagerDutySecrets.parse(secrets)),
  },
  email: { destination: ['smtp'] },
  webhook: { destination: ['url'] },
  teams: { destination: [] },
  discord: { destination: ['api_url'] },
}
