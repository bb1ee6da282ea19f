import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { treeCpuMs } from '../support/process-cost.ts'
import { DATABASE, USER, type MysqlTarget } from './mysql-target.ts'

export interface SysbenchLoad {
  /** connect: each event a connection of its own */
  readonly script: 'oltp_point_select' | 'oltp_read_only' | 'connect'
  readonly clients: number
  /** At least 3 where CPU time is wanted */
  readonly seconds: number
  /** Of the table; default 10,000 */
  readonly rows?: number
  /** Statements are prepared once and run in the binary protocol; default: as text */
  readonly prepared?: boolean
  /** Events a second; absent: as many as there can be */
  readonly rate?: number
}

export interface SysbenchResult {
  /** Events */
  readonly tps: number
  /** Microseconds */
  readonly p50: number
  readonly p99: number
  /** CPU time of the proxy for one event, microseconds */
  readonly cpu: number
}

export const ROWS = 10_000
const OWN_SCRIPTS: ReadonlySet<string> = new Set(['connect'])

export function sysbenchArguments(
  target: MysqlTarget,
  { script, clients, seconds, rows = ROWS, prepared = false, rate }: SysbenchLoad,
): readonly string[] {
  const isOwn = OWN_SCRIPTS.has(script)
  return [
    isOwn ? join(import.meta.dirname, `${script}.lua`) : script,
    ...['--db-driver=mysql', '--mysql-host=127.0.0.1', `--mysql-port=${target.port}`],
    ...[`--mysql-user=${USER}`, `--mysql-db=${DATABASE}`, '--mysql-ssl=on'],
    ...(isOwn ? [] : ['--tables=1', `--table-size=${rows}`]),
    ...[`--threads=${clients}`, `--time=${seconds}`, '--events=0', '--histogram=on', '--report-interval=1'],
    `--db-ps-mode=${prepared ? 'auto' : 'disable'}`,
    ...(rate === undefined ? [] : [`--rate=${rate}`]),
  ]
}

/** One run. CPU time is that from the first second's report to the last one's: everybody has connected and nobody has left. */
export async function sysbench(target: MysqlTarget, load: SysbenchLoad): Promise<SysbenchResult> {
  const child = spawn('sysbench', [...sysbenchArguments(target, load), 'run'], {
    cwd: target.folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let printed = ''
  let complaint = ''
  const marks: Mark[] = []
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text))
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text
    const rates = [...printed.matchAll(REPORT)].map(([, rate]) => Number(rate))
    while (marks.length < rates.length)
      marks.push({ rate: rates[marks.length] ?? 0, cpuMs: target.pid === null ? 0 : treeCpuMs(target.pid) })
  })
  const [code] = (await once(child, 'close')) as [number | null]
  const tps = Number(/(?:transactions|events):\s+\d+\s+\(([\d.]+) per sec/.exec(printed)?.[1] ?? 0)
  if (code !== 0 || tps === 0)
    throw new Error(`sysbench through ${target.name} ended with ${code}: ${printed.slice(-2000)}${complaint}`)
  return { tps, ...percentiles(printed), cpu: cpuOfOne(marks) }
}

interface Mark {
  readonly rate: number
  readonly cpuMs: number
}

/** `[ 2s ] thds: 8 tps: 1234.56 qps: ...` */
const REPORT = /^\[ \d+s \] thds: \d+ tps: ([\d.]+)/gm
/** `       0.123 |***       45`, in milliseconds */
const BAR = /^\s+([\d.]+) \|\**\s+(\d+)$/gm

function cpuOfOne(marks: readonly Mark[]): number {
  const [first, ...others] = marks
  const last = others.at(-1)
  if (!first || !last) return Number.NaN
  return ((last.cpuMs - first.cpuMs) * 1000) / others.reduce((sum, { rate }) => sum + rate, 0)
}

function percentiles(printed: string): { readonly p50: number; readonly p99: number } {
  const bars = [...printed.matchAll(BAR)].map(([, value, count]) => ({
    us: Number(value) * 1000,
    count: Number(count),
  }))
  const all = bars.reduce((sum, { count }) => sum + count, 0)
  const at = (share: number): number => {
    let seen = 0
    return bars.find(({ count }) => (seen += count) >= all * share)?.us ?? Number.NaN
  }
  return { p50: at(0.5), p99: at(0.99) }
}
