import { randomFraction } from '../../../foundation/ids.ts'

const FIRST_MS = { network: 1000, operator: 30_000 } as const
const LONGEST_MS = { network: 60_000, operator: 600_000 } as const

/** Milliseconds before the next try; capped, and spread so that instances do not come back together. `failures` >= 1. */
export function pauseAfter(kind: 'network' | 'operator', failures: number): number {
  const base = Math.min(LONGEST_MS[kind], FIRST_MS[kind] * 2 ** Math.min(16, failures - 1))
  return base - Math.floor((randomFraction() * base) / 4)
}
