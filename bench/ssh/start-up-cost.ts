import { rmSync } from 'node:fs'
import { systemClock } from '../../src/foundation/clock.ts'
import { startDaemonProcess } from '../../src/main/demo/daemon-process.ts'
import { layoutOf } from '../../src/main/demo/layout.ts'
import { commandCpuMs, treeCpuMs } from '../support/process-cost.ts'
import { compare, type Row } from '../support/ratio-table.ts'
import type { Ours } from './start-ours.ts'

const HELP_LIMIT_MS = 150
const READY_LIMIT_MS = 1000

/** CPU time of `sally --help`, and of the daemon with its workers from a new data folder until it answers. */
export async function startUpCost({ programs, layout }: Ours, runs: number): Promise<Row[]> {
  const help: number[] = []
  const ready: number[] = []
  for (let run = 0; run < runs; run++) {
    help.push(await commandCpuMs([...programs.sally, '--help']))
    const other = layoutOf(`${layout.folder}-start-${run}`)
    const daemon = await startDaemonProcess(systemClock, other, programs)
    ready.push(treeCpuMs(daemon.pid))
    await daemon.stop()
    rmSync(other.folder, { recursive: true, force: true })
  }
  const shared = { peer: 'limit', goal: 1, better: 'lower', unit: 'ms' } as const
  return [
    compare({ ...shared, case: 'sally --help, CPU time', ours: help, theirs: HELP_LIMIT_MS }),
    compare({ ...shared, case: 'daemon ready, CPU time', ours: ready, theirs: READY_LIMIT_MS }),
  ]
}
