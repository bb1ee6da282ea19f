import type { BenchOptions } from '../bench.ts'
import { compare, type Row } from '../support/ratio-table.ts'
import { measureApprovalAcrossDaemons } from './approval-across-daemons.ts'
import { measureApprovalToFirstByte } from './approval-to-first-byte.ts'
import { authorizeRates } from './authorize-rate.ts'
import { closingTimes } from './closing.ts'
import { pageTimes } from './list-pages.ts'
import { openStoryHouse } from './story-house.ts'
import { wholeStories } from './whole-stories.ts'

const IN_FLIGHT = 64

/** The request engine: stories with durable commits, decisions, closing, pages of a long list, and the wait of an ssh. */
export async function benchRequests({ quick, progress }: BenchOptions): Promise<readonly Row[]> {
  const limit = (
    name: string,
    ours: readonly number[],
    theirs: number,
    better: 'higher' | 'lower',
    unit: string,
  ): Row => compare({ case: name, peer: 'limit', ours, theirs, goal: 1, better, unit })
  progress('whole stories ...')
  const stories = await storyRates(quick ? 3 : 7, quick ? 150 : 400)
  progress('authorize() ...')
  const decisions = await authorizeRates(quick ? 3 : 7, quick ? 5000 : 50_000)
  progress('closing live sessions ...')
  const closing = await closingTimes(quick ? 1 : 5, 500)
  const size = quick ? 10_000 : 100_000
  progress(`pages of ${size} requests ...`)
  const pages = await pageTimes(size, quick ? 10 : 60)
  progress('approval to first byte ...')
  return [
    limit('create + 2 reviews + grant, 64 at once', stories, 300, 'higher', 'stories/s'),
    limit('authorize(), 1000 roles, 200 grants', decisions, 50_000, 'higher', '/s'),
    limit('500 sessions closed by a revoke', closing, 1000, 'lower', 'ms'),
    limit(`page of ${size} requests, p99`, [percentile(pages, 0.99)], 50, 'lower', 'ms'),
    limit(`page of ${size} requests, p50`, [percentile(pages, 0.5)], 50, 'lower', 'ms'),
    ...(await measureApprovalToFirstByte(quick ? 5 : 20)),
    await measureApprovalAcrossDaemons(quick ? 5 : 20),
  ]
}

async function storyRates(runs: number, count: number): Promise<number[]> {
  await using house = await openStoryHouse({ people: 300, reviewers: 20, roles: 50 })
  const rates: number[] = []
  for (let run = 0; run <= runs; run++) {
    const rate = await wholeStories(house, count, IN_FLIGHT, run * count)
    // The first run warms up.
    if (run > 0) rates.push(rate)
  }
  return rates
}

function percentile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN
}
