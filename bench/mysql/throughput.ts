import { inTurn } from '../support/in-turn.ts'
import { compare, type Row } from '../support/ratio-table.ts'
import type { MysqlTarget, MysqlTargets } from './mysql-target.ts'
import { sysbench, type SysbenchLoad, type SysbenchResult } from './sysbench.ts'

export interface ThroughputPlan {
  readonly loads: readonly Pick<SysbenchLoad, 'script' | 'prepared'>[]
  readonly clients: readonly number[]
  readonly seconds: number
  readonly rounds: number
}

const TPS_GOAL = 0.7

/** As fast as it goes: events a second, the proxy's CPU time for each, and how long the middle one and the slowest in a hundred take. */
export async function throughput(targets: MysqlTargets, plan: ThroughputPlan): Promise<Row[]> {
  const rows: Row[] = []
  for (const load of plan.loads)
    for (const clients of plan.clients) {
      const measured = await measure(targets.all, { ...load, clients, seconds: plan.seconds }, plan.rounds)
      const name = `${load.script} ${load.prepared ? 'prepared' : 'text'} c${clients}`
      for (const ours of targets.ours) rows.push(...rowsFor(name, ours, targets, measured))
    }
  return rows
}

type Measured = ReadonlyMap<MysqlTarget, readonly SysbenchResult[]>

async function measure(targets: readonly MysqlTarget[], load: SysbenchLoad, rounds: number): Promise<Measured> {
  const results = new Map<MysqlTarget, SysbenchResult[]>(targets.map((target) => [target, []]))
  for (let round = 0; round < rounds; round++)
    for (const target of inTurn(targets, round)) results.get(target)?.push(await sysbench(target, load))
  return results
}

function rowsFor(name: string, ours: MysqlTarget, targets: MysqlTargets, measured: Measured): Row[] {
  const of = (target: MysqlTarget, what: keyof SysbenchResult): number[] =>
    (measured.get(target) ?? []).map((result) => result[what])
  const against = (peer: MysqlTarget, what: keyof SysbenchResult, goal: number): Row =>
    compare({
      case: `${name} ${LABELS[what]}${ours === targets.ours[0] ? '' : `, ${ours.name}`}`,
      peer: peer.name,
      ours: of(ours, what),
      theirs: of(peer, what),
      goal,
      better: what === 'tps' ? 'higher' : 'lower',
      unit: what === 'tps' ? 'tps' : 'us',
    })
  const { direct, haproxy, bare } = targets
  return [
    against(haproxy, 'tps', TPS_GOAL),
    against(direct, 'tps', 0),
    against(bare, 'tps', 0),
    against(haproxy, 'cpu', 0),
    against(bare, 'cpu', 0),
    against(haproxy, 'p50', 0),
    against(haproxy, 'p99', 0),
  ]
}

const LABELS = { tps: 'tps', cpu: 'CPU/query', p99: 'p99', p50: 'p50' } as const satisfies Record<
  keyof SysbenchResult,
  string
>
