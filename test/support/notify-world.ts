import { freeLeases } from '../../src/access/notify/free-leases.ts'
import { buttonHash } from '../../src/access/from-chat/secret-text.ts'
import { createSecretKey } from 'node:crypto'
import { storedPlane } from '../../src/access/notify/stored-plane.ts'
import { putIntegration } from '../../src/access/integrations/integrations.ts'
import { IntegrationDocument } from '../../src/contract/integration.ts'
import type { MessageTask } from '../../src/contract/message.ts'
import type { NotifyPlane } from '../../src/contract/notify-plane.ts'
import type { Clock } from '../../src/foundation/clock.ts'
import { silentLog } from '../../src/foundation/log.ts'
import { createSealer } from '../../src/identity/sealing.ts'
import { DeliveryFailed, type Connector } from '../../src/notify/connector.ts'
import { NotifyEngine } from '../../src/notify/engine/notify-engine.ts'
import { LOCAL_ADMIN, type AccessWorld } from './access-world.ts'
import type { ManualClock } from './manual-clock.ts'
import { until } from './until.ts'

export interface Posted {
  readonly external: string
  readonly destination: string
  /** What was shown, oldest first */
  readonly shown: MessageTask[]
}

/** What the vendor does with one call: null takes it. `before`: nothing happened; `after`: it happened and was not confirmed. */
export type Mishap = { readonly when: 'before' | 'after'; readonly error: Error } | null

/** A vendor inside the test: keeps every message that it was ever sent, in the order of arrival. */
export class FakeVendor {
  readonly posts: Posted[] = []
  calls = 0
  mishap: (task: MessageTask) => Mishap = () => null
  /** Calls wait for it */
  gate: Promise<void> = Promise.resolve()
  #count = 0

  /** As the vendor's search would find it. Deletes nothing, forgets nothing */
  readonly find = (task: MessageTask): Promise<string | null> => {
    this.searches += 1
    const found = this.posts.find(({ shown: [first] }) => first?.onceId === task.onceId)
    return Promise.resolve(found?.external ?? null)
  }
  searches = 0

  readonly connector: Connector = {
    vendor: 'slack',
    deliver: async (task) => {
      this.calls += 1
      await this.gate
      const mishap = this.mishap(task)
      if (mishap?.when === 'before') throw mishap.error
      const external = this.#keep(task)
      if (mishap) throw mishap.error
      return external
    },
    check: () => Promise.resolve([]),
  }

  #keep(task: MessageTask): string {
    const { external } = task
    if (external !== null) {
      const found = this.posts.find((post) => post.external === external)
      if (!found) throw new DeliveryFailed('gone', 'message_not_found')
      found.shown.push(task)
      return external
    }
    const { channel, person } = task.destination
    const post = { external: `M${++this.#count}`, destination: channel ?? person?.name ?? '', shown: [task] }
    this.posts.push(post)
    return post.external
  }

  remove(external: string): void {
    const index = this.posts.findIndex((post) => post.external === external)
    if (index !== -1) this.posts.splice(index, 1)
  }

  /** Messages of requests at this channel or person. */
  requestsAt(destination: string): Posted[] {
    return this.posts.filter((post) => post.destination === destination && post.shown[0]?.content.kind === 'request')
  }

  linesAt(destination: string): string[] {
    return this.posts.flatMap(({ destination: at, shown: [first] }) =>
      at === destination && first?.content.kind === 'notice' ? [first.content.view.text] : [],
    )
  }
}

/** The state that a message shows now, and its buttons. */
export function lastShown(post: Posted | undefined): string {
  const content = post?.shown.at(-1)?.content
  return content?.kind === 'request' ? [content.view.state, ...content.buttons].join(' ') : 'nothing'
}

export const down = (): Mishap => ({ when: 'before', error: new Error('connect ECONNREFUSED') })

interface StartOptions {
  readonly mortal?: boolean
  readonly through?: (connector: Connector) => Connector
}

/** Integrations of Slack beside a request engine; `vendors` by name of the integration. */
export class NotifyWorld<C extends Clock = ManualClock> {
  readonly world: AccessWorld<C>
  readonly vendors = new Map<string, FakeVendor>()
  readonly plane: NotifyPlane
  readonly sealer = createSealer({ id: '0011223344556677', key: createSecretKey(Buffer.alloc(32, 1)) })
  #engines: { engine: NotifyEngine; forget: () => void }[] = []

  constructor(world: AccessWorld<C>) {
    this.world = world
    const { database, deeds, clock } = world
    const publicUrl = (): string => 'https://proxy.example'
    this.plane = storedPlane({ database, deeds, sealer: this.sealer, clock, log: silentLog, publicUrl })
  }

  vendor(name = 'chat'): FakeVendor {
    const vendor = this.vendors.get(name) ?? new FakeVendor()
    this.vendors.set(name, vendor)
    return vendor
  }

  async integration(name: string, deliver: readonly object[], more: object = {}): Promise<FakeVendor> {
    const spec = {
      ...{ vendor: 'slack', team_id: 'T0TEST', app_id: 'A0TEST', mode: 'http', deliver, ...more },
      secrets: { bot_token: 'xoxb-1-test', signing_secret: 'f'.repeat(32) },
    }
    const document = IntegrationDocument.parse({ kind: 'integration', metadata: { name }, spec })
    await putIntegration({ deeds: this.world.deeds, sealer: this.sealer }, LOCAL_ADMIN, document, true)
    return this.vendor(name)
  }

  /** As a confirmed link would leave it. */
  async link(integration: string, user: string): Promise<void> {
    await this.world.deeds.commitDeed(async (tx, now) => {
      const { id: integration_id } = await tx
        .selectFrom('integrations')
        .select('id')
        .where('name', '=', integration)
        .executeTakeFirstOrThrow()
      const id = `cha_${integration}_${user}`
      const who = { vendor: 'slack', tenant: 'T1', external_id: `U_${user}`, external_name: user } as const
      const link = { user_id: `usr_${user}`, linked_at: now, linked_by: 'page', ended_at: null, ended_why: null }
      await tx
        .insertInto('chat_accounts')
        .values({ id, event_id: '', integration_id, ...who, ...link, ended_by: null })
        .execute()
      const rows = [{ table: 'chat_accounts', id }] as const
      return {
        result: null,
        events: [{ type: 'chat_account.link', actor: LOCAL_ADMIN.actor, outcome: 'success', rows }],
      }
    })
  }

  /** `mortal`: it is never stopped, as a daemon that dies is not. `through`: what stands between it and the vendor. */
  start(
    plane: NotifyPlane = this.plane,
    { mortal = false, through = (connector: Connector) => connector }: StartOptions = {},
  ): NotifyEngine {
    const { clock, deeds } = this.world
    const engine = new NotifyEngine({
      plane,
      open: ({ name }) => through(this.vendor(name).connector),
      fromChat: { take: () => Promise.resolve({ kind: 'ignored', why: 'a test' }) },
      ...{ clock, log: silentLog, random: () => 0.5 },
    })
    const forget = deeds.onCommitted(({ rows }) => engine.wake(rows.some(({ table }) => table === 'integrations')))
    if (!mortal) this.#engines.push({ engine, forget })
    engine.start()
    return engine
  }

  async close(): Promise<void> {
    await this.stop()
    await this.world.database.close()
  }

  /** All but the store. */
  async stop(): Promise<void> {
    for (const { engine, forget } of this.#engines) {
      forget()
      await engine.stop()
    }
    await this.world.stop()
  }

  rows() {
    return this.world.database.reads.selectFrom('messages').selectAll().orderBy('id').execute()
  }

  /** Until nothing is on its way and nothing is due. */
  async quiet(): Promise<void> {
    await until(
      'all messages settled',
      async () => {
        const waiting = await this.world.database.reads
          .selectFrom('outbox')
          .select('id')
          .where('routed_at', 'is', null)
          .executeTakeFirst()
        const now = this.world.clock.now()
        return waiting === undefined && !(await this.rows()).some((row) => row.state === 'due' && row.due_at <= now)
      },
      { every: 2 },
    )
  }
}

/** As when somebody pressed a copy of the message that only the vendor knows of. */
export async function pressedOn({ database }: AccessWorld, buttonId: string, external: string): Promise<void> {
  await database.transact((tx) =>
    tx
      .updateTable('message_buttons')
      .set({ pressed_external: external })
      .where('button_hash', '=', buttonHash(buttonId))
      .execute(),
  )
}

/** As the only daemon on its store does when it starts. */
export const startedAlone = ({ database, clock }: AccessWorld): Promise<void> => freeLeases({ database, clock })
