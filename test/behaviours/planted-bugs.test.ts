import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { ACCOUNT_BUGS } from './account-bugs.ts'
import { KEPT_HISTORIES } from './decision-histories.ts'
import type { Action } from './decision-run.ts'
import type { PlantedBug } from './planted-bug.ts'
import { PLANTED_BUGS } from './planted-bugs.ts'
import { POWER_BUGS } from './power-bugs.ts'
import { SEAT_BUGS } from './seat-bugs.ts'
import { TIME_BUGS } from './time-bugs.ts'
import { KEPT_TIMES } from './time-histories.ts'
import type { TimeAction } from './time-run.ts'

// What is a model test worth? Here bugs are planted into copies of the sources, and each must be found by it. That takes minutes:
// usually each third is planted, and all of them with `PLANTED_BUGS=all script/test planted-bugs`.

const root = join(import.meta.dirname, '../..')
const work = join(root, '.cache', `planted-bugs-${process.pid}`)
const COPIED = [
  'access',
  'audit',
  'connection',
  'contract',
  'formats',
  'foundation',
  'grants',
  'identity',
  'recording',
  'resources',
]
/** Histories until a bug must have shown itself. */
const HISTORIES = 1500

afterAll(() => rmSync(work, { recursive: true, force: true }))

const all = process.env['PLANTED_BUGS'] === 'all'
const some = (bugs: readonly PlantedBug[], every: number): readonly PlantedBug[] =>
  bugs.filter((_bug, index) => all || index % every === 0)
test.each(
  [
    ...some(PLANTED_BUGS, 3).map((planted) => ({ planted, by: decisions })),
    ...some(SEAT_BUGS, 3).map((planted) => ({ planted, by: seats })),
    ...some(ACCOUNT_BUGS, 3).map((planted) => ({ planted, by: seats })),
    ...some(POWER_BUGS, 3).map((planted) => ({ planted, by: powers })),
    ...some(TIME_BUGS, 3).map((planted) => ({ planted, by: times })),
  ].map((each, index) => [each.planted.bug, each.planted, each.by, index] as const),
)('found: %s', { timeout: 1_800_000 }, async (_bug, planted, by, index) => {
  const folder = join(work, String(index))
  copySources(folder)
  plant(planted, join(folder, 'src'))
  const result = await by(join(folder, 'test/behaviours'))
  process.stdout.write(`${planted.bug}: ${result.failed ? 'found by' : 'not found in'} ${result.numRuns} histories\n`)
  expect(result.failed, `${planted.bug}: not found in ${HISTORIES} histories`).toBe(true)
  // A difference between product and model, not a copy that does not run.
  expect(String(result.errorInstance)).toMatch(/product: .*\n.*model: /)
})

const LOOK = { numRuns: HISTORIES, seed: 4711, endOnFailure: true } as const
type Found = { readonly failed: boolean; readonly numRuns: number; readonly errorInstance: unknown }

async function decisions(folder: string): Promise<Found> {
  const run = (await import(join(folder, 'decision-run.ts'))) as typeof import('./decision-run.ts')
  return fc.check(
    fc.asyncProperty(run.aHistory, async (history) => void (await run.playHistory(history))),
    { ...LOOK, examples: KEPT_HISTORIES.map(([, history]): [Action[]] => [history]) },
  )
}

async function seats(folder: string): Promise<Found> {
  const run = (await import(join(folder, 'seat-run.ts'))) as typeof import('./seat-run.ts')
  return fc.check(fc.asyncProperty(run.aSeatHistory, run.playSeats), LOOK)
}

async function powers(folder: string): Promise<Found> {
  const run = (await import(join(folder, 'power-run.ts'))) as typeof import('./power-run.ts')
  return fc.check(fc.asyncProperty(run.aPowerHistory, run.playPower), LOOK)
}

async function times(folder: string): Promise<Found> {
  const run = (await import(join(folder, 'time-run.ts'))) as typeof import('./time-run.ts')
  const examples = KEPT_TIMES.map(([, history]): [TimeAction[]] => [history])
  return fc.check(fc.asyncProperty(run.aTimeHistory, run.playTime), { ...LOOK, examples })
}

function copySources(folder: string): void {
  const isSource = (path: string): boolean => !path.endsWith('.test.ts')
  for (const name of COPIED)
    cpSync(join(root, 'src', name), join(folder, 'src', name), { recursive: true, filter: isSource })
  mkdirSync(join(folder, 'test/behaviours'), { recursive: true })
  for (const name of [
    'support/access-world.ts',
    'support/manual-clock.ts',
    'support/pooled-store.ts',
    'support/reused-store.ts',
    'support/temp-folder.ts',
    'behaviours/decision-model.ts',
    'behaviours/decision-run.ts',
    'behaviours/seat-model.ts',
    'behaviours/seat-run.ts',
    'behaviours/power-model.ts',
    'behaviours/power-run.ts',
    'behaviours/time-model.ts',
    'behaviours/time-run.ts',
  ])
    cpSync(join(root, 'test', name), join(folder, 'test', name))
}

function plant({ edits }: PlantedBug, sources: string): void {
  for (const { file, from, to } of edits) {
    const path = join(sources, file)
    const text = readFileSync(path, 'utf8')
    expect(text.match(patternOf(from)), `${file} holds exactly once: ${from}`).toHaveLength(1)
    writeFileSync(
      path,
      text.replace(patternOf(from), () => to),
    )
  }
}

/** Spaces and line breaks count as one blank. */
function patternOf(from: string): RegExp {
  const words = from.split(/\s+/).map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(words.join('\\s*'), 'g')
}

test('every bug has its place in the sources of today', () => {
  const lost = [...PLANTED_BUGS, ...SEAT_BUGS, ...ACCOUNT_BUGS, ...POWER_BUGS, ...TIME_BUGS].flatMap(({ bug, edits }) =>
    edits.flatMap(({ file, from }) => {
      const found = readFileSync(join(root, 'src', file), 'utf8').match(patternOf(from)) ?? []
      return found.length === 1 ? [] : [`${bug}: ${found.length} times in ${file}`]
    }),
  )
  expect(lost).toEqual([])
})
