import { inTurn } from '../support/in-turn.ts'
import { compare, type Row } from '../support/ratio-table.ts'
import { pgbench, type PgbenchLoad, type PgbenchResult } from './pgbench.ts'
import type { PostgresTarget } from './postgres-target.ts'
import type { PostgresTargets } from './targets.ts'

export interface ThroughputPlan {
  readonly modes: readonly PgbenchLoad['mode'][]
  readonly clients: readonly number[]
  readonly seconds: number
  readonly rounds: number
}

const MANY_CLIENTS = 32
const TPS_GOAL = 0.7
const TPS_GOAL_MANY = 0.6
const CPU_GOAL = 2

/** As fast as it goes: transactions a second, the proxy's CPU time for each, and the slowest in a hundred. */
export async function throughput(targets: PostgresTargets, plan: ThroughputPlan): Promise<Row[]> {
  const rows: Row[] = []
  for (const mode of plan.modes)
    for (const clients of plan.clients) {
      const measured = await measure(targets.all, { mode, clients, seconds: plan.seconds }, plan.rounds)
      for (const ours of targets.ours) rows.push(...rowsFor(`${mode} c${clients}`, clients, ours, targets, measured))
    }
  return rows
}

type Measured = ReadonlyMap<PostgresTarget, readonly PgbenchResult[]>

async function measure(targets: readonly PostgresTarget[], load: PgbenchLoad, rounds: number): Promise<Measured> {
  const results = new Map<PostgresTarget, PgbenchResult[]>(targets.map((target) => [target, []]))
  for (let round = 0; round < rounds; round++)
    for (const target of inTurn(targets, round)) results.get(target)?.push(await pgbench(target, load))
  return results
}

function rowsFor(
  name: string,
  clients: number,
  ours: PostgresTarget,
  targets: PostgresTargets,
  measured: Measured,
): Row[] {
  const of = (target: PostgresTarget, what: keyof PgbenchResult): number[] =>
    (measured.get(target) ?? []).map((result) => result[what])
  const against = (peer: PostgresTarget, what: keyof PgbenchResult, goal: number): Row =>
    compare({
      case: `${name} ${LABELS[what]}${ours === targets.ours[0] ? '' : `, ${ours.name}`}`,
      peer: peer.name,
      ours: of(ours, what),
      theirs: of(peer, what),
      goal,
      better: what === 'tps' ? 'higher' : 'lower',
      unit: what === 'tps' ? 'tps' : 'us',
    })
  const { direct, haproxy, pgbouncer, bare } = targets
  return [
    against(pgbouncer, 'tps', clients > MANY_CLIENTS ? TPS_GOAL_MANY : TPS_GOAL),
    against(haproxy, 'tps', 0),
    against(direct, 'tps', 0),
    against(bare, 'tps', 0),
    against(pgbouncer, 'cpu', CPU_GOAL),
    against(bare, 'cpu', 0),
    against(pgbouncer, 'p50', 0),
    against(pgbouncer, 'p99', 0),
    against(bare, 'p99', 0),
  ]
}

const LABELS = { tps: 'tps', cpu: 'CPU/query', p99: 'p99', p50: 'p50' } as const satisfies Record<
  keyof PgbenchResult,
  string
>
