import { verifyAudit } from '../../src/audit/verify/verify-audit.ts'
import { fillLab, openAuditLab } from '../../test/support/audit-lab.ts'
import type { BenchOptions } from '../bench.ts'
import { compare, type Row } from '../support/ratio-table.ts'

/** A year of a small company's events should be verified in a coffee break: about 3 million in ten minutes. */
const EVENTS_PER_SECOND = 5000

/** Events verified per second: chain, bound rows, and checkpoints from outside. */
export async function benchAudit({ quick, progress }: BenchOptions): Promise<readonly Row[]> {
  const deeds = quick ? 1000 : 10_000
  progress(`storing ${deeds} deeds ...`)
  const lab = await openAuditLab()
  try {
    await fillLab(lab, deeds, deeds / 10)
    await lab.checkpoints.write()
    const rates: number[] = []
    for (let round = 0; round < (quick ? 3 : 7); round++) {
      progress(`verifying, round ${round + 1} ...`)
      const started = performance.now()
      const verdict = await verifyAudit({
        database: lab.databaseFile,
        trusted: [lab.trustedPem],
        outside: lab.anchorFile,
        checkFile: true,
      })
      if (verdict.problems.length > 0 || !verdict.anchored) throw new Error('the untouched log was not found whole')
      rates.push(verdict.events / ((performance.now() - started) / 1000))
    }
    return [
      compare({
        case: `audit verify, ${deeds} deeds`,
        peer: 'limit',
        ours: rates,
        theirs: EVENTS_PER_SECOND,
        goal: 1,
        better: 'higher',
        unit: 'events/s',
      }),
    ]
  } finally {
    await lab.remove()
  }
}
