import { inTurn } from '../support/in-turn.ts'
import { compare, type Row } from '../support/ratio-table.ts'
import type { MysqlTarget, MysqlTargets } from './mysql-target.ts'
import { sysbench, type SysbenchResult } from './sysbench.ts'

const GOAL = 0.6

/** New connections a second, each with one select: full TLS handshakes, sign-in, authorization and a recording of its own. */
export async function connects(targets: MysqlTargets, seconds: number, rounds: number): Promise<Row[]> {
  const {
    direct,
    haproxy,
    ours: [ours],
  } = targets
  const rows: Row[] = []
  for (const clients of [1, 8]) {
    const results = new Map<MysqlTarget, SysbenchResult[]>([direct, haproxy, ours].map((target) => [target, []]))
    for (let round = 0; round < rounds; round++)
      for (const target of inTurn([...results.keys()], round))
        results.get(target)?.push(await sysbench(target, { script: 'connect', clients, seconds }))
    const of = (target: MysqlTarget, what: keyof SysbenchResult): number[] =>
      (results.get(target) ?? []).map((result) => result[what])
    const rate = { case: `new connections c${clients}`, ours: of(ours, 'tps'), better: 'higher', unit: '/s' } as const
    rows.push(
      compare({ ...rate, peer: haproxy.name, theirs: of(haproxy, 'tps'), goal: GOAL }),
      compare({ ...rate, peer: direct.name, theirs: of(direct, 'tps'), goal: 0 }),
      compare({
        ...{ case: `new connections c${clients}, CPU of each`, peer: haproxy.name, goal: 0 },
        ...{ ours: of(ours, 'cpu'), theirs: of(haproxy, 'cpu'), better: 'lower', unit: 'us' },
      }),
    )
  }
  return rows
}
