// The long run: `script/fuzz [target] [--seconds=60] [--seed=1] [--keep]`. `--keep` adds what reached something new to the corpus.
import { parseArgs } from 'node:util'
import { addToCorpus, readCorpus } from './corpus.ts'
import { Coverage } from './coverage.ts'
import { fuzz, type FuzzTarget } from './fuzzer.ts'
import { MYSQL_TARGETS } from './mysql-targets.ts'
import { POSTGRES_TARGETS } from './postgres-targets.ts'

const CODECS = /\/relay\/(?:postgres|mysql)\//

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
    keep: { type: 'boolean', default: false },
  },
})
const all = [...POSTGRES_TARGETS, ...MYSQL_TARGETS]
const [wanted] = positionals
const targets = wanted === undefined ? all : all.filter(({ name }) => name.includes(wanted))
if (targets.length === 0)
  throw new Error(`no target is called ${String(wanted)}: ${all.map(({ name }) => name).join(', ')}`)
const milliseconds = (Number(values.seconds) * 1000) / targets.length
let isBroken = false

for (const target of targets) run(target)
process.exitCode = isBroken ? 1 : 0

function run(target: FuzzTarget): void {
  const coverage = new Coverage(CODECS)
  const cpu = process.cpuUsage()
  const options = { seed: Number(values.seed), corpus: readCorpus(target.name), coverage }
  const { runs, found, broken } = fuzz(target, { ...options, goOn: () => spent(cpu) < milliseconds })
  coverage.stop()
  const seconds = (spent(cpu) / 1000).toFixed(1)
  print(
    `${target.name}: ${runs} inputs in ${seconds} s of CPU, ${coverage.size} blocks reached, ${found.length} inputs with something new`,
  )
  if (values.keep) addToCorpus(target.name, found)
  if (!broken) return
  isBroken = true
  print(
    `  broken by ${JSON.stringify(broken.input.toString('latin1'))} (${broken.input.toString('base64')})\n  ${broken.error.stack ?? ''}`,
  )
}

/** Milliseconds of processor time */
function spent(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since)
  return (user + system) / 1000
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
