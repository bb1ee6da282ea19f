import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { aHistory, playHistory } from './decision-run.ts'
import { aPowerHistory, playPower } from './power-run.ts'
import { aSeatHistory, playSeats } from './seat-run.ts'
import { aTimeHistory, playTime } from './time-run.ts'

// The long run behind script/histories: node long-run.ts COUNT SEED FOLDER. Ranges of histories, each from a seed of its own and with
// a result in a file, so that a run which was cut off goes on where it stopped.

const RANGE = 200

interface Result {
  readonly model: string
  readonly seed: number
  readonly histories: number
  /** Null: product and model agreed */
  readonly difference: string | null
  readonly cpuMs: number
}

type Check = (seed: number) => Promise<Pick<Result, 'histories' | 'difference'>>
const checkOf =
  <T>(histories: fc.Arbitrary<T>, play: (history: T) => Promise<unknown>): Check =>
  async (seed) => {
    const property = fc.asyncProperty(histories, async (history) => void (await play(history)))
    const found = await fc.check(property, { numRuns: RANGE, seed })
    const difference = found.failed ? `${String(found.errorInstance)}\n${fc.defaultReportMessage(found)}` : null
    return { histories: found.numRuns, difference }
  }
const decisions = checkOf(aHistory, playHistory)
/** By the place of the range. */
const MODELS: readonly (readonly [string, Check])[] = [
  ['decisions', decisions],
  ['seats', checkOf(aSeatHistory, playSeats)],
  ['powers', checkOf(aPowerHistory, playPower)],
  ['times', checkOf(aTimeHistory, playTime)],
]

async function playRange(place: number, seed: number, file: string): Promise<Result> {
  const [model, check] = MODELS[place % MODELS.length] ?? ['decisions', decisions]
  const before = process.cpuUsage()
  const found = await check(seed)
  const { user, system } = process.cpuUsage(before)
  const result = { model, seed, ...found, cpuMs: Math.round((user + system) / 1000) }
  writeFileSync(file, JSON.stringify(result))
  return result
}

async function main(count: number, seed: number, folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true })
  const done = new Set(readdirSync(folder))
  const total = { histories: 0, differences: 0 }
  for (let place = 0; place * RANGE < count; place += 1) {
    const name = `${seed + place}.json`
    const file = join(folder, name)
    const known = done.has(name)
    const result = known
      ? (JSON.parse(readFileSync(file, 'utf8')) as Result)
      : await playRange(place, seed + place, file)
    total.histories += result.histories
    if (result.difference !== null) {
      total.differences += 1
      process.stdout.write(`${result.model}, seed ${result.seed}: ${result.difference}\n`)
    }
    if (!known && place % 10 === 9)
      process.stdout.write(`${total.histories} histories, ${total.differences} ranges with a difference\n`)
  }
  process.stdout.write(`${total.histories} histories, ${total.differences} ranges with a difference\n`)
  if (total.differences > 0) process.exitCode = 1
}

const [count = '100000', seed = '1', folder = '.cache/histories'] = process.argv.slice(2)
await main(Number(count), Number(seed), folder)
