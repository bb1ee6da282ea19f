import { join } from 'node:path'
import { createPublicKey, sign, type KeyObject } from 'node:crypto'
import { AccessRequests } from '../access/access-requests.ts'
import { Sweeper } from '../access/sweeper.ts'
import { AuthFailures } from '../audit/auth-failures.ts'
import { rowTrouble } from '../audit/check-row.ts'
import { Checkpoints } from '../audit/checkpoints.ts'
import { openOutsideFile, type OutsideFile } from '../audit/outside-file.ts'
import { checkStart } from '../audit/startup-check.ts'
import { LocalControlPlane } from '../connection/local-control-plane.ts'
import { closeOrphanSession, closeOrphanSessions } from '../connection/orphan-sessions.ts'
import type { Clock } from '../foundation/clock.ts'
import type { Config } from '../foundation/config.ts'
import type { Log } from '../foundation/log.ts'
import { createMetrics } from '../foundation/metrics.ts'
import { Snapshot, type TakenAway } from '../grants/snapshot.ts'
import type { Api } from '../http-api/server.ts'
import { Authorities } from '../identity/authorities.ts'
import { inviteFirstAdmin } from '../identity/first-admin.ts'
import { openInstallation } from '../identity/installation.ts'
import { prepareRecordingsFolder } from '../recording/recordings-folder.ts'
import type { StoreParts } from '../identity/doer.ts'
import { openApi } from './api.ts'
import { openStore, type Store } from './open-store.ts'
import { takeWaitingAway } from './take-waiting-away.ts'
import { StoreVerifier } from './store-verifier.ts'
import { RelayWorkers } from './relay-workers.ts'
import { WorkerSettingsSource } from './worker-settings.ts'

const SYSTEM = { kind: 'system', id: null, name: 'sallyport' } as const
const FORGET_EVERY_MS = 600_000
const FORGET_AFTER_MS = 3_600_000

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
export async function startDaemon(config: Config, surroundings: DaemonSurroundings): Promise<Daemon> {
  const { clock, log } = surroundings
  const metrics = createMetrics()
  const store = await openStore(config, { ...surroundings, metrics })
  const { database, deeds, sealer } = store
  const outside = openOutsideFile(config.checkpointFile, database.path)
  const readOnly = await compareWithOutside(store, outside)
  if (readOnly !== null) deeds.becomeReadOnly(readOnly)

  const installation = await openInstallation(database, deeds, clock, config.proxyName)
  const authorities = await Authorities.open({ database, deeds, sealer, clock, installation: installation.id })
  // Before the snapshot is read: what these orders end must not be alive in it.
  await deeds.retrySpilled()
  const snapshot = await Snapshot.load(database.reads)
  for (const order of deeds.waiting()) takeWaitingAway(snapshot, order, clock.now())

  await prepareRecordingsFolder(config.recordingsDir)
  const orphanParts = { reads: database.reads, deeds, recordingsDir: config.recordingsDir }
  const failures = new AuthFailures(deeds, clock, log)
  const control = new LocalControlPlane({
    deeds,
    snapshot,
    sealer,
    mintOnward: (order) => Promise.resolve(authorities.onwardCertificate(order).blob),
    reportAuthFailure: (failure) => failures.report(failure),
    recordingsDir: config.recordingsDir,
    offlineGraceMs: config.offlineGraceMs,
    checkRow: (ref) => rowTrouble(database, ref),
    clock,
    log,
  })
  deeds.onCommitted(async (committed) => {
    await snapshot.apply(committed)
    if (committed.rows.length > 0) control.live.recheckAll()
    for (const event of committed.events) metrics.event(event.type)
    metrics.sessionsOpen(control.live.size)
  })
  const takeAway = (taken: TakenAway, now: number): void => {
    snapshot.takeAway(taken, now)
    control.live.recheckAll()
  }
  if (readOnly === null) {
    const closed = await closeOrphanSessions(orphanParts, 'the daemon was stopped without notice')
    if (closed > 0) log.warn({ sessions: closed }, 'sessions of an earlier run were closed')
  }

  const requests = new AccessRequests({ reads: database.reads, deeds, clock, log, takeAway })
  const sweeper = new Sweeper({ reads: database.reads, deeds, clock, log })
  if (readOnly === null) await sweeper.start()
  control.live.start()

  const checkpoints = new Checkpoints({
    database,
    clock,
    log,
    installationId: installation.id,
    signer: () => checkpointSigner(authorities.checkpointKey()),
    outside,
    openSessions: () => [...control.openHeads()].map(([id, head]) => ({ id, ...head })),
    readOnly: () => deeds.readOnly,
  })
  const apiSocket = join(config.dataDir, 'api.sock')
  const settings = await WorkerSettingsSource.open({
    config,
    authorities,
    apiSocket,
    installation: installation.id,
    clock,
    log,
  })
  const workers = new RelayWorkers({
    entry: surroundings.entry,
    count: config.workers,
    logLevel: config.logLevel,
    listen: config.listen,
    settings: () => settings.current(),
    control,
    closeOrphan: async (id) => {
      control.live.remove(id)
      await closeOrphanSession(orphanParts, id, 'its relay worker died')
    },
    clock,
    log,
  })
  let port = config.listen.port
  const publicAddress = (): string => config.publicAddress ?? hostAndPort(config.listen.host, port)
  // A rotated authority signs anew what the workers show and trust.
  authorities.onChanged(() => {
    settings.renew().then(
      () => workers.refreshSettings(),
      (error: unknown) =>
        log.error({ err: String(error) }, 'relay workers keep the certificates of before the rotation'),
    )
  })
  const verifier = new StoreVerifier({
    entry: surroundings.entry,
    order: () => ({
      database: database.path,
      trusted: [authorities.checkpointKey().publicKey.export({ type: 'spki', format: 'pem' }) as string],
      outside: outside.path,
      recordingsDir: config.recordingsDir,
    }),
    deeds,
    clock,
    log,
  })
  const api: Api = await openApi({
    config,
    surroundings,
    store,
    installation,
    authorities,
    snapshot,
    requests,
    control,
    failures,
    checkpoints,
    outside,
    verifier,
    metrics,
    takeAway,
    publicAddress,
  })
  await api.serve(apiSocket)
  await api.serveAdmin(join(config.dataDir, 'admin', 'sallyport.sock'))
  port = await workers.start()
  settings.keepFresh(() => workers.refreshSettings())
  if (readOnly === null) {
    await deeds.commitDeed(() => Promise.resolve(daemonEvent('daemon.start', { version: surroundings.version, port })))
    await checkpoints.write()
    await welcomeFirstAdmin(
      { database, deeds, clock, takeAway },
      join(config.dataDir, 'first-admin'),
      publicAddress(),
      authorities.pin(),
      surroundings,
    )
  }
  checkpoints.start()
  verifier.start()
  const forgetting = keepForgetting(snapshot, clock)
  log.info({ port, host: config.listen.host, dataDir: config.dataDir, version: surroundings.version }, 'ready')

  return {
    port,
    async stop(why) {
      log.info({ why }, 'stopping')
      control.refuseNew()
      forgetting.cancel()
      verifier.stop()
      settings.stop()
      // Sessions first: their ends are stored through everything that is still up.
      await workers.stop(`sallyport: ${why}`, config.shutdownGraceMs)
      await api.close()
      control.live.stop()
      await sweeper.stop()
      await failures.flush()
      if (deeds.readOnly === null) {
        await deeds
          .commitDeed(() => Promise.resolve(daemonEvent('daemon.stop', { why })))
          .catch((error: unknown) => {
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

async function welcomeFirstAdmin(
  parts: StoreParts,
  file: string,
  publicAddress: string,
  pin: string,
  { log, showOnTerminal }: DaemonSurroundings,
): Promise<void> {
  const invited = await inviteFirstAdmin(parts, { file, publicAddress, pin })
  if (!invited) return
  // The command itself never goes to the log: it is the key to everything, once.
  log.info({ file: invited.file }, 'nobody administers this installation yet: the file holds a command that works once')
  showOnTerminal?.(`Nobody administers this installation yet. Within an hour, once, run:\n\n  ${invited.command}\n`)
}

const hostAndPort = (host: string, port: number): string => `${host.includes(':') ? `[${host}]` : host}:${port}`

const daemonEvent = (type: 'daemon.start' | 'daemon.stop', details: Record<string, unknown>) => ({
  result: null,
  events: [{ type, actor: SYSTEM, outcome: 'success', details }] as const,
})

function checkpointSigner(key: { readonly privateKey: KeyObject; readonly publicKey: KeyObject }) {
  return { publicKey: key.publicKey, sign: (text: string) => sign(null, Buffer.from(text), key.privateKey) }
}

function keepForgetting(snapshot: Snapshot, clock: Clock): { cancel(): void } {
  let timer = clock.after(FORGET_EVERY_MS, tick)
  function tick(): void {
    snapshot.forgetEnded(clock.now() - FORGET_AFTER_MS)
    timer = clock.after(FORGET_EVERY_MS, tick)
  }
  return { cancel: () => timer.cancel() }
}

/** Why the store must not be written, or null. Logged; `sallyctl audit accept-rollback` is the way out. */
async function compareWithOutside({ database }: Store, outside: OutsideFile): Promise<string | null> {
  const installation = await database.reads.selectFrom('installation').select('id').executeTakeFirst()
  const rows = await database.reads
    .selectFrom('authorities')
    .select('public_key')
    .where('kind', '=', 'checkpoint')
    .where('state', '!=', 'dropped')
    .execute()
  const finding = await checkStart({
    database,
    outside,
    installationId: installation?.id ?? '',
    keys: rows.map((row) => createPublicKey(row.public_key)),
  })
  return finding.state === 'went_back' ? finding.why : null
}
