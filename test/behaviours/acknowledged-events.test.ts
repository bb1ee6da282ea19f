import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { verifyAudit } from '../../src/audit/verify/verify-audit.ts'
import { needProgram } from '../support/need-program.ts'
import { run } from '../support/run.ts'
import { type TempFolder, tempFolder } from '../support/temp-folder.ts'

const KILLS = 100
const STORES = 2

let folder: TempFolder
/** Bundled: a hundred starts from many source files would take minutes. */
let loop: string

beforeEach(async () => {
  folder = tempFolder('acknowledged')
  loop = folder.file('commit-loop.mjs')
  const entryPoints = [join(import.meta.dirname, '../support/commit-loop.ts')]
  // pino is CommonJS and asks for its modules with require.
  const banner = { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)" }
  await build({ entryPoints, outfile: loop, bundle: true, platform: 'node', format: 'esm', logLevel: 'error', banner })
})
afterEach(() => folder[Symbol.dispose]())

describe('a daemon killed with SIGKILL while it commits', () => {
  it(`${String(KILLS)} times has lost no acknowledged event, and its chain is whole`, async () => {
    const totals = await Promise.all(
      Array.from({ length: STORES }, (_, store) =>
        killOften(folder.file(`data-${String(store)}/store.db`), KILLS / STORES),
      ),
    )
    // Not all kills came before the first commit.
    expect(Math.min(...totals)).toBeGreaterThan(KILLS / STORES)
  }, 180_000)
})

/** Returns how many deeds were acknowledged. */
async function killOften(database: string, kills: number): Promise<number> {
  let lastAcknowledged = 0
  let acknowledged = 0
  for (let round = 0; round < kills; round++) {
    const { started, acks } = await killOnce(database, String(round))
    expect(started, `round ${String(round)}`).toBeGreaterThanOrEqual(lastAcknowledged)
    lastAcknowledged = acks.at(-1) ?? started
    acknowledged += acks.length
  }
  const result = await verifyAudit({ database, checkFile: true })
  expect(result.problems).toEqual([])
  expect(result.events).toBeGreaterThanOrEqual(lastAcknowledged)
  expect(result.rows).toBe(result.events)
  return acknowledged
}

async function killOnce(database: string, prefix: string): Promise<{ started: number; acks: number[] }> {
  const child = spawn(process.execPath, [loop, database, '0', prefix], { stdio: ['ignore', 'pipe', 'inherit'] })
  const output = collect(child)
  const closed = new Promise((resolve) => child.once('close', resolve))
  // After some commits, then at whatever moment of the next ones the signal arrives.
  const after = 1 + Math.floor(Math.random() * 12)
  child.stdout?.on('data', () => {
    if (numbers(output.text(), 'ack').length >= after) child.kill('SIGKILL')
  })
  await closed
  return { started: numbers(output.text(), 'start')[0] ?? Number.NaN, acks: numbers(output.text(), 'ack') }
}

function collect(child: ChildProcess): { text(): string } {
  let text = ''
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => void (text += chunk))
  return { text: () => text }
}

/** A line that the kill cut short was not said. */
function numbers(text: string, word: string): number[] {
  return [...text.matchAll(new RegExp(`^${word} (\\d+)\\n`, 'gm'))].map((match) => Number(match[1]))
}

describe('a commit', () => {
  it('is synced to the disk before it is acknowledged', async () => {
    const trace = folder.file('trace')
    const database = folder.file('data/store.db')
    const calls = 'trace=fsync,fdatasync,write,pwrite64'
    const strace = ['-f', '-y', '-s', '64', '-e', calls, '-o', trace, process.execPath, loop, database, '25', 'x']
    const finished = await run(needProgram('strace'), strace)
    expect(finished.stderr).toBe('')
    expect(finished.code).toBe(0)
    const steps = readFileSync(trace, 'utf8')
      .split('\n')
      .map(meaning)
      .filter((step) => step !== null)
    expect(steps.filter((step) => step === 'ack')).toHaveLength(25)
    let unsynced = false
    let synced = false
    for (const step of steps) {
      if (step === 'wal written') [unsynced, synced] = [true, false]
      else if (step === 'wal synced') [unsynced, synced] = [false, true]
      else {
        expect({ unsynced, synced }).toEqual({ unsynced: false, synced: true })
        synced = false
      }
    }
  }, 120_000)
})

function meaning(line: string): 'wal written' | 'wal synced' | 'ack' | null {
  if (/\bpwrite64\(\d+<[^>]*store\.db-wal>/.test(line)) return 'wal written'
  if (/\bf(data)?sync\(\d+<[^>]*store\.db-wal>/.test(line)) return 'wal synced'
  if (/\bwrite\(1<[^>]*>, "ack /.test(line)) return 'ack'
  return null
}
