import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { treeCpuMs } from '../support/process-cost.ts'
import { inTurn } from '../support/in-turn.ts'
import { compare, type Row } from '../support/ratio-table.ts'
import type { PostgresTarget } from './postgres-target.ts'
import type { PostgresTargets } from './targets.ts'

interface Transfer {
  readonly name: string
  readonly sql: string
  /** File that goes in */
  readonly input?: string
}

interface Moved {
  readonly perSecond: number
  readonly cpuMs: number
}

const GOAL = 0.9

/** `file`: what COPY took out of the table `bulk`, which is `mib` MiB. */
export async function bulk(targets: PostgresTargets, file: string, mib: number, rounds: number): Promise<Row[]> {
  await copyTo(targets.direct, 'copy bulk to stdout', file)
  const transfers: readonly Transfer[] = [
    { name: `COPY out ${mib}M`, sql: 'copy bulk to stdout' },
    { name: `COPY in ${mib}M`, sql: 'truncate bulk_in; copy bulk_in from stdin', input: file },
    { name: 'select 200k small rows', sql: 'select i, i * 2 from generate_series(1, 200000) i' },
    { name: `${mib} rows of 1M`, sql: `select repeat('x', 1000000) from generate_series(1, ${mib})` },
  ]
  const rows: Row[] = []
  for (const transfer of transfers) rows.push(...(await compareTransfer(targets, transfer, rounds)))
  return rows
}

async function compareTransfer(targets: PostgresTargets, transfer: Transfer, rounds: number): Promise<Row[]> {
  const {
    direct,
    haproxy,
    pgbouncer,
    ours: [ours],
  } = targets
  const moved = new Map<PostgresTarget, Moved[]>([direct, haproxy, pgbouncer, ours].map((target) => [target, []]))
  for (let round = 0; round < rounds; round++)
    for (const target of inTurn([...moved.keys()], round)) moved.get(target)?.push(await move(target, transfer))
  const of = (target: PostgresTarget, what: keyof Moved): number[] => (moved.get(target) ?? []).map((one) => one[what])
  const speed = { case: transfer.name, ours: of(ours, 'perSecond'), better: 'higher', unit: '/s' } as const
  return [
    compare({ ...speed, peer: pgbouncer.name, theirs: of(pgbouncer, 'perSecond'), goal: GOAL }),
    compare({ ...speed, peer: haproxy.name, theirs: of(haproxy, 'perSecond'), goal: 0 }),
    compare({ ...speed, peer: direct.name, theirs: of(direct, 'perSecond'), goal: 0 }),
    compare({
      case: `${transfer.name}, CPU`,
      peer: pgbouncer.name,
      ours: of(ours, 'cpuMs'),
      theirs: of(pgbouncer, 'cpuMs'),
      goal: 0,
      better: 'lower',
      unit: 'ms',
    }),
  ]
}

async function move(target: PostgresTarget, { sql, input }: Transfer): Promise<Moved> {
  const cpu = target.pid === null ? 0 : treeCpuMs(target.pid)
  const seconds = await copyTo(target, sql, '/dev/null', input)
  return { perSecond: 1 / seconds, cpuMs: target.pid === null ? 0 : treeCpuMs(target.pid) - cpu }
}

/** Seconds that psql took. */
async function copyTo(target: PostgresTarget, sql: string, file: string, input = '/dev/null'): Promise<number> {
  const from = openSync(input, 'r')
  const to = openSync(file, 'w')
  const started = performance.now()
  const statements = sql.split('; ').flatMap((one) => ['-c', one])
  const child = spawn('psql', ['-X', '-q', '-A', '-t', ...statements], {
    env: { ...process.env, ...target.env },
    stdio: [from, to, 'pipe'],
  })
  let complaint = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (complaint += text))
  const [code] = (await once(child, 'close')) as [number | null]
  closeSync(from)
  closeSync(to)
  if (code !== 0) throw new Error(`psql through ${target.name} ended with ${code}: ${complaint}`)
  return (performance.now() - started) / 1000
}
