import fc from 'fast-check'
import { expect, test } from 'vitest'
import { aPowerHistory, playPower } from './power-run.ts'

// `HISTORIES=10000 SEED=7 npx vitest run test/behaviours/power-model.test.ts` plays longer, or again.
const histories = Number(process.env['HISTORIES'] ?? 60)
const seed = Number(process.env['SEED'] ?? 20260101)

test(
  'pins, rules, policies and emergencies: product and model agree on every decision, and on what is open',
  { timeout: 86_400_000 },
  async () => {
    const result = await fc.check(fc.asyncProperty(aPowerHistory, playPower), { numRuns: histories, seed })
    expect(result.failed ? `${String(result.errorInstance)}\n${fc.defaultReportMessage(result)}` : null).toBeNull()
  },
)
