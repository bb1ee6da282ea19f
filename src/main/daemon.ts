import { join } from 'node:path'
import { liveInstances } from '../connection/instances.ts'
import type { Clock } from '../foundation/clock.ts'
import type { Config } from '../foundation/config.ts'
import type { Log } from '../foundation/log.ts'
import { createMetrics } from '../foundation/metrics.ts'
import { inviteFirstAdmin } from '../identity/first-admin.ts'
import { openApi } from './api.ts'
import { CancelAcrossDaemons } from './cancel-across-daemons.ts'
import { openChatDoor } from './chat-door.ts'
import { openControlSide, type ControlSide } from './control-side.ts'
import { openStore, type Store } from './open-store.ts'
import { FactsFirst, PagerDutyOnCall } from './on-call.ts'
import { openNotify, type Notify } from './notify.ts'
import { openOutside, openProof } from './proof.ts'
import { Policies } from './policies.ts'
import { RelayWorkers } from './relay-workers.ts'
import { WorkerSettingsSource } from './worker-settings.ts'

export interface DaemonSurroundings {
  readonly clock: Clock
  readonly log: Log
  readonly env: Readonly<Record<string, string | undefined>>
  readonly askPassphrase: (() => Promise<string>) | null
  /** Shows the first admin's link to whoever started the daemon on a terminal. */
  readonly showOnTerminal: ((text: string) => void) | null
  /** File that runs a relay worker when its first argument is `relay-worker` */
  readonly entry: string
  readonly version: string
}

export interface Daemon {
  readonly port: number
  /** Told live sessions, checkpointed, closed. */
  stop(why: string): Promise<void>
}

/** Starts everything in the order in which each part may rely on the ones before it. */
export async function startDaemon(config: Config, given: DaemonSurroundings): Promise<Daemon> {
  const { log, version } = given
  const metrics = createMetrics()
  const store = await openStore(config, { ...given, metrics })
  const { database, deeds } = store
  const surroundings = { ...given, clock: store.clock }
  const outside = await openOutside(config, store, surroundings)
  const policies = new Policies({ store, folder: config.policiesDir, entry: given.entry, clock: store.clock, log })
  const facts = new FactsFirst(policies, new PagerDutyOnCall({ store, clock: store.clock, log }), store.clock)
  const side = await openControlSide(config, store, metrics, facts, surroundings)
  const { checkpoints, verifier } = openProof(config, store, side, outside, surroundings)
  if (deeds.readOnly === null) {
    await policies.load()
    await side.catchUp()
  }

  const apiSocket = join(config.dataDir, 'api.sock')
  const { settings, workers } = await openFront(config, store, side, apiSocket, surroundings)
  let { port } = config.listen
  let mysqlPort = config.mysql.listen?.port ?? null
  const publicAddress = (): string => config.publicAddress ?? hostAndPort(config.listen.host, port)
  const parts = { config, surroundings, store, side, policies, outside, verifier, metrics, publicAddress }
  const publicUrl = (): string => `https://${config.web.address ?? publicAddress()}`
  const fromChat = openChatDoor(store, side, { ...surroundings, publicUrl })
  const notify: Notify = openNotify({ ...surroundings, store, metrics, publicUrl, fromChat })
  const api = openApi({ ...parts, notify, fromChat, mysqlPort: () => mysqlPort })
  await api.serve(apiSocket)
  await api.serveAdmin(join(config.dataDir, 'admin', 'sallyport.sock'))
  const ports = await workers.start()
  port = ports.shared
  mysqlPort = ports.mysql
  settings.keepFresh(() => workers.refreshSettings())
  if (deeds.readOnly === null) {
    await tell(store, 'daemon.start', { version, port })
    await checkpoints.write()
    await welcomeFirstAdmin(config, store, side, publicAddress(), surroundings)
  }
  checkpoints.start()
  verifier.start()
  if (deeds.readOnly === null) await notify.start()
  log.info({ port, mysqlPort, host: config.listen.host, dataDir: config.dataDir, version }, 'ready')

  return {
    port,
    async stop(why) {
      log.info({ why }, 'stopping')
      side.control.refuseNew()
      verifier.stop()
      settings.stop()
      // Sessions first: their ends are stored through everything that is still up.
      await workers.stop(`sallyport: ${why}`, config.shutdownGraceMs)
      await api.close()
      await notify.stop()
      await side.stop()
      policies.stop()
      if (deeds.readOnly === null) {
        await tell(store, 'daemon.stop', { why }).catch((error: unknown) => {
          log.error({ err: String(error) }, 'daemon.stop could not be stored')
        })
      }
      await checkpoints.stop()
      await deeds.close()
      await database.close()
      log.info({}, 'stopped')
    },
  }
}

/** The relay workers and what they are told; a rotated authority signs anew what they show and trust. */
async function openFront(
  config: Config,
  { database, instanceId }: Store,
  { authorities, installation, control, closeOrphan }: ControlSide,
  apiSocket: string,
  { clock, log, entry }: DaemonSurroundings,
): Promise<{ settings: WorkerSettingsSource; workers: RelayWorkers }> {
  const settings = await WorkerSettingsSource.open({
    config,
    authorities,
    apiSocket,
    installation: installation.id,
    clock,
    log,
  })
  const across =
    instanceId &&
    new CancelAcrossDaemons({ database, id: instanceId, cancelHere: (digest) => workers.cancel(digest), clock, log })
  const workers: RelayWorkers = new RelayWorkers({
    entry,
    count: config.workers,
    logLevel: config.logLevel,
    listen: { shared: config.listen, mysql: config.mysql.listen },
    settings: () => settings.current(),
    control,
    cancelElsewhere: async (digest) => (across ? across.ask(digest) : null),
    closeOrphan,
    clock,
    log,
  })
  authorities.onChanged(() => {
    settings.renew().then(
      () => workers.refreshSettings(),
      (error: unknown) => log.error({ err: String(error) }, 'relay workers keep what was signed before the rotation'),
    )
  })
  return { settings, workers }
}

async function welcomeFirstAdmin(
  config: Config,
  { database, deeds, instanceId }: Store,
  { authorities, takeAway }: ControlSide,
  publicAddress: string,
  { clock, log, showOnTerminal }: DaemonSurroundings,
): Promise<void> {
  const file = join(config.dataDir, 'first-admin')
  const pin = authorities.pin()
  // The link that another daemon shows stays good.
  const others = await liveInstances(database.reads, clock.now())
  if ([...others].some((id) => id !== instanceId)) return
  const invited = await inviteFirstAdmin({ database, deeds, clock, takeAway }, { file, publicAddress, pin })
  if (!invited) return
  // The command itself never goes to the log: it is the key to everything, once.
  log.info({ file: invited.file }, 'nobody administers this installation yet: the file holds a command that works once')
  showOnTerminal?.(`Nobody administers this installation yet. Within an hour, once, run:\n\n  ${invited.command}\n`)
}

const hostAndPort = (host: string, port: number): string => `${host.includes(':') ? `[${host}]` : host}:${port}`

async function tell(
  { deeds }: Store,
  type: 'daemon.start' | 'daemon.stop',
  details: Readonly<Record<string, unknown>>,
): Promise<void> {
  const actor = { kind: 'system', id: null, name: 'sallyport' } as const
  await deeds.commitDeed(() =>
    Promise.resolve({ result: null, events: [{ type, actor, outcome: 'success', details }] }),
  )
}
