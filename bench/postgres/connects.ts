import { inTurn } from '../support/in-turn.ts'
import { compare, type Row } from '../support/ratio-table.ts'
import { pgbench } from './pgbench.ts'
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
    const rates = new Map<PostgresTarget, number[]>([direct, haproxy, pgbouncer, ours].map((target) => [target, []]))
    for (let round = 0; round < rounds; round++)
      for (const target of inTurn([...rates.keys()], round)) {
        const { tps } = await pgbench(target, { mode: 'simple', clients, seconds, reconnect: true })
        rates.get(target)?.push(tps)
      }
    for (const [peer, goal] of [
      [haproxy, GOAL],
      [pgbouncer, 0],
      [direct, 0],
    ] as const)
      rows.push(
        compare({
          case: `new connections c${clients}`,
          peer: peer.name,
          ours: rates.get(ours) ?? [],
          theirs: rates.get(peer) ?? [],
          goal,
          better: 'higher',
          unit: '/s',
        }),
      )
  }
  return rows
}
