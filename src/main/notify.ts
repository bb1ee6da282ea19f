import type { z } from 'zod'
import { openedIntegration } from '../access/integrations/integrations.ts'
import { freeLeases } from '../access/notify/free-leases.ts'
import { deliveryOf } from '../access/notify/routes.ts'
import { markBroken, mend } from '../access/notify/store-delivery.ts'
import { storedPlane } from '../access/notify/stored-plane.ts'
import type { FromChat } from '../contract/from-chat.ts'
import { VENDOR_SECRETS, VENDOR_SETTINGS } from '../contract/integration.ts'
import type { DeliveryWait } from '../contract/integration-status.ts'
import type { OpenIntegration } from '../contract/notify-plane.ts'
import type { Vendor } from '../contract/vendors/common.ts'
import { systemClock, withDeadline, type Clock } from '../foundation/clock.ts'
import type { IntegrationsTable } from '../foundation/database/tables.ts'
import type { Log } from '../foundation/log.ts'
import type { Metrics } from '../foundation/metrics.ts'
import { outboundConnect, outboundFetch } from '../foundation/outbound-fetch.ts'
import type { Sealer } from '../identity/sealing.ts'
import type { CheckLine, Connector, ConnectorParts } from '../notify/connector.ts'
import { discordConnector } from '../notify/discord/discord-connector.ts'
import { emailConnector } from '../notify/email/email-connector.ts'
import { NotifyEngine } from '../notify/engine/notify-engine.ts'
import { JiraConnector } from '../notify/jira/jira-connector.ts'
import { mattermostConnector } from '../notify/mattermost/mattermost-connector.ts'
import { PagerDutyConnector } from '../notify/pagerduty/pagerduty-connector.ts'
import { SlackConnector } from '../notify/slack/slack-connector.ts'
import { teamsConnector } from '../notify/teams/teams-connector.ts'
import { webhookConnector } from '../notify/webhook/webhook-connector.ts'
import type { Store } from './open-store.ts'

const CHECK_MS = 30_000

type Unread = ConnectorParts<unknown, unknown>

/** What opens each vendor's connector: one line each. */
const CONNECTORS: Readonly<Partial<Record<Vendor, (parts: Unread) => Connector>>> = {
  slack: (parts) => new SlackConnector(read(parts, VENDOR_SETTINGS.slack, VENDOR_SECRETS.slack)),
  mattermost: (parts) => mattermostConnector(read(parts, VENDOR_SETTINGS.mattermost, VENDOR_SECRETS.mattermost)),
  jira: (parts) => new JiraConnector(read(parts, VENDOR_SETTINGS.jira, VENDOR_SECRETS.jira)),
  pagerduty: (parts) => new PagerDutyConnector(read(parts, VENDOR_SETTINGS.pagerduty, VENDOR_SECRETS.pagerduty)),
  email: (parts) => emailConnector(read(parts, VENDOR_SETTINGS.email, VENDOR_SECRETS.email)),
  teams: (parts) => teamsConnector(read(parts, VENDOR_SETTINGS.teams, VENDOR_SECRETS.teams)),
  discord: (parts) => discordConnector(read(parts, VENDOR_SETTINGS.discord, VENDOR_SECRETS.discord)),
  webhook: (parts) => webhookConnector(read(parts, VENDOR_SETTINGS.webhook, VENDOR_SECRETS.webhook)),
}

const read = <Settings, Secrets>(
  parts: Unread,
  settings: z.ZodType<Settings>,
  secrets: z.ZodType<Secrets>,
): ConnectorParts<Settings, Secrets> => ({
  ...parts,
  settings: settings.parse(parts.settings),
  secrets: secrets.parse(parts.secrets),
})

export interface NotifyParts {
  readonly store: Store
  readonly fromChat: FromChat
  readonly metrics: Metrics
  readonly clock: Clock
  readonly log: Log
  /** `https://HOST:PORT` under which people reach the daemon */
  readonly publicUrl: () => string
}

export interface Notify {
  start(): Promise<void>
  stop(): Promise<void>
  /** Undefined: there is no such integration, or it is switched off */
  connector(integration: string): Connector | undefined
  /** Why its messages wait */
  waits(integration: string): readonly DeliveryWait[]
  /** A connector of its own, for a look at what is configured; of those that are switched off, too */
  open(integration: OpenIntegration): Connector
}

/** What tells people: the engine over the store, with a connector for each integration. */
export function openNotify({ store, fromChat, metrics, clock, log, publicUrl }: NotifyParts): Notify {
  const { database, deeds, sealer } = store
  const planeParts = { database, deeds, sealer, clock, log, publicUrl }
  const report = (id: string, broken: string | null): void => {
    const done = broken === null ? mend(planeParts, id) : markBroken(planeParts, id, broken)
    done.catch((error: unknown) => {
      log.error({ err: String(error), integration: id }, 'what an integration says of itself could not be stored')
    })
  }
  const open = (integration: OpenIntegration): Connector => {
    const make = CONNECTORS[integration.vendor]
    if (!make) throw new TypeError(`there is no connector for ${integration.vendor}`)
    const { id, name, settings, secrets, allowNetworks } = integration
    return make({
      integration: name,
      settings,
      secrets,
      clock,
      log,
      fetch: outboundFetch({ allowNetworks }),
      connect: outboundConnect({ allowNetworks }),
      publicUrl: publicUrl(),
      report: (broken) => report(id, broken),
    })
  }
  const plane = storedPlane(planeParts)
  const engine = new NotifyEngine({ plane, open, fromChat, clock, log, measure: metrics })
  let forget: (() => void) | null = null
  return {
    async start() {
      // Nobody else can be sending: a second daemon on this store was refused.
      if (database.kind === 'sqlite') await freeLeases({ database, clock })
      forget = deeds.onCommitted(({ rows }) => engine.wake(rows.some(({ table }) => table === 'integrations')))
      engine.start()
    },
    async stop() {
      forget?.()
      await engine.stop()
    },
    connector: (integration) => engine.connector(integration),
    waits: (integration) => engine.waits(integration),
    open,
  }
}

/** With a connector of its own: what is asked changes nothing, whether the integration is switched on or not. */
export async function checkIntegration(
  row: IntegrationsTable,
  notify: Notify,
  sealer: Sealer,
  signal: AbortSignal,
): Promise<readonly CheckLine[]> {
  const { id, name, vendor, event_id: revision } = row
  const { deliver, allow_networks: allowNetworks } = deliveryOf(row)
  const connector = notify.open({ id, name, vendor, revision, ...openedIntegration(sealer, row), allowNetworks })
  const channels = [...new Set(deliver.flatMap((rule) => rule.channels))]
  try {
    return await withDeadline(systemClock, CHECK_MS, signal, (until) => connector.check(channels, until))
  } catch (error) {
    return [{ ok: false, text: error instanceof Error ? error.message : String(error) }]
  }
}
