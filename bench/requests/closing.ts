import { createSecretKey, randomBytes } from 'node:crypto'
import { LocalControlPlane } from '../../src/connection/local-control-plane.ts'
import { silentLog } from '../../src/foundation/log.ts'
import { createSealer } from '../../src/identity/sealing.ts'
import { seededStore } from '../../test/support/seeded-store.ts'

const HOUR = 3_600_000

/** Milliseconds from a revoke until the last of `count` live sessions has been told to close and its end is stored. */
export async function closingTimes(runs: number, count: number): Promise<number[]> {
  const times: number[] = []
  for (let run = 0; run < runs; run++) times.push(await closeAll(count))
  return times
}

async function closeAll(count: number): Promise<number> {
  const store = await seededStore()
  const control = new LocalControlPlane({
    instanceId: null,
    catchUp: async () => {},
    deeds: store.deeds,
    snapshot: store.snapshot,
    sealer: createSealer({ id: '0123456789abcdef', key: createSecretKey(randomBytes(32)) }),
    credentials: {
      onwardCertificate: () => Promise.resolve(new Uint8Array([1])),
      databaseCertificate: () => Promise.resolve(new Uint8Array([2])),
      databasePassword: () => Promise.resolve('secret'),
    },
    reportAuthFailure: () => {},
    recordingsDir: '/var/empty',
    offlineGraceMs: 60_000,
    checkSignIn: () => null,
    checkRow: () => Promise.resolve(null),
    clock: store.clock,
    log: silentLog,
  })
  const recheck = (): void => control.live.recheckTouched(store.snapshot.takeTouched())
  store.afterCommit(recheck)
  await store.role('dba', { allow: { logins: ['postgres'], node_labels: { '*': '*' } } })
  await store.role('asker', { allow: { request: { roles: ['dba'] } } })
  await store.user('ada', ['asker'])
  await store.login('ada')
  await store.node('db-box', { env: 'prod' })
  await store.grant('1', 'ada', 'dba', HOUR)
  const ended: Promise<void>[] = []
  for (let n = 0; n < count; n++) {
    const answer = await control.authorize({
      ...{ protocol: 'ssh', loginSessionId: 'lgn_ada', userId: 'usr_ada', keyFingerprint: 'SHA256:ada' },
      ...{ certificateSerial: '7', node: 'db-box', login: null, address: '127.0.0.1' },
      proof: { sessionId: new Uint8Array(), request: new Uint8Array(), signature: new Uint8Array() },
    })
    if (!answer.ok) throw new Error(answer.lines.join('\n'))
    const { sessionId } = answer.facts
    const over = Promise.withResolvers<void>()
    const end = { reason: 'closed', complete: true, contents: [], head: null }
    control.watchEnd(sessionId, () => void control.endSession(sessionId, end).then(over.resolve, over.reject))
    ended.push(over.promise)
  }
  const started = performance.now()
  store.snapshot.takeAway({ kind: 'grant', id: 'grt_1', reason: 'revoked', by: 'bob', comment: '' }, store.clock.now())
  recheck()
  await Promise.all(ended)
  const ms = performance.now() - started
  await store.deeds.close()
  await store.database.close()
  return ms
}
