import { z } from 'zod'
import { Instant } from './common.ts'
import { AccessRequest } from './request.ts'

export const RequestChangesQuery = z.object({
  /** Of the last answer; left out: only where the end is now */
  cursor: z.string().min(1).max(200).optional(),
  limit: z.coerce.number().int().min(1).max(100).default(50),
  /** Seconds until an empty answer is given; 0: at once */
  wait: z.coerce.number().int().min(0).max(25).default(0),
})

/** One committed change of a request, its votes, notes or grant. */
export const RequestChange = z.object({
  /** Of the audit event: the same whenever this change is given again */
  id: z.string(),
  /** An event type of docs/audit.md; newer daemons have more */
  type: z.string(),
  at: Instant,
  /** As it is now, which may be later than this change */
  request: AccessRequest,
})
export type RequestChange = z.infer<typeof RequestChange>

/** In the order in which the store committed them, whichever daemon did. */
export const RequestChanges = z.object({
  items: z.array(RequestChange),
  /** Behind everything that was looked at. Empty pages move it, too. */
  cursor: z.string(),
  /** There is more already */
  more: z.boolean(),
})
export type RequestChanges = z.infer<typeof RequestChanges>
