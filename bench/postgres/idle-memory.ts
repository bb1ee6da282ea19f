import { readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { Client } from 'pg'
import { residentKiB } from '../support/process-cost.ts'
import { compare, type Row } from '../support/ratio-table.ts'
import type { PostgresTarget } from './postgres-target.ts'

const LIMIT_KIB = 150
const AT_ONCE = 8

/** Growth of the daemon's resident memory (all its processes) per connection that has run one statement and does nothing. */
export async function idleMemory({ env, pid }: PostgresTarget, connections: number): Promise<Row[]> {
  const open: Client[] = []
  try {
    // What the first connections load stays for all.
    await connect(env, 20, open)
    await Promise.all(open.splice(0).map((client) => client.end()))
    await pause(3000)
    const before = residentKiB(pid ?? 0)
    await connect(env, connections, open)
    await pause(5000)
    const each = (residentKiB(pid ?? 0) - before) / connections
    const what = { case: `memory of an idle connection, over ${connections}`, peer: 'limit', unit: 'KiB' }
    return [compare({ ...what, ours: [each], theirs: LIMIT_KIB, goal: 1, better: 'lower' })]
  } finally {
    await Promise.allSettled(open.map((client) => client.end()))
  }
}

async function connect(env: PostgresTarget['env'], count: number, open: Client[]): Promise<void> {
  const text = (name: string): string => readFileSync(env[name] ?? '', 'utf8')
  const ssl = { ca: text('PGSSLROOTCERT'), cert: text('PGSSLCERT'), key: text('PGSSLKEY'), servername: env['PGHOST'] }
  const { PGUSER: user, PGDATABASE: database } = env
  for (let opened = 0; opened < count; opened += AT_ONCE)
    await Promise.all(
      Array.from({ length: Math.min(AT_ONCE, count - opened) }, async () => {
        const client = new Client({ host: '127.0.0.1', port: Number(env['PGPORT']), user, database, ssl })
        open.push(client)
        await client.connect()
        await client.query('select 1')
      }),
    )
}
