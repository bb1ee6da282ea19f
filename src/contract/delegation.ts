import { z } from 'zod'
import { Instant, Name } from './common.ts'

/** Somebody away lets somebody else vote for them, until an instant. */
export const Delegation = z.object({
  id: z.string(),
  /** Whose rights count */
  absent: Name,
  /** Who votes */
  delegate: Name,
  /** Requested roles that it is for; null = all that the absent one may review */
  roles: z.array(Name).nullable(),
  reason: z.string(),
  createdAt: Instant,
  until: Instant,
})
export type Delegation = z.infer<typeof Delegation>

export const AddDelegationBody = z.strictObject({
  to: Name,
  until: Instant,
  /** Left out: all roles that the caller may review */
  roles: z.array(Name).min(1).max(50).optional(),
  reason: z.string().max(500).default(''),
})
export type AddDelegationBody = z.input<typeof AddDelegationBody>

/** mine: given by me or to me; all: everybody's, for operators. */
export const DelegationListQuery = z.object({ scope: z.enum(['mine', 'all']).default('mine') })
