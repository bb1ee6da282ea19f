import { randomInt } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ApiError } from '../../src/contract/api-error.ts'
import {
  killControl,
  NODE,
  outputOf,
  played,
  relayWorkers,
  startFaultHouse,
  verified,
  type FaultHouse,
} from '../support/fault-house.ts'
import type { RunningProgram } from '../support/run.ts'
import { until } from '../support/until.ts'

/** Each set of sessions sees every relay worker killed, one after the other, and then the control process. */
const SETS = 25
const WORKERS = 3
const KILLS = SETS * (WORKERS + 1)
const LATEST_KILL_MS = 250
// Some flood, some print as somebody types.
const PACES = [':', ...Array.from({ length: 4 }, () => 'sleep 0.03')]

let house: FaultHouse
beforeEach(async () => {
  house = await startFaultHouse({ config: { workers: WORKERS } })
})
afterEach(() => house.sallyport.stop())

interface NumberedShell {
  /** In each of its lines */
  readonly tag: string
  readonly shell: RunningProgram
}

function openShells(set: number): readonly NumberedShell[] {
  return PACES.map((pace, index) => {
    const tag = `k${set}s${index}`
    const count = `i=0; while :; do i=$((i+1)); echo "${tag} $i abcdefghijklmnopqrstuvwxyz"; ${pace}; done`
    return { tag, shell: house.alice.start('ssh', '-tt', NODE, count) }
  })
}

interface Acknowledged {
  readonly roles: string[]
  readonly locks: string[]
}

/** Gives and takes power until told to stop; everything whose answer arrived is in `acknowledged`. */
async function keepDoing(set: number, acknowledged: Acknowledged, signal: AbortSignal): Promise<void> {
  const { api } = house.sallyport
  for (let index = 0; !signal.aborted; index++) {
    const name = `made-${set}-${index}`
    const document = { kind: 'role', version: 'v1', metadata: { name }, spec: { allow: {} } }
    try {
      await api.createDocument({ body: { document } })
      acknowledged.roles.push(name)
      const lock = await api.addLock({ body: { kind: 'role', target: 'unused', message: '', ttl: '1h' } })
      acknowledged.locks.push(lock.id)
    } catch (error) {
      // No answer came: nobody was promised anything.
      if (!(error instanceof ApiError)) throw error
    }
    await pause(20)
  }
}

/** Kills at random moments of the shells' lives, and compares what they saw with what is recorded. Gives how much. */
async function strike(set: number, acknowledged: Acknowledged): Promise<number> {
  const since = Date.now()
  const shells = openShells(set)
  const stop = new AbortController()
  const doing = keepDoing(set, acknowledged, stop.signal)
  // In one set of four the first kills come while the sessions are still being set up.
  if (set % 4 > 0) await Promise.all(shells.map(({ tag, shell }) => shell.prints(new RegExp(`${tag} 1 `))))
  for (const worker of relayWorkers(house.sallyport)) {
    await pause(randomInt(LATEST_KILL_MS))
    process.kill(worker, 'SIGKILL')
  }
  await pause(randomInt(LATEST_KILL_MS))
  await killControl(house.sallyport)
  await house.sallyport.restart()
  stop.abort()
  await doing
  const seen = await Promise.all(shells.map(async ({ shell }) => (await shell.finished).bytes))
  // A session struck before its file was made has shown nothing either.
  const sessions = (await house.sallyport.sessions()).filter(
    ({ startedAt, recording }) => startedAt >= since - 1000 && recording.state !== 'missing',
  )
  const recorded = await Promise.all(sessions.map(async ({ id }) => outputOf(await played(house.alice, id))))
  for (const [index, { tag }] of shells.entries()) expectRecorded(tag, seen[index] ?? Buffer.alloc(0), recorded)
  return seen.reduce((sum, bytes) => sum + bytes.length, 0)
}

function expectRecorded(tag: string, seen: Buffer, recordings: readonly Buffer[]): void {
  if (seen.length === 0) return
  const recording = recordings.find((bytes) => bytes.indexOf(`${tag} 1 `) >= 0)
  expect(recording, `no recording shows ${tag}, which saw ${seen.length} bytes`).toBeDefined()
  const same = recording?.subarray(0, seen.length).equals(seen)
  expect(same, `${tag} saw ${seen.length} bytes, of ${recording?.length} recorded ones, that are not the same`).toBe(
    true,
  )
}

test(`killed at ${KILLS} random moments: nothing that a terminal saw is unrecorded, nothing acknowledged is lost, the chain is whole`, async () => {
  const acknowledged: Acknowledged = { roles: [], locks: [] }
  let seen = 0
  for (let set = 0; set < SETS; set++) seen += await strike(set, acknowledged)
  const { api } = house.sallyport
  const roles = new Set((await api.listRoles({})).items.map((role) => role.metadata.name))
  const locks = new Set((await api.listLocks({})).items.map((lock) => lock.id))
  expect(acknowledged.roles.filter((name) => !roles.has(name))).toEqual([])
  expect(acknowledged.locks.filter((id) => !locks.has(id))).toEqual([])
  expect(acknowledged.roles.length).toBeGreaterThan(SETS)
  expect(seen).toBeGreaterThan(KILLS * 100)
  await until('every session to have ended', async () => (await house.sallyport.sessions({ live: true })).length === 0)
  expect(await verified(house.sallyport)).toEqual({ problems: [], anchored: true })
  process.stdout.write(
    `${KILLS} kills: ${seen} bytes seen and recorded; ${roles.size} roles and ${locks.size} locks acknowledged\n`,
  )
}, 1_200_000)
