import { z } from 'zod'
import type { Terms } from '../decide/terms.ts'

/** What somebody was shown when they decided: the request and the rules by digest, and what approvals so far would give. */
export interface Shown {
  readonly requestDigest: string
  readonly factsDigest: string
  readonly terms: Terms
}

const StoredTerms = z.object({ durationMs: z.int().min(0), startAt: z.int().min(0).nullable() })
const StoredShown = z.object({ requestDigest: z.string(), factsDigest: z.string(), terms: StoredTerms })

export const readTerms = (json: string): Terms => StoredTerms.parse(JSON.parse(json))
export const readShown = (json: string): Shown => StoredShown.parse(JSON.parse(json))
export const shownJson = ({ requestDigest, factsDigest, terms }: Shown): string =>
  JSON.stringify({ requestDigest, factsDigest, terms: { durationMs: terms.durationMs, startAt: terms.startAt } })
