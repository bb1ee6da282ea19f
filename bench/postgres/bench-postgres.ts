import { readFileSync } from 'node:fs'
import { tempFolder } from '../../test/support/temp-folder.ts'
import type { BenchOptions } from '../bench.ts'
import { peerAuthority } from '../support/authority.ts'
import { startHaproxy } from '../support/haproxy.ts'
import type { Row } from '../support/ratio-table.ts'
import { startBareRelay } from '../support/start-bare-relay.ts'
import { bulk } from './bulk.ts'
import { connects } from './connects.ts'
import { idleMemory } from './idle-memory.ts'
import { addedLatency } from './latency.ts'
import { warmUp } from './pgbench.ts'
import { startPgbouncer } from './pgbouncer.ts'
import { tlsEnv, type PostgresTarget } from './postgres-target.ts'
import { secure, startServer } from './server.ts'
import { startOurs } from './start-ours.ts'
import type { PostgresTargets } from './targets.ts'
import { throughput } from './throughput.ts'

/** Transactions until what is compiled while it runs is compiled: counted, because time means nothing beside other work. */
const WARM = 40_000
const WARM_QUICK = 8_000

/** Every way in is TLS with a client certificate. Ours is TLS to the server too, and records every statement. */
export async function benchPostgres({ quick, progress }: BenchOptions): Promise<readonly Row[]> {
  using folder = tempFolder('bench')
  const authority = peerAuthority(folder)
  const leaf = authority.issue('server', 'localhost', 'DNS:localhost,IP:127.0.0.1')
  const client = authority.issue('app', 'app', 'DNS:app')
  progress('starting PostgreSQL ...')
  const mib = quick ? 16 : 96
  await using server = await startServer(quick ? 1 : 10, mib)
  progress('starting Sallyport and its peers ...')
  await using ours = await startOurs(folder, server, authority.file)
  await secure(server, leaf, [readFileSync(authority.file, 'utf8'), ours.authority])
  await using haproxy = await startHaproxy(folder, server.port)
  await using pgbouncer = await startPgbouncer(server, { ca: authority.file, ...leaf })
  await using bare = await startBareRelay('postgres', server.port, { authority: authority.file, server: leaf, client })
  const way = (name: string, port: number, pid: number | null): PostgresTarget => ({
    name,
    env: tlsEnv(port, { ca: authority.file, ...client }),
    pid,
  })
  const peers = {
    direct: way('direct', server.port, null),
    haproxy: way('haproxy', haproxy.port, haproxy.pid),
    pgbouncer: way('pgbouncer', pgbouncer.port, pgbouncer.pid),
    bare: way('bare relay', bare.port, bare.pid),
  }
  const targets: PostgresTargets = { ...peers, ours: ours.targets, all: [...Object.values(peers), ...ours.targets] }

  progress('warming up ...')
  for (const target of targets.all) await warmUp(target, quick ? WARM_QUICK : WARM)
  progress('memory of idle connections ...')
  // Behind the loads that follow the collector would give back more than connections take.
  const memory = await idleMemory(ours.targets[0], quick ? 40 : 200)
  const rows: Row[] = []
  progress('pgbench -S ...')
  const plan = quick
    ? ({ modes: ['simple', 'prepared'], clients: [8], seconds: 2, rounds: 1 } as const)
    : ({ modes: ['simple', 'extended', 'prepared'], clients: [1, 8, 32, 100], seconds: 3, rounds: 4 } as const)
  rows.push(...(await throughput(targets, plan)))
  progress('latency ...')
  rows.push(...(await addedLatency(targets, quick ? 2 : 5, quick ? 1 : 5)))
  progress('bulk ...')
  rows.push(...(await bulk(targets, folder.file('bulk'), mib, quick ? 1 : 4)))
  progress('new connections ...')
  rows.push(...(await connects(targets, quick ? 1 : 3, quick ? 1 : 4)))
  return [...rows, ...memory]
}
