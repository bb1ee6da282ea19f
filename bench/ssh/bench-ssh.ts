import { execFileSync } from 'node:child_process'
import { tempFolder } from '../../test/support/temp-folder.ts'
import { freePort } from '../../test/support/free-port.ts'
import { start } from '../../test/support/run.ts'
import type { BenchOptions } from '../bench.ts'
import type { Row } from '../support/ratio-table.ts'
import { connect } from './connect.ts'
import { idleMemory } from './idle-memory.ts'
import { keystrokeEcho } from './keystroke-echo.ts'
import { createIdentity, plainHosts, startTarget } from './peers.ts'
import { startUpCost } from './start-up-cost.ts'
import { startOurs } from './start-ours.ts'
import { throughput } from './throughput.ts'

export async function benchSsh({ quick, progress }: BenchOptions): Promise<readonly Row[]> {
  using folder = tempFolder('bench')
  createIdentity(folder)
  await using target = await startTarget(folder, 'target')
  await using jump = await startTarget(folder, 'jump')
  progress('starting Sallyport ...')
  await using ours = await startOurs(folder, target)
  const plain = plainHosts(folder, target, jump)
  const port = await freePort()
  await using forwarder = start(process.execPath, [
    `${import.meta.dirname}/bare-forwarder.ts`,
    String(port),
    String(target.port),
  ])
  await forwarder.prints(/READY/)
  const forwarded = {
    ...plain.direct,
    name: 'bare forwarder',
    options: [...plain.direct.options, '-o', `Port=${port}`],
  }
  const hosts = { ...plain, forwarded, sallyport: ours.host }

  const mib = quick ? 32 : 256
  const file = folder.file('payload')
  execFileSync('dd', ['if=/dev/urandom', `of=${file}`, 'bs=1M', `count=${mib}`, 'status=none'])
  const rows: Row[] = []
  progress('keystroke echo ...')
  rows.push(...(await keystrokeEcho(hosts, quick ? 100 : 400, quick ? 3 : 7)))
  progress('connecting ...')
  rows.push(...(await connect(hosts, quick ? 5 : 20)))
  progress('throughput ...')
  rows.push(...(await throughput(hosts, file, mib, quick ? 2 : 5)))
  progress('memory of idle sessions ...')
  rows.push(...(await idleMemory(ours.host, ours.pid, quick ? 40 : 200)))
  progress('cost of starting ...')
  rows.push(...(await startUpCost(ours, quick ? 2 : 5)))
  return rows
}
