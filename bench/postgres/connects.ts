import { inTurn } from '../support/in-turn.ts'
import { compare, type Row } from '../support/ratio-table.ts'
import { pgbench, type PgbenchResult } from './pgbench.ts'
import type { PostgresTarget } from './postgres-target.ts'
import type { PostgresTargets } from './targets.ts'

const GOAL = 0.6

/** New connections a second, each with one select: full TLS handshakes, sign-in, authorization and a recording of its own. */
export async function connects(targets: PostgresTargets, seconds: number, rounds: number): Promise<Row[]> {
  const {
    direct,
    haproxy,
    pgbouncer,
    ours: [ours],
  } = targets
  const rows: Row[] = []
  for (const clients of [1, 8]) {
    const measured = new Map<PostgresTarget, PgbenchResult[]>(
      [direct, haproxy, pgbouncer, ours].map((target) => [target, []]),
    )
    for (let round = 0; round < rounds; round++)
      for (const target of inTurn([...measured.keys()], round))
        measured.get(target)?.push(await pgbench(target, { mode: 'simple', clients, seconds, reconnect: true }))
    const of = (target: PostgresTarget, what: 'tps' | 'cpu'): number[] =>
      (measured.get(target) ?? []).map((result) => result[what])
    for (const [peer, goal] of [
      [haproxy, GOAL],
      [pgbouncer, 0],
      [direct, 0],
    ] as const)
      rows.push(
        compare({
          case: `new connections c${clients}`,
          peer: peer.name,
          ours: of(ours, 'tps'),
          theirs: of(peer, 'tps'),
          goal,
          better: 'higher',
          unit: '/s',
        }),
      )
    const cpu = {
      case: `new connections c${clients}, CPU`,
      ours: of(ours, 'cpu'),
      better: 'lower',
      unit: 'us',
    } as const
    rows.push(compare({ ...cpu, peer: pgbouncer.name, theirs: of(pgbouncer, 'cpu'), goal: 0 }))
  }
  return rows
}
