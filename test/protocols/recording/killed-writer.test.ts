import { expect, test } from 'vitest'
import { repairRecording } from '../../../src/recording/repair.ts'
import { verifyRecording } from '../../../src/recording/verify-recording.ts'
import { start } from '../../support/run.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { played, SESSION } from './played.ts'

const CHILD = new URL('./numbered-writer.ts', import.meta.url).pathname
const TIMES = 100

test(
  'killed at a hundred random moments, a writer loses nothing that it had acknowledged',
  { timeout: 600_000 },
  async () => {
    using folder = tempFolder('killed')
    let acknowledged = 0
    let torn = 0
    for (let round = 0; round < TIMES; round++) {
      const path = folder.file(`${round}.rec`)
      const child = start(process.execPath, [CHILD, path])
      await child.prints(new RegExp(`^${Math.floor(Math.random() * 60)}\n`, 'm'), { every: 1 })
      child.child.kill('SIGKILL')
      const { stdout } = await child.finished
      const last = Number(stdout.slice(0, stdout.lastIndexOf('\n')).split('\n').at(-1))
      acknowledged += last + 1

      const { records, end } = await played(path)
      const numbers = records.flatMap((record) =>
        record.kind === 'output' ? [Number(Buffer.from(record.bytes).toString('latin1').split(' ')[0])] : [],
      )
      expect(numbers).toEqual(numbers.map((_, i) => i))
      expect(numbers.length, `round ${round}: acknowledged up to ${last}`).toBeGreaterThan(last)
      expect(end.closed).toBe(false)
      torn += end.tornBytes > 0 ? 1 : 0

      const repaired = await repairRecording(path)
      expect(repaired).toEqual({ state: 'cut_short', head: end.head, tornBytes: end.tornBytes, altered: null })
      const head = { chunks: end.head?.chunks ?? 0, digest: end.head?.digest ?? '' }
      const expected = { session: SESSION, state: 'cut_short', end: head, checkpoints: [head] } as const
      expect((await verifyRecording(path, expected)).problems).toEqual([])
    }
    process.stdout.write(`${TIMES} kills, ${acknowledged} acknowledged records, ${torn} files with a torn chunk\n`)
  },
)
