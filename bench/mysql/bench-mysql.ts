import { readFileSync, writeFileSync } from 'node:fs'
import { tempFolder } from '../../test/support/temp-folder.ts'
import type { BenchOptions } from '../bench.ts'
import { peerAuthority } from '../support/authority.ts'
import { startHaproxy } from '../support/haproxy.ts'
import type { Row } from '../support/ratio-table.ts'
import { startBareRelay } from '../support/start-bare-relay.ts'
import { bulk } from './bulk.ts'
import { connects } from './connects.ts'
import { idleMemory } from './idle-memory.ts'
import { mysqlTarget, type MysqlTargets } from './mysql-target.ts'
import { fillServer, startServer, trust } from './server.ts'
import { startOurs } from './start-ours.ts'
import { ROWS, sysbench } from './sysbench.ts'
import { throughput } from './throughput.ts'

const POINT_SELECTS = [
  { script: 'oltp_point_select', prepared: false },
  { script: 'oltp_point_select', prepared: true },
] as const

/** Every way in is TLS with a client certificate. Ours is TLS to the server too, and records every statement. */
export async function benchMysql({ quick, progress }: BenchOptions): Promise<readonly Row[]> {
  using folder = tempFolder('bench')
  const authority = peerAuthority(folder)
  const client = authority.issue('app', 'app', 'DNS:app')
  progress('starting MariaDB ...')
  await using server = await startServer()
  const ca = folder.file('server.crt')
  writeFileSync(ca, server.authority.certificatePem)
  progress('starting Sallyport and haproxy ...')
  await using ours = await startOurs(folder, server, ca)
  await trust(server, [readFileSync(authority.file, 'utf8'), ours.authority])
  await using haproxy = await startHaproxy(folder, server.port)
  const files = { ca, ...client }
  const leaf = authority.issue('front', 'localhost', 'DNS:localhost,IP:127.0.0.1')
  await using bare = await startBareRelay('mysql', server.port, { authority: ca, server: leaf, client })
  const peers = {
    direct: mysqlTarget(folder, { name: 'direct', port: server.port, files, pid: null }),
    haproxy: mysqlTarget(folder, { name: 'haproxy', port: haproxy.port, files, pid: haproxy.pid }),
    bare: mysqlTarget(folder, {
      ...{ name: 'bare relay', port: bare.port, pid: bare.pid },
      files: { ...files, ca: authority.file },
    }),
  }
  const targets: MysqlTargets = { ...peers, ours: ours.targets, all: [...Object.values(peers), ...ours.targets] }
  await fillServer(targets.direct, ROWS)

  progress('warming up ...')
  for (const target of targets.all)
    await sysbench(target, { script: 'oltp_point_select', prepared: true, clients: 8, seconds: quick ? 1 : 5 })
  const rows: Row[] = []
  progress('sysbench ...')
  const plan = quick
    ? { loads: POINT_SELECTS, clients: [8], seconds: 3, rounds: 1 }
    : { loads: [...POINT_SELECTS, { script: 'oltp_read_only' } as const], clients: [1, 8, 32], seconds: 4, rounds: 4 }
  rows.push(...(await throughput(targets, plan)))
  progress('bulk ...')
  const mib = quick ? 16 : 96
  rows.push(...(await bulk(targets, (name) => folder.file(name), mib, quick ? 1 : 4)))
  progress('new connections ...')
  rows.push(...(await connects(targets, 3, quick ? 1 : 4)))
  progress('memory of idle connections ...')
  rows.push(...(await idleMemory(targets.ours[0], quick ? 40 : 200)))
  return rows
}
