import { createSecretKey, randomBytes } from 'node:crypto'
import { ChatDoor } from '../../src/access/from-chat/chat-door.ts'
import { VERIFIERS } from '../../src/access/from-chat/verifiers.ts'
import { putIntegration } from '../../src/access/integrations/integrations.ts'
import { storedPlane } from '../../src/access/notify/stored-plane.ts'
import { rowTrouble } from '../../src/audit/check-row.ts'
import { IntegrationDocument } from '../../src/contract/integration.ts'
import { SlackSecrets, SlackSettings } from '../../src/contract/vendors/slack.ts'
import type { Clock } from '../../src/foundation/clock.ts'
import { openDatabase } from '../../src/foundation/database/open-database.ts'
import { silentLog } from '../../src/foundation/log.ts'
import { outboundConnect, outboundFetch } from '../../src/foundation/outbound-fetch.ts'
import { createSealer } from '../../src/identity/sealing.ts'
import type { Connector } from '../../src/notify/connector.ts'
import { NotifyEngine } from '../../src/notify/engine/notify-engine.ts'
import { SlackConnector } from '../../src/notify/slack/slack-connector.ts'
import { AccessWorld, LOCAL_ADMIN } from '../../test/support/access-world.ts'
import { FakeSlack } from '../../test/support/slack/fake-slack.ts'
import { tempFolder } from '../../test/support/temp-folder.ts'
import { until } from '../../test/support/until.ts'

/** A user may ask so often within an hour */
const ASKS = 18
const NETWORKS = ['127.0.0.0/8']
const PUBLIC_URL = 'https://access.example.org'

export interface NotifyHouse {
  readonly world: AccessWorld<Clock>
  readonly slack: FakeSlack
  readonly engine: NotifyEngine
  /** Ids of `count` new requests for the role, by as many people as it takes */
  ask(role: string, count: number): Promise<string[]>
  /** Until nothing is on its way and nothing waits */
  quiet(): Promise<void>
  close(): Promise<void>
}

export interface HouseOptions {
  readonly mode: 'http' | 'socket'
  readonly clock: Clock
  readonly reviewers: number
  readonly askers: number
  /** Whether what Slack allows is kept. Off where the stand-in takes everything and what is measured is ours */
  readonly paced: boolean
  /** A role with the channel that its requests go to */
  readonly roles: Readonly<Record<string, string>>
}

/**
 * Everything between the store, synced to disk, and a stand-in for Slack as strict as Slack: request engine, engine of notify,
 * connector over real HTTP or a real WebSocket, and the core that verifies what comes back. In one process.
 */
export async function openNotifyHouse(options: HouseOptions): Promise<NotifyHouse> {
  const { mode, clock, reviewers, askers, paced, roles } = options
  const folder = tempFolder('bench-notify')
  const database = openDatabase(folder.file('store.db'), { clock })
  const world = await AccessWorld.open(clock, database)
  const slack = await FakeSlack.start({ mode, now: () => clock.now() })
  const sealer = createSealer({ id: '0011223344556677', key: createSecretKey(randomBytes(32)) })
  const names = Object.keys(roles)
  for (const name of names) await world.role(name, { options: { chat_approval: 'allowed' } })
  await world.role('engineer', { allow: { request: { roles: names } } })
  await world.role('reviewer', { allow: { review_requests: { roles: names } } })
  for (let index = 0; index < askers; index++) await world.user(`asker${index}`, { roles: ['engineer'] })
  const settings = { team_id: slack.teamId, app_id: slack.appId, mode, api_url: slack.apiUrl }
  const secrets = { bot_token: slack.botToken, app_token: slack.appToken, signing_secret: slack.signingSecret }
  const deliver = Object.entries(roles).map(([role, channel]) => ({ roles: [role], channels: [channel] }))
  const spec = { vendor: 'slack', ...settings, deliver, allow_networks: NETWORKS, secrets }
  const document = IntegrationDocument.parse({ kind: 'integration', metadata: { name: 'chat' }, spec })
  const { id: integrationId } = await putIntegration({ deeds: world.deeds, sealer }, LOCAL_ADMIN, document, true)
  const accounts = Array.from({ length: reviewers }, (_, index) => `U0R${index}`)
  for (const channel of Object.values(roles)) slack.workspace.addChannel(channel, accounts)
  for (const [index, account] of accounts.entries()) {
    await world.user(`reviewer${index}`, { roles: ['reviewer'] })
    slack.workspace.addUser(account, `reviewer${index}`)
    await link(world, integrationId, slack.teamId, account, `usr_reviewer${index}`)
  }

  const door = new ChatDoor({
    ...{ database, deeds: world.deeds, clock, log: silentLog, sealer, requests: world.requests },
    ...{ verifiers: VERIFIERS, publicUrl: () => PUBLIC_URL, reportRejected: () => {} },
    fetchFor: (allowNetworks) => outboundFetch({ allowNetworks }),
    checkRow: (ref) => rowTrouble(database, ref),
  })
  const connector = new SlackConnector({
    ...{ integration: 'chat', clock, log: silentLog, publicUrl: PUBLIC_URL, report: () => {} },
    settings: SlackSettings.parse(settings),
    secrets: SlackSecrets.parse(secrets),
    fetch: outboundFetch({ allowNetworks: NETWORKS }),
    connect: outboundConnect({ allowNetworks: NETWORKS }),
  })
  slack.deliver = async (path, headers, body) => {
    const callback = { integration: 'chat', path, headers, body, via: 'http' } as const
    const answer = await connector.receive(callback, door, AbortSignal.timeout(10_000))
    return { status: answer.status, body: answer.body ?? '' }
  }
  const plane = storedPlane({
    ...{ database, deeds: world.deeds, sealer, clock, log: silentLog, publicUrl: () => PUBLIC_URL },
  })
  const engine = new NotifyEngine({
    plane,
    open: () => (paced ? connector : unpaced(connector)),
    fromChat: door,
    clock,
    log: silentLog,
  })
  const forget = world.deeds.onCommitted(() => engine.wake())
  engine.start()
  let asked = 0
  return {
    world,
    slack,
    engine,
    async ask(role, count) {
      const ids: string[] = []
      for (let index = 0; index < count; index++) {
        const who = `asker${Math.floor(asked / ASKS)}`
        ids.push((await world.ask(who, [role], { reason: `number ${asked++}` })).id)
      }
      return ids
    },
    quiet: () =>
      until(
        'all messages to be told',
        async () => {
          const { reads } = database
          const waiting = await reads
            .selectFrom('outbox')
            .select('id')
            .where('routed_at', 'is', null)
            .executeTakeFirst()
          const due = await reads.selectFrom('messages').select('id').where('state', '=', 'due').executeTakeFirst()
          return waiting === undefined && due === undefined
        },
        { within: 600_000, every: 20 },
      ).then(() => {}),
    async close() {
      forget()
      await engine.stop()
      await world.close()
      await slack.stop()
      folder[Symbol.dispose]()
    },
  }
}

const unpaced = (connector: SlackConnector): Connector => ({
  vendor: connector.vendor,
  deliver: (task, signal) => connector.deliver(task, signal),
  find: (task, since, signal) => connector.find(task, since, signal),
  check: (channels, signal) => connector.check(channels, signal),
  ...(connector.listen ? { listen: connector.listen } : {}),
})

/** As a link that its person has confirmed. */
async function link(
  world: AccessWorld<Clock>,
  integration_id: string,
  tenant: string,
  external_id: string,
  user_id: string,
): Promise<void> {
  await world.deeds.commitDeed(async (tx, now) => {
    const id = `cha_${external_id}`
    const who = { vendor: 'slack', tenant, external_id, external_name: external_id } as const
    const ended = { ended_at: null, ended_why: null, ended_by: null }
    await tx
      .insertInto('chat_accounts')
      .values({ id, event_id: '', integration_id, ...who, user_id, linked_at: now, linked_by: 'page', ...ended })
      .execute()
    const rows = [{ table: 'chat_accounts', id }] as const
    return {
      result: null,
      events: [{ type: 'chat_account.link', actor: LOCAL_ADMIN.actor, outcome: 'success', rows }],
    }
  })
}
