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

const SAMPLE_MS = 100
/** Of the time in which there are transactions: everybody has connected, and nobody has left */
const STEADY = [0.1, 0.95] as const

/** `pgbench -S`: one select by key, from memory. CPU time is that of the steady part. */
export async function pgbench(target: PostgresTarget, load: PgbenchLoad): Promise<PgbenchResult> {
  const folder = mkdtempSync(join(tmpdir(), 'pgbench-'))
  try {
    const args = ['-n', '-S', '-M', load.mode, '-c', String(load.clients), '-j', '2', '-T', String(load.seconds)]
    const rate = load.rate === undefined ? [] : ['-R', String(load.rate)]
    const log = load.reconnect ? ['-C'] : ['-l', `--log-prefix=${folder}/x`]
    const running = run('pgbench', [...args, ...rate, ...log], { env: target.env, timeout: LONGEST_RUN_MS })
    const stop = new AbortController()
    const sampling = load.reconnect ? sampled(target.pid, stop.signal, 0) : sampled(target.pid, stop.signal, SAMPLE_MS)
    const done = await running
    stop.abort()
    const samples = await sampling
    const tps = Number(/tps = ([\d.]+)/.exec(done.stdout)?.[1] ?? 0)
    if (done.code !== 0 || tps === 0)
      throw new Error(
        `pgbench through ${target.name} ended with ${done.code}: ${done.stdout}${done.stderr.slice(-1000)}`,
      )
    const all = transactions(folder)
    // Without a log, which -C would spoil, all of the run counts.
    const [from, to] = load.reconnect ? [samples.at(0), samples.at(-1)] : steadyPart(samples, all)
    if (!from || !to || from === to) throw new Error(`pgbench through ${target.name}: too short a run`)
    const steady = all.filter(({ at }) => at >= from.at && at < to.at)
    const served = load.reconnect ? tps * load.seconds : steady.length
    const times = (load.rate === undefined ? all : steady).map(({ us }) => us).sort((a, b) => a - b)
    return {
      tps,
      p50: times[times.length >> 1] ?? Number.NaN,
      p99: times[Math.floor(times.length * 0.99)] ?? Number.NaN,
      cpu: ((to.cpuMs - from.cpuMs) * 1000) / served,
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const LONGEST_RUN_MS = 120_000
const WARM_CLIENTS = 8
const WARM_CONNECTIONS = 100

/** So many transactions over a few connections, and a hundred in new ones. */
export async function warmUp({ name, env }: PostgresTarget, transactions: number): Promise<void> {
  const clients = ['-c', String(WARM_CLIENTS), '-j', '2']
  const each = (all: number): string => String(Math.ceil(all / WARM_CLIENTS))
  for (const load of [
    ['-M', 'prepared', '-t', each(transactions)],
    ['-C', '-t', each(WARM_CONNECTIONS)],
  ]) {
    const done = await run('pgbench', ['-n', '-S', ...clients, ...load], { env, timeout: 300_000 })
    if (done.code !== 0) throw new Error(`pgbench through ${name} ended with ${done.code}: ${done.stderr.slice(-1000)}`)
  }
}

interface Sample {
  readonly at: number
  readonly cpuMs: number
}

/** Until the signal is aborted; `every` 0: at the start and at the end. */
async function sampled(pid: number | null, signal: AbortSignal, every: number): Promise<readonly Sample[]> {
  const now = (): Sample => ({ at: Date.now(), cpuMs: pid === null ? 0 : treeCpuMs(pid) })
  const samples = [now()]
  while (!signal.aborted) {
    await pause(every || LONGEST_RUN_MS, undefined, { signal }).catch(() => undefined)
    samples.push(now())
  }
  return samples
}

function steadyPart(
  samples: readonly Sample[],
  all: readonly { readonly at: number }[],
): readonly (Sample | undefined)[] {
  const times = all.map(({ at }) => at).sort((a, b) => a - b)
  const [first = 0, last = 0] = [times.at(0), times.at(-1)]
  const inside = STEADY.map((part) => first + part * (last - first))
  const [begin = 0, end = 0] = inside
  const part = samples.filter(({ at }) => at >= begin && at <= end)
  return [part.at(0), part.at(-1)]
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
