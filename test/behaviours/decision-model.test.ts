import fc from 'fast-check'
import { expect, test } from 'vitest'
import { aHistory, playHistory } from './decision-run.ts'

// `HISTORIES=100000 SEED=7 npx vitest run test/behaviours/decision-model.test.ts` plays longer, or again.
const histories = Number(process.env['HISTORIES'] ?? 40)
const seed = Number(process.env['SEED'] ?? 20260101)

test(
  'the product and an independent small model agree after every step of random histories',
  { timeout: 86_400_000 },
  async () => {
    const result = await fc.check(fc.asyncProperty(aHistory, playHistory), { numRuns: histories, seed })
    expect(result.failed ? `${String(result.errorInstance)}\n${fc.defaultReportMessage(result)}` : null).toBeNull()
  },
)
