import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, writeFileSync } from 'node:fs'
import { inTurn } from '../support/in-turn.ts'
import { treeCpuMs } from '../support/process-cost.ts'
import { compare, type Row } from '../support/ratio-table.ts'
import { DATABASE, USER, type MysqlTarget, type MysqlTargets } from './mysql-target.ts'

interface Transfer {
  readonly name: string
  /** File of statements */
  readonly statements: string
}

interface Moved {
  readonly perSecond: number
  readonly cpuMs: number
}

const GOAL = 0.7
/** CPU time is counted in these: less than one is none. */
const TICK_MS = 10

/** Large results and long statements of `mib` MiB, by the stock client. `file` names a file to make. */
export async function bulk(
  targets: MysqlTargets,
  file: (name: string) => string,
  mib: number,
  rounds: number,
): Promise<Row[]> {
  const transfer = (name: string, sql: string): Transfer => {
    const statements = file(`${name.replaceAll(' ', '-')}.sql`)
    writeFileSync(statements, sql)
    return { name, statements }
  }
  const transfers = [
    transfer(`rows of 1K, ${mib}M`, `select repeat('x', 1000) from seq_1_to_${mib * 1000};\n`),
    transfer(`rows of 1M, ${mib}M`, `select repeat('x', 1000000) from seq_1_to_${mib};\n`),
    transfer('200k small rows', 'select seq, seq * 2 from seq_1_to_200000;\n'),
    transfer(`statements of 1M, ${mib}M`, `do length('${'x'.repeat(1_000_000)}');\n`.repeat(mib)),
  ]
  const rows: Row[] = []
  for (const one of transfers) rows.push(...(await compareTransfer(targets, one, rounds)))
  return rows
}

async function compareTransfer(targets: MysqlTargets, transfer: Transfer, rounds: number): Promise<Row[]> {
  const {
    direct,
    haproxy,
    ours: [ours],
  } = targets
  const moved = new Map<MysqlTarget, Moved[]>([direct, haproxy, ours].map((target) => [target, []]))
  for (let round = 0; round < rounds; round++)
    for (const target of inTurn([...moved.keys()], round)) moved.get(target)?.push(await move(target, transfer))
  const of = (target: MysqlTarget, what: keyof Moved): number[] => (moved.get(target) ?? []).map((one) => one[what])
  const speed = { case: transfer.name, ours: of(ours, 'perSecond'), better: 'higher', unit: '/s' } as const
  return [
    compare({ ...speed, peer: haproxy.name, theirs: of(haproxy, 'perSecond'), goal: GOAL }),
    compare({ ...speed, peer: direct.name, theirs: of(direct, 'perSecond'), goal: 0 }),
    compare({
      ...{ case: `${transfer.name}, CPU`, peer: haproxy.name, goal: 0, better: 'lower', unit: 'ms' },
      ...{ ours: of(ours, 'cpuMs'), theirs: of(haproxy, 'cpuMs') },
    }),
  ]
}

async function move(target: MysqlTarget, { statements }: Transfer): Promise<Moved> {
  const cpu = target.pid === null ? 0 : treeCpuMs(target.pid)
  const started = performance.now()
  await runFile(target, statements)
  const seconds = (performance.now() - started) / 1000
  return { perSecond: 1 / seconds, cpuMs: target.pid === null ? 0 : Math.max(TICK_MS, treeCpuMs(target.pid) - cpu) }
}

/** Rows are dropped as they come. */
async function runFile({ name, port, files }: MysqlTarget, statements: string): Promise<void> {
  const from = openSync(statements, 'r')
  const { ca, certificate, key } = files
  const tls = [`--ssl-ca=${ca}`, `--ssl-cert=${certificate}`, `--ssl-key=${key}`]
  const options = ['--no-defaults', '-h127.0.0.1', `-P${port}`, `-u${USER}`, ...tls, '--max-allowed-packet=64M']
  const child = spawn('mariadb', [...options, '--quick', '--batch', '--skip-column-names', DATABASE], {
    stdio: [from, 'ignore', 'pipe'],
  })
  let complaint = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (complaint += text))
  const [code] = (await once(child, 'close')) as [number | null]
  closeSync(from)
  if (code !== 0) throw new Error(`mariadb through ${name} ended with ${code}: ${complaint}`)
}
