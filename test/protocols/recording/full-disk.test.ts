import { expect, test } from 'vitest'
import type { RecordingEnd } from '../../../src/recording/recording-writer.ts'
import { needProgram } from '../../support/need-program.ts'
import { run } from '../../support/run.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { played } from './played.ts'

const CHILD = new URL('./full-disk-writer.ts', import.meta.url).pathname

interface Outcome {
  forwarded: number[]
  refusedLater: number
  failures: string[]
  end: RecordingEnd
}

/** Runs the writer on a tmpfs of 512 KiB in a mount namespace of its own, which goes when it ends. */
async function onFullDisk(mode: string) {
  const folder = tempFolder('full-disk')
  const copy = folder.file('copy.rec')
  const isRoot = process.getuid?.() === 0
  const script = 'mkdir "$1/disk" && mount -t tmpfs -o size=512k tmpfs "$1/disk" && exec "$2" "$3" "$1/disk" "$4" "$5"'
  const inside = ['sh', '-c', script, 'sh', folder.path, process.execPath, CHILD, mode, copy]
  const namespace = isRoot ? ['--mount'] : ['--user', '--map-root-user', '--mount']
  const finished = await run(needProgram('unshare'), [...namespace, ...inside])
  expect(finished.code, finished.stderr).toBe(0)
  const outcome = JSON.parse(finished.stdout) as Outcome
  const { records, end } = await played(copy)
  folder[Symbol.dispose]()
  const numbers = records.flatMap((record) =>
    record.kind === 'output' ? [Number(Buffer.from(record.bytes).toString().split(' ')[0])] : [],
  )
  return { ...outcome, records, numbers, fileEnd: end }
}

test('strict on a full disk: the write throws, nothing is forwarded that is not stored, and nothing is taken later', async () => {
  const { forwarded, numbers, refusedLater, failures, end, fileEnd } = await onFullDisk('strict')
  expect(forwarded.length).toBeGreaterThan(10)
  expect(forwarded.length).toBeLessThan(60)
  expect(numbers).toEqual(forwarded)
  expect(refusedLater).toBe(10)
  expect(failures).toEqual([expect.stringContaining('ENOSPC')])
  expect(end).toEqual({ complete: false, head: fileEnd.head })
  expect(fileEnd.closed).toBe(false)
})

test('best_effort on a full disk: the session goes on, the gap is told, and storing resumes when there is room', async () => {
  const { forwarded, numbers, records, refusedLater, failures, end, fileEnd } = await onFullDisk('best_effort')
  expect(refusedLater).toBe(0)
  expect(failures).toEqual([])
  const gaps = records.filter((record) => record.kind === 'gap')
  expect(gaps.length).toBeGreaterThan(0)
  expect(gaps[0]?.reason).toContain('ENOSPC')
  const lost = gaps.reduce((sum, gap) => sum + gap.bytes, 0)
  expect(numbers.length * 10_000 + lost).toBe(forwarded.length * 10_000)
  expect(numbers.slice(-10)).toEqual(forwarded.slice(-10))
  expect(end).toEqual({ complete: false, head: fileEnd.head })
  expect(fileEnd).toMatchObject({ closed: true, gap: true, tornBytes: 0 })
})
