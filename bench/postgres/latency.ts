import { inTurn } from '../support/in-turn.ts'
import { compare, type Row } from '../support/ratio-table.ts'
import { pgbench, type PgbenchResult } from './pgbench.ts'
import type { PostgresTarget } from './postgres-target.ts'
import type { PostgresTargets } from './targets.ts'

const RATE = 1500
const LIMIT_US = 250

/** What the proxy adds to a prepared select at a rate that leaves the machine idle time. */
export async function addedLatency(targets: PostgresTargets, seconds: number, rounds: number): Promise<Row[]> {
  const {
    direct,
    pgbouncer,
    ours: [ours],
  } = targets
  const measured = new Map<PostgresTarget, PgbenchResult[]>([direct, pgbouncer, ours].map((target) => [target, []]))
  for (let round = 0; round < rounds; round++)
    for (const target of inTurn([...measured.keys()], round))
      measured.get(target)?.push(await pgbench(target, { mode: 'prepared', clients: 8, seconds, rate: RATE }))
  const added = (target: PostgresTarget, what: 'p50' | 'p99'): number[] =>
    (measured.get(target) ?? []).map(
      (result, run) => result[what] - (measured.get(direct)?.[run]?.[what] ?? Number.NaN),
    )
  const shared = { better: 'lower', unit: 'us' } as const
  return [
    compare({
      ...shared,
      case: `added p50 at ${RATE} tps`,
      peer: 'limit',
      ours: added(ours, 'p50'),
      theirs: LIMIT_US,
      goal: 1,
    }),
    compare({
      ...shared,
      case: `added p50 at ${RATE} tps`,
      peer: pgbouncer.name,
      ours: added(ours, 'p50'),
      theirs: added(pgbouncer, 'p50'),
      goal: 0,
    }),
    compare({
      ...shared,
      case: `added p99 at ${RATE} tps`,
      peer: pgbouncer.name,
      ours: added(ours, 'p99'),
      theirs: added(pgbouncer, 'p99'),
      goal: 0,
    }),
  ]
}
