import type { PolicyAsker } from '../access/automate/judge.ts'
import { AccessRequests } from '../access/access-requests.ts'
import { Delegations } from '../access/delegation/delegations.ts'
import { fillSearchIndex } from '../access/search-index.ts'
import { Sweeper } from '../access/sweeper.ts'
import { AuthFailures } from '../audit/auth-failures.ts'
import { rowTrouble } from '../audit/check-row.ts'
import { databaseSignInTrouble } from '../connection/database-sign-in.ts'
import { JustInTimeUsers } from '../connection/just-in-time/just-in-time-users.ts'
import { mariadbUsers } from '../connection/just-in-time/mariadb-users.ts'
import { postgresUsers } from '../connection/just-in-time/postgres-users.ts'
import { LocalControlPlane } from '../connection/local-control-plane.ts'
import { SignInProofs } from '../connection/sign-in-proof.ts'
import { closeOrphanSession, closeOrphanSessions } from '../connection/orphan-sessions.ts'
import type { UserCertificateTrust } from '../formats/x509/check-user-certificate.ts'
import type { Clock, Timer } from '../foundation/clock.ts'
import type { Config } from '../foundation/config.ts'
import type { InstallationTable, SessionsTable } from '../foundation/database/tables.ts'
import type { Metrics } from '../foundation/metrics.ts'
import { Snapshot, type TakenAway } from '../grants/snapshot.ts'
import { Authorities } from '../identity/authorities.ts'
import { openInstallation } from '../identity/installation.ts'
import { prepareRecordingsFolder } from '../recording/recordings-folder.ts'
import { askAtDoor } from './ask-at-door.ts'
import type { DaemonSurroundings } from './daemon.ts'
import type { Store } from './open-store.ts'
import { OtherDaemons } from './other-daemons.ts'
import { credentialsOf } from './credentials.ts'
import { takeWaitingAway } from './take-waiting-away.ts'

const FORGET_EVERY_MS = 600_000
const FORGET_AFTER_MS = 3_600_000

/** Everything that decides: keys, the view of who may what, requests, live sessions. */
export interface ControlSide {
  readonly installation: InstallationTable
  readonly authorities: Authorities
  readonly snapshot: Snapshot
  readonly failures: AuthFailures
  readonly control: LocalControlPlane
  readonly requests: AccessRequests
  readonly delegations: Delegations
  /** Takes power away in memory: the snapshot forgets it and every live session is decided anew. */
  readonly takeAway: (taken: TakenAway, now: number) => void
  /** What an earlier run left undone. Needs a store that takes deeds: at start, and after an accepted rollback. */
  catchUp(): Promise<void>
  closeOrphan(sessionId: string): Promise<void>
  stop(): Promise<void>
}

export async function openControlSide(
  config: Config,
  store: Store,
  metrics: Metrics,
  policies: PolicyAsker,
  { clock, log }: DaemonSurroundings,
): Promise<ControlSide> {
  const { database, deeds, sealer, instanceId } = store
  const { recordingsDir } = config
  const installation = await openInstallation(database, deeds, clock, config.proxyName)
  const authorities = await Authorities.open({ database, deeds, sealer, clock, installation: installation.id })
  // Before the snapshot is read: what these orders end must not be alive in it.
  await deeds.retrySpilled()
  const snapshot = await Snapshot.load(database.reads)
  for (const order of deeds.waiting()) takeWaitingAway(snapshot, order, clock.now())

  await prepareRecordingsFolder(recordingsDir)
  const failures = new AuthFailures(deeds, clock, log)
  const signIns = new SignInProofs({ authorities: () => authorities.trustedBlobs('user-ssh'), clock })
  const certificateTrust = (): UserCertificateTrust => ({
    authorities: authorities.trustedPems('user-x509'),
    installation: installation.id,
    now: clock.now(),
  })
  const credentials = credentialsOf({ authorities, sealer, reads: database.reads })
  const justInTime = new JustInTimeUsers({
    ...{ reads: database.reads, deeds, sealer, credentials, clock, log },
    servers: { postgres: postgresUsers, mysql: mariadbUsers(clock) },
    isLive: ({ id, instance_id: holder }) => holder !== instanceId || control.live.get(id) !== undefined,
  })
  const control: LocalControlPlane = new LocalControlPlane({
    deeds,
    snapshot,
    sealer,
    credentials,
    justInTime,
    reportAuthFailure: (failure) => failures.report(failure),
    recordingsDir,
    instanceId,
    catchUp: () => deeds.catchUp(),
    offlineGraceMs: config.offlineGraceMs,
    checkSignIn: (input, again) =>
      input.protocol === 'ssh' ? signIns.trouble(input, again) : databaseSignInTrouble(input, certificateTrust()),
    asking: { requests: askAtDoor({ requests: () => requests, clock, log }), limits: config.waiting },
    checkRow: (ref) => rowTrouble(database, ref),
    clock,
    log,
  })
  deeds.onCommitted(async (committed) => {
    await snapshot.apply(committed)
    control.live.recheckTouched(snapshot.takeTouched())
    control.doors?.recheck(committed.rows)
    if (instanceId !== null) await others?.heard(committed)
    for (const event of committed.events) metrics.event(event.type)
    metrics.sessionsOpen(control.live.size)
  })
  const takeAway = (taken: TakenAway, now: number): void => {
    snapshot.takeAway(taken, now)
    control.live.recheckTouched(snapshot.takeTouched())
    control.doors?.recheckAll()
  }
  const requests = new AccessRequests({ reads: database.reads, deeds, clock, log, policies, takeAway })
  const sweeper = new Sweeper({ reads: database.reads, deeds, clock, log })
  const orphanParts = { reads: database.reads, deeds, recordingsDir }
  const others =
    instanceId === null
      ? null
      : new OtherDaemons({
          database,
          deeds,
          clock,
          log,
          id: instanceId,
          control,
          authorities,
          orphanParts,
          offlineGraceMs: config.offlineGraceMs,
        })
  await others?.start()
  // After what the snapshot was read at, and once all who listen are there.
  deeds.follow(snapshot.position)
  control.live.start()
  const forgetting = keepForgetting(snapshot, clock)

  const orphans = async (): Promise<(session: SessionsTable) => boolean> =>
    others === null ? () => true : others.orphansAtStart()

  return {
    installation,
    authorities,
    snapshot,
    failures,
    control,
    requests,
    delegations: new Delegations({ reads: database.reads, deeds, clock }),
    takeAway,
    async catchUp() {
      await fillSearchIndex(database)
      const closed = await closeOrphanSessions(orphanParts, 'the daemon was stopped without notice', await orphans())
      if (closed > 0) log.warn({ sessions: closed }, 'sessions of an earlier run were closed')
      await sweeper.start()
      justInTime.start()
    },
    async closeOrphan(sessionId) {
      control.live.remove(sessionId)
      await closeOrphanSession(orphanParts, sessionId, 'its relay worker died')
      void justInTime.sweep()
    },
    async stop() {
      await others?.stop()
      forgetting.cancel()
      control.live.stop()
      control.doors?.close()
      await sweeper.stop()
      await justInTime.stop()
      await failures.flush()
    },
  }
}

function keepForgetting(snapshot: Snapshot, clock: Clock): Timer {
  let timer = clock.after(FORGET_EVERY_MS, tick)
  function tick(): void {
    snapshot.forgetEnded(clock.now() - FORGET_AFTER_MS)
    timer = clock.after(FORGET_EVERY_MS, tick)
  }
  return { cancel: () => timer.cancel() }
}
