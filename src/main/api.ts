import { sign } from 'node:crypto'
import { acceptRollback } from '../audit/accept-rollback.ts'
import { alteredLiveRows } from '../audit/live-rows.ts'
import { createOutbox } from '../audit/outbox.ts'
import type { OutsideFile } from '../audit/outside-file.ts'
import type { Actor } from '../contract/audit.ts'
import type { NewEvent } from '../audit/deed.ts'
import { liveInstances } from '../connection/instances.ts'
import type { FromChat } from '../contract/from-chat.ts'
import type { Clock } from '../foundation/clock.ts'
import type { LocalControlPlane } from '../connection/local-control-plane.ts'
import type { Config } from '../foundation/config.ts'
import type { Metrics } from '../foundation/metrics.ts'
import { auditHandlers } from '../http-api/audit.ts'
import { checkAccessHandlers } from '../http-api/check-access.ts'
import { databaseHandlers } from '../http-api/databases.ts'
import { delegationHandlers } from '../http-api/delegations.ts'
import { deliveryHandlers } from '../http-api/deliveries.ts'
import { identityChecks, identityHandlers } from '../http-api/identity-handlers.ts'
import type { IdentityServices } from '../http-api/identity-services.ts'
import { integrationHandlers } from '../http-api/integrations.ts'
import { requestableHandlers } from '../http-api/requestable.ts'
import { policyHandlers } from '../http-api/policies.ts'
import { requestHandlers } from '../http-api/requests.ts'
import { createApi, type Api } from '../http-api/server.ts'
import { recordingSearchHandlers } from '../http-api/recording-search.ts'
import { sessionHandlers, type SessionServices } from '../http-api/sessions.ts'
import { isSignedIn } from '../http-api/still-signed-in.ts'
import { RefusedCalls } from '../http-api/refused-calls.ts'
import { statusHandlers } from '../http-api/status.ts'
import { visibleNodeHandlers } from '../http-api/visible-nodes.ts'
import { SharedLimiter } from '../identity/shared-limiter.ts'
import { Passwords } from '../identity/passwords.ts'
import type { ControlSide } from './control-side.ts'
import type { DaemonSurroundings } from './daemon.ts'
import { checkIntegration, type Notify } from './notify.ts'
import type { Store } from './open-store.ts'
import type { Policies } from './policies.ts'
import type { StoreVerifier } from './store-verifier.ts'

export interface ApiParts {
  readonly config: Config
  readonly surroundings: DaemonSurroundings
  readonly store: Store
  readonly side: ControlSide
  readonly policies: Policies
  readonly outside: OutsideFile
  readonly verifier: StoreVerifier
  readonly metrics: Metrics
  readonly notify: Notify
  readonly fromChat: FromChat
  /** HOST:PORT that clients reach; known once the workers listen */
  readonly publicAddress: () => string
  /** null: there is no port for MySQL */
  readonly mysqlPort: () => number | null
}

/** Every noun's handlers over the services, behind one server. */
export function openApi(parts: ApiParts): Api {
  const { store, surroundings, config, side } = parts
  const { control } = side
  const { database, deeds, sealer } = store
  const { clock, log } = surroundings
  const identity = identityServices(parts)
  const checks = identityChecks(identity)
  const notReady = (): Promise<readonly string[]> => {
    const health = deeds.health()
    return Promise.resolve(health.ok ? [] : [health.why])
  }
  const refused = new RefusedCalls(deeds, clock, log)
  const sessions: SessionServices = {
    db: database.reads,
    deeds,
    recordingsDir: config.recordingsDir,
    sealer,
    mayOperate: checks.mayOperate,
    stillSignedIn: (loginId) => isSignedIn(side.snapshot, loginId, clock.now()),
    liveBytes: (id) => control.openHeads().get(id)?.bytes,
    terminate: (session, order) => terminateAnywhere(store, clock, control, session, order),
  }
  return createApi({
    handlers: {
      ...identityHandlers(identity),
      ...requestHandlers(side.requests, clock),
      ...policyHandlers({ database, reload: (doer) => parts.policies.load(doer) }),
      ...delegationHandlers(side.delegations),
      ...checkAccessHandlers({ snapshot: side.snapshot, requests: side.requests, clock }),
      ...databaseHandlers({
        identity,
        snapshot: side.snapshot,
        requests: side.requests,
        mysqlPort: parts.mysqlPort,
      }),
      ...visibleNodeHandlers({ snapshot: side.snapshot, clock }),
      ...requestableHandlers({ snapshot: side.snapshot, clock }),
      ...statusHandlers({
        database,
        clock,
        installation: identity.installation,
        version: identity.version,
        publicAddress: parts.publicAddress,
        pin: () => side.authorities.pin(),
        keyEncryption: config.keyEncryption,
        notReady,
        liveSessions: () => control.live.size,
        instanceId: store.instanceId,
        storeNow: () => store.clock.now(),
      }),
      ...deliveryHandlers(createOutbox(database, clock)),
      ...integrationHandlers({
        reads: database.reads,
        deeds,
        clock,
        patienceMs: 10_000,
        waitsOf: (integration) => parts.notify.waits(integration),
        check: (integration, signal) => checkIntegration(integration, parts.notify, store.sealer, signal),
      }),
      ...auditHandlers({
        database,
        deeds,
        verify: (signal) => parts.verifier.verify(signal),
        async acceptRollback(actor, reason) {
          const { privateKey } = side.authorities.checkpointKey()
          const signed = (text: string): Uint8Array => sign(null, Buffer.from(text), privateKey)
          const altered = (await alteredLiveRows({ database })).map(({ ref }) => ref)
          await acceptRollback(deeds, { actor, reason, altered, lost: parts.outside.last(), sign: signed })
          await side.catchUp()
        },
      }),
      ...sessionHandlers(sessions),
      ...recordingSearchHandlers(sessions),
    },
    ...checks,
    reportRefused: (caller, route) => refused.report(caller, route),
    origins: [],
    callbacks: async (callback, signal) => {
      const connector = parts.notify.connector(callback.integration)
      return (await connector?.receive?.(callback, parts.fromChat, signal)) ?? null
    },
    forgedCallbacks: config.forgedCallbacksPerAddress,
    pages: { ...identity, requests: side.requests, log },
    notReady,
    metrics: () => parts.metrics.text(),
    clock,
    log,
  })
}

function identityServices(parts: ApiParts): IdentityServices {
  const { config, surroundings, store, publicAddress } = parts
  const { authorities, failures, snapshot, takeAway, installation } = parts.side
  const { clock } = surroundings
  return {
    database: store.database,
    deeds: store.deeds,
    sealer: store.sealer,
    clock,
    takeAway,
    authorities,
    snapshot,
    passwords: new Passwords(),
    limiter: new SharedLimiter({
      database: store.database,
      clock,
      log: surroundings.log,
      installation: installation.id,
    }),
    failures,
    loginTtlMs: config.loginTtlMs,
    installation: installation.name,
    version: surroundings.version,
    proxyName: config.proxyName,
    get publicAddress() {
      return publicAddress()
    },
  }
}

/** A session that another daemon on this store holds is ended by telling of it. */
async function terminateAnywhere(
  { database, deeds, instanceId }: Store,
  clock: Clock,
  control: LocalControlPlane,
  { id, instance_id: holder }: { readonly id: string; readonly instance_id: string | null },
  order: { readonly by: Actor; readonly message: string },
): Promise<boolean> {
  if (holder === null || holder === instanceId) return terminate(control, id, order)
  if (!(await liveInstances(database.reads, clock.now())).has(holder)) return false
  const event: NewEvent = {
    type: 'session.terminate',
    actor: order.by,
    outcome: 'success',
    session: id,
    details: { text: textOfEnd(order) },
  }
  await deeds.commitDeed(() => Promise.resolve({ result: null, events: [event] }))
  return true
}

const textOfEnd = ({ by, message }: { readonly by: { readonly name: string }; readonly message: string }): string =>
  `this session was ended by ${by.name}${message === '' ? '' : `: ${message}`}`

function terminate(
  control: LocalControlPlane,
  sessionId: string,
  order: { readonly by: { readonly name: string }; readonly message: string },
): boolean {
  const session = control.live.get(sessionId)
  if (!session) return false
  control.live.end(session, 'terminated', textOfEnd(order))
  return true
}
