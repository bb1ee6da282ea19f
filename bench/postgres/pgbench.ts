import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from '../../test/support/run.ts'
import { treeCpuMs } from '../support/process-cost.ts'
import type { PostgresTarget } from './postgres-target.ts'

export interface PgbenchLoad {
  readonly mode: 'simple' | 'extended' | 'prepared'
  readonly clients: number
  readonly seconds: number
  /** Transactions a second; absent: as many as there can be */
  readonly rate?: number
  /** Each transaction in a connection of its own */
  readonly reconnect?: true
}

export interface PgbenchResult {
  readonly tps: number
  /** Microseconds */
  readonly p50: number
  readonly p99: number
  /** CPU time of the proxy for one transaction, microseconds */
  readonly cpu: number
}

/** `pgbench -S`: one select by key, from memory. */
export async function pgbench(target: PostgresTarget, load: PgbenchLoad): Promise<PgbenchResult> {
  const folder = mkdtempSync(join(tmpdir(), 'pgbench-'))
  const before = target.pid === null ? 0 : treeCpuMs(target.pid)
  try {
    const args = ['-n', '-S', '-M', load.mode, '-c', String(load.clients), '-j', '2', '-T', String(load.seconds)]
    const rate = load.rate === undefined ? [] : ['-R', String(load.rate)]
    const log = load.reconnect ? ['-C'] : ['-l', `--log-prefix=${folder}/x`]
    const done = await run('pgbench', [...args, ...rate, ...log], { env: target.env, timeout: 120_000 })
    const tps = Number(/tps = ([\d.]+)/.exec(done.stdout)?.[1] ?? 0)
    const count = Number(/actually processed: (\d+)/.exec(done.stdout)?.[1] ?? 0)
    if (done.code !== 0 || count === 0)
      throw new Error(`pgbench through ${target.name} ended with ${done.code}: ${done.stdout.slice(-500)}${done.stderr.slice(-1000)}`)
    const cpu = target.pid === null ? 0 : ((treeCpuMs(target.pid) - before) * 1000) / count
    return { tps, cpu, ...percentiles(folder, load.rate !== undefined) }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Lines are `client number microseconds script seconds microseconds [lag]`; with a rate the lag is no latency of ours. */
function percentiles(folder: string, hasLag: boolean): { readonly p50: number; readonly p99: number } {
  const times: number[] = []
  for (const name of readdirSync(folder))
    for (const line of readFileSync(join(folder, name), 'utf8').split('\n')) {
      const fields = line.split(' ')
      if (fields.length > 2) times.push(Number(fields[2]) - (hasLag ? Number(fields[6]) : 0))
    }
  times.sort((a, b) => a - b)
  return { p50: times[times.length >> 1] ?? Number.NaN, p99: times[Math.floor(times.length * 0.99)] ?? Number.NaN }
}
