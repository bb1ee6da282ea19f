// Fills a tiny disk (argv[2], a folder of its own) with a recording in the mode argv[3]; says on stdout what happened, as JSON,
// and leaves the file as it was at the end in argv[4].
import { copyFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { systemClock } from '../../../src/foundation/clock.ts'
import { type RecordingMode, RecordingWriter } from '../../../src/recording/recording-writer.ts'
import { KEY, META } from './played.ts'

const [, , folder = '', mode = 'strict', copy = ''] = process.argv
const path = join(folder, 'session.rec')
const ballast = join(folder, 'ballast')
const failures: string[] = []
const writer = RecordingWriter.create({ path, keyId: 'key-1', key: KEY, mode: mode as RecordingMode }, META, {
  clock: systemClock,
  onFailure: (error) => failures.push(error.message),
})
const forwarded: number[] = []
let refusedLater = 0

function send(n: number): boolean {
  try {
    void writer.write({ kind: 'output', channel: 0, stream: 'stdout', bytes: Buffer.from(`${n} `.padEnd(10_000, 'x')) })
    forwarded.push(n)
    return true
  } catch {
    return false
  }
}

let n = 0
while (n < 10 && send(n)) n++
await pause(150)
const { bavail, bsize } = statfsSync(folder)
writeFileSync(ballast, Buffer.alloc(Math.max(0, bavail * bsize - 32_768)))
while (n < 60 && send(n)) n++
await pause(300)
rmSync(ballast)
await pause(300)
for (let i = 0; i < 10; i++) if (!send(++n)) refusedLater += 1
const end = await writer.close('done')
copyFileSync(path, copy)
process.stdout.write(JSON.stringify({ forwarded, refusedLater, failures, end }))
