import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
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

/** Of the time that a run takes, the part in which everybody has connected and nobody has left */
const STEADY = [0.4, 0.95] as const

/** `pgbench -S`: one select by key, from memory. CPU time is that of the steady part. */
export async function pgbench(target: PostgresTarget, load: PgbenchLoad): Promise<PgbenchResult> {
  const folder = mkdtempSync(join(tmpdir(), 'pgbench-'))
  try {
    const args = ['-n', '-S', '-M', load.mode, '-c', String(load.clients), '-j', '2', '-T', String(load.seconds)]
    const rate = load.rate === undefined ? [] : ['-R', String(load.rate)]
    const log = load.reconnect ? ['-C'] : ['-l', `--log-prefix=${folder}/x`]
    const running = run('pgbench', [...args, ...rate, ...log], { env: target.env, timeout: 120_000 })
    const [from, to] = await Promise.all(STEADY.map((part) => sampleAt(part * load.seconds * 1000, target.pid)))
    const done = await running
    const tps = Number(/tps = ([\d.]+)/.exec(done.stdout)?.[1] ?? 0)
    if (done.code !== 0 || tps === 0 || !from || !to)
      throw new Error(
        `pgbench through ${target.name} ended with ${done.code}: ${done.stdout}${done.stderr.slice(-1000)}`,
      )
    const all = transactions(folder)
    const steady = all.filter(({ at }) => at >= from.at && at < to.at)
    const times = (load.rate === undefined ? all : steady).map(({ us }) => us).sort((a, b) => a - b)
    return {
      tps,
      p50: times[times.length >> 1] ?? Number.NaN,
      p99: times[Math.floor(times.length * 0.99)] ?? Number.NaN,
      cpu: ((to.cpuMs - from.cpuMs) * 1000) / steady.length,
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

async function sampleAt(ms: number, pid: number | null): Promise<{ readonly at: number; readonly cpuMs: number }> {
  await pause(ms)
  return { at: Date.now(), cpuMs: pid === null ? 0 : treeCpuMs(pid) }
}

/** Lines are `client number microseconds script seconds microseconds [lag]`; with a rate the lag is no latency of ours. */
function transactions(folder: string): readonly { readonly at: number; readonly us: number }[] {
  return readdirSync(folder).flatMap((name) =>
    readFileSync(join(folder, name), 'utf8')
      .split('\n')
      .map((line) => line.split(' ').map(Number))
      .filter((fields) => fields.length > 5)
      .map(([, , us = 0, , seconds = 0, micros = 0, lag = 0]) => ({
        at: seconds * 1000 + micros / 1000,
        us: us - lag,
      })),
  )
}
