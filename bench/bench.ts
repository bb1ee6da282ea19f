// script/bench NAME [--json] [--quick]: each bench starts its own peers, interleaves the runs and gives ratios.
import { parseArgs } from 'node:util'
import { printJson, printTable, type Row } from './support/ratio-table.ts'

export interface BenchOptions {
  /** Fewer and smaller runs: whether it works, not what it measures. */
  readonly quick: boolean
  progress(text: string): void
}

const BENCHES: Readonly<Record<string, () => Promise<(options: BenchOptions) => Promise<readonly Row[]>>>> = {
  ssh: async () => (await import('./ssh/bench-ssh.ts')).benchSsh,
  postgres: async () => (await import('./postgres/bench-postgres.ts')).benchPostgres,
  mysql: async () => (await import('./mysql/bench-mysql.ts')).benchMysql,
  requests: async () => (await import('./requests/bench-requests.ts')).benchRequests,
  notify: async () => (await import('./notify/bench-notify.ts')).benchNotify,
  audit: async () => (await import('./audit/bench-audit.ts')).benchAudit,
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean', default: false }, quick: { type: 'boolean', default: false } },
})
const [name = ''] = positionals
const load = BENCHES[name]
if (!load || positionals.length !== 1) {
  process.stderr.write(`usage: script/bench ${Object.keys(BENCHES).join('|')} [--json] [--quick]\n`)
  process.exit(2)
}
const bench = await load()
const rows = await bench({ quick: values.quick, progress: (text) => void process.stderr.write(`${text}\n`) })
if (values.json) printJson(rows)
else printTable(rows)
process.exitCode = rows.every((row) => row.holds) ? 0 : 1
