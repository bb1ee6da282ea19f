import fc from 'fast-check'
import { expect, test } from 'vitest'
import { KEPT_HISTORIES } from './decision-histories.ts'
import { aHistory, playHistory, type Action } from './decision-run.ts'

// `script/histories 100000 7` plays longer, from another seed.
const histories = Number(process.env['HISTORIES'] ?? 100)
const seed = Number(process.env['SEED'] ?? 20260101)

/** What random histories must have come to, lest they agree about nothing. */
const REACHED = [
  ...['access_request.approve', 'access_request.deny', 'access_request.cancel', 'access_request.expire'],
  ...['grant.start', 'grant.schedule', 'grant.extend', 'grant.return', 'grant.revoke', 'grant.end', 'grant.suspend'],
]

test(
  'the product and an independent small model agree after every step of random histories',
  { timeout: 86_400_000 },
  async () => {
    const seen = new Map<string, number>()
    const play = async (history: readonly Action[]): Promise<void> => {
      for (const type of await playHistory(history)) seen.set(type, (seen.get(type) ?? 0) + 1)
    }
    const result = await fc.check(fc.asyncProperty(aHistory, play), { numRuns: histories, seed })
    process.stdout.write(`${result.numRuns} histories, seed ${seed}: ${JSON.stringify(Object.fromEntries(seen))}\n`)
    expect(result.failed ? `${String(result.errorInstance)}\n${fc.defaultReportMessage(result)}` : null).toBeNull()
    expect(REACHED.filter((type) => !seen.has(type))).toEqual([])
  },
)

test.each(KEPT_HISTORIES)('a kept history: %s', async (_what, history) => {
  await playHistory(history)
})
