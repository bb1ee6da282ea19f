import { z } from 'zod'
import { Instant, Name } from './common.ts'

/** What a service account says about a request. Reviewers see it; no digest covers it, and no vote is bound to it. */
export const RequestNote = z.object({
  id: z.string(),
  /** The service account */
  by: Name,
  /** Of several notes of one account: a new one with the same key takes the place of the old one */
  key: z.string(),
  text: z.string(),
  at: Instant,
})
export type RequestNote = z.infer<typeof RequestNote>

export const AnnotateBody = z.strictObject({
  /** `[a-z0-9._-]`, at most 63 */
  key: Name.default('note'),
  /** Empty: the note is taken away */
  text: z.string().max(2000),
})
export type AnnotateBody = z.input<typeof AnnotateBody>
