import fc from 'fast-check'
import { expect, test } from 'vitest'
import { KEPT_TIMES } from './time-histories.ts'
import { aTimeHistory, playTime } from './time-run.ts'

// `HISTORIES=10000 SEED=7 npx vitest run test/behaviours/time-model.test.ts` plays longer, or again.
const histories = Number(process.env['HISTORIES'] ?? 40)
const seed = Number(process.env['SEED'] ?? 20260101)

test(
  'starts, first uses, extensions and ends: product and model agree on who gets in and whose session lives',
  { timeout: 86_400_000 },
  async () => {
    const result = await fc.check(fc.asyncProperty(aTimeHistory, playTime), { numRuns: histories, seed })
    expect(result.failed ? `${String(result.errorInstance)}\n${fc.defaultReportMessage(result)}` : null).toBeNull()
  },
)

test.each(KEPT_TIMES)('%s', async (_promise, history) => {
  await playTime(history)
})
