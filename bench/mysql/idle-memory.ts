import { readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { RawMysqlClient } from '../../test/support/raw-mysql-client.ts'
import { until } from '../../test/support/until.ts'
import { residentKiB } from '../support/process-cost.ts'
import { compare, type Row } from '../support/ratio-table.ts'
import { DATABASE, USER, type MysqlTarget } from './mysql-target.ts'

const LIMIT_KIB = 150
const AT_ONCE = 8
const QUERY = 3

/** Growth of the daemon's resident memory (all its processes) per connection that has run one statement and does nothing. */
export async function idleMemory(target: MysqlTarget, connections: number): Promise<Row[]> {
  const open: RawMysqlClient[] = []
  try {
    // What the first connections load stays for all.
    await connect(target, 20, open)
    for (const client of open.splice(0)) client[Symbol.dispose]()
    await pause(3000)
    const before = residentKiB(target.pid ?? 0)
    await connect(target, connections, open)
    await pause(5000)
    const each = (residentKiB(target.pid ?? 0) - before) / connections
    const what = { case: `memory of an idle connection, over ${connections}`, peer: 'limit', unit: 'KiB' }
    return [compare({ ...what, ours: [each], theirs: LIMIT_KIB, goal: 1, better: 'lower' })]
  } finally {
    for (const client of open) client[Symbol.dispose]()
  }
}

async function connect({ port, files }: MysqlTarget, count: number, open: RawMysqlClient[]): Promise<void> {
  const certificate = {
    keyPem: readFileSync(files.key, 'utf8'),
    certificatePem: readFileSync(files.certificate, 'utf8'),
  }
  for (let opened = 0; opened < count; opened += AT_ONCE)
    await Promise.all(
      Array.from({ length: Math.min(AT_ONCE, count - opened) }, async () => {
        const client = await RawMysqlClient.connect({ port, user: USER, database: DATABASE, certificate })
        open.push(client)
        client.send(QUERY, 'select 1')
        await until('the answer', () => client.received.length > 0)
      }),
    )
}
