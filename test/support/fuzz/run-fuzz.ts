// The long run: `script/fuzz [target] [--seconds=60] [--seed=1] [--keep]`. `--keep` adds what reached something new to the corpus.
import { parseArgs } from 'node:util'
import { addToCorpus, readCorpus } from './corpus.ts'
import { Coverage } from './coverage.ts'
import { fuzz, type FuzzTarget } from './fuzzer.ts'
import { MYSQL_TARGETS } from './mysql-targets.ts'
import { POSTGRES_TARGETS } from './postgres-targets.ts'

const CODECS = /\/relay\/(?:postgres|mysql)\//

const all = [...POSTGRES_TARGETS, ...MYSQL_TARGETS]
const { keep, seconds, seed, targets } = wordsOf(process.argv.slice(2)) ?? usage()
const milliseconds = (seconds * 1000) / targets.length
let isBroken = false

for (const target of targets) run(target)
process.exitCode = isBroken ? 1 : 0

function run(target: FuzzTarget): void {
  const coverage = new Coverage(CODECS)
  const cpu = process.cpuUsage()
  const options = { seed, corpus: readCorpus(target.name), coverage }
  const { runs, found, broken } = fuzz(target, { ...options, goOn: () => spent(cpu) < milliseconds })
  coverage.stop()
  const seconds = (spent(cpu) / 1000).toFixed(1)
  print(
    `${target.name}: ${runs} inputs in ${seconds} s of CPU, ${coverage.size} blocks reached, ${found.length} inputs with something new`,
  )
  if (keep) addToCorpus(target.name, found)
  if (!broken) return
  isBroken = true
  print(
    `  broken by ${JSON.stringify(broken.input.toString('latin1'))} (${broken.input.toString('base64')})\n  ${broken.error.stack ?? ''}`,
  )
}

/** Null: not understood. Seconds that are no number would end each target before its first input, and look like success. */
function wordsOf(args: readonly string[]) {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        seconds: { type: 'string', default: '60' },
        seed: { type: 'string', default: '1' },
        keep: { type: 'boolean', default: false },
      },
    })
    const targets = all.filter(({ name }) => name.includes(positionals[0] ?? ''))
    const [seconds, seed] = [values.seconds, values.seed].map((text) => (/^\d{1,6}$/.test(text) ? Number(text) : 0))
    if (targets.length === 0 || positionals.length > 1 || !seconds || !seed) return null
    return { keep: values.keep, seconds, seed, targets }
  } catch {
    return null
  }
}

function usage(): never {
  process.stderr.write('usage: script/fuzz [target] [--seconds=60] [--seed=1] [--keep]\n')
  process.stderr.write(`targets: ${all.map(({ name }) => name).join(', ')}\n`)
  process.exit(2)
}

/** Milliseconds of processor time */
function spent(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since)
  return (user + system) / 1000
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
