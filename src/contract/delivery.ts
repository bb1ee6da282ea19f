import { z } from 'zod'
import { Instant } from './common.ts'

/** Something that people are to be told. Integrations claim deliveries, tell, and confirm; what is not confirmed comes again. */
export const Delivery = z.object({
  id: z.string(),
  /** request.created, request.reviewed, request.decided, grant.ended ... */
  topic: z.string(),
  body: z.record(z.string(), z.unknown()),
  createdAt: Instant,
})
export type Delivery = z.infer<typeof Delivery>
