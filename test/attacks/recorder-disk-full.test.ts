import { unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import {
  fillDisk,
  mountSmall,
  NODE,
  outputOf,
  played,
  startFaultHouse,
  verified,
  type FaultHouse,
} from '../support/fault-house.ts'
import { tempFolder, type TempFolder } from '../support/temp-folder.ts'
import { until } from '../support/until.ts'

let disk: TempFolder
let unmount: () => void = () => {}
let house: FaultHouse

/** Recordings lie on a tmpfs of their own, data and log elsewhere. */
async function start(mode: 'strict' | 'best_effort'): Promise<string> {
  disk = tempFolder('recordings')
  const folder = disk.file('disk')
  unmount = mountSmall(folder, '4m')
  house = await startFaultHouse({
    config: { recordings_dir: join(folder, 'recordings') },
    roleOptions: { record_session: mode },
  })
  return folder
}

afterEach(async () => {
  await house.sallyport.stop()
  unmount()
  disk[Symbol.dispose]()
})

/** A terminal that prints numbered lines until it is told to stop. */
const COUNTING = 'i=0; while [ ! -e "$0" ] && i=$((i+1)); do echo "line $i of many"; done'

test('strict, on a full recordings folder: the session ends, says why, and its terminal saw nothing that is not recorded', async () => {
  const folder = await start('strict')
  const shell = house.alice.start('ssh', '-tt', NODE, `bash -c '${COUNTING}' /nonexistent/stop`)
  await shell.prints(/line 100 of many/)
  fillDisk(folder)
  const { code, bytes, stderr } = await shell.finished
  expect(code).toBe(255)
  expect(stderr).toContain('can no longer be recorded')
  const [session] = await house.sallyport.sessions()
  await until('the end to be stored', async () => (await house.sallyport.sessions({ live: true })).length === 0)
  expect(session).toBeDefined()
  const ended = await house.sallyport.api.showSession({ params: { id: session?.id ?? '' } })
  expect(ended).toMatchObject({ endReason: 'recording_failed', recording: { state: 'cut_short' } })
  const recorded = outputOf(await played(house.alice, ended.id))
  expect(bytes.length).toBeGreaterThan(1000)
  expect(recorded.subarray(0, bytes.length).equals(bytes)).toBe(true)
  expect((await verified(house.sallyport)).problems).toEqual([])
})

test('strict, when there is no room to begin with: no session starts, and the refusal says so', async () => {
  const folder = await start('strict')
  const filler = fillDisk(folder)
  const refused = await house.alice.ssh(NODE, 'echo reached')
  expect(refused).toMatchObject({ code: 255, stdout: '' })
  expect(refused.stderr).toContain('cannot be recorded')
  unlinkSync(filler)
  expect(await house.alice.ssh(NODE, 'echo reached')).toMatchObject({ code: 0, stdout: 'reached\n' })
})

test('best_effort, on a full recordings folder: the session goes on, and the replay shows the gap', async () => {
  const folder = await start('best_effort')
  const stop = disk.file('stop')
  const shell = house.alice.start('ssh', '-tt', NODE, `bash -c '${COUNTING}; echo LAST' ${stop}`)
  await shell.prints(/line 100 of many/)
  const filler = fillDisk(folder)
  const seen = shell.stdout().length
  await until('a megabyte more', () => shell.stdout().length > seen + 1_000_000)
  unlinkSync(filler)
  const later = shell.stdout().length
  await until('some more, recorded again', () => shell.stdout().length > later + 200_000)
  writeFileSync(stop, '')
  const { code, stdout } = await shell.finished
  expect(code).toBe(0)
  expect(stdout).toContain('LAST')
  await until('the end to be stored', async () => (await house.sallyport.sessions({ live: true })).length === 0)
  const [session] = await house.sallyport.sessions()
  const records = await played(house.alice, session?.id ?? '')
  const gaps = records.filter((record) => record.kind === 'gap')
  expect(gaps.length).toBeGreaterThan(0)
  expect(gaps[0]).toMatchObject({ reason: expect.stringContaining('ENOSPC') as unknown })
  expect(outputOf(records).toString()).toContain('LAST')
  const lost = gaps.reduce((sum, gap) => sum + (gap.kind === 'gap' ? gap.bytes : 0), 0)
  expect(outputOf(records).length + lost).toBe(Buffer.byteLength(stdout))
  expect((await verified(house.sallyport)).problems).toEqual([])
})
