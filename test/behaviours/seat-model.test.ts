import fc from 'fast-check'
import { expect, test } from 'vitest'
import { aSeatHistory, playSeats } from './seat-run.ts'

// `HISTORIES=10000 SEED=7 npx vitest run test/behaviours/seat-model.test.ts` plays longer, or again.
const histories = Number(process.env['HISTORIES'] ?? 60)
const seed = Number(process.env['SEED'] ?? 20260101)

test(
  'groups, windows and delegates: product and model agree on every vote, count and decision',
  { timeout: 86_400_000 },
  async () => {
    const result = await fc.check(fc.asyncProperty(aSeatHistory, playSeats), { numRuns: histories, seed })
    expect(result.failed ? `${String(result.errorInstance)}\n${fc.defaultReportMessage(result)}` : null).toBeNull()
  },
)
