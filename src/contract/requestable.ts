import { z } from 'zod'
import { Account, DurationMs, Instant, Labels, Name, PageQuery, ResourceKind } from './common.ts'

/** What the caller may know of: used now, or to be had by asking. */
export const RequestableResource = z.object({
  kind: ResourceKind,
  id: z.string(),
  name: Name,
  labels: Labels,
  /** What works right now (logins of a node, db users of a database) */
  logins: z.array(Account),
  /** End of the last grant that opens it, if only grants do */
  accessUntil: Instant.nullable(),
  /** Roles that would open it, those with the fewest logins first */
  roles: z.array(
    z.object({
      name: Name,
      logins: z.array(Account),
      longest: DurationMs,
      /** May be asked for with everything it gives */
      asRole: z.boolean(),
      /** May be asked for to get at this resource alone */
      asResource: z.boolean(),
    }),
  ),
})
export type RequestableResource = z.infer<typeof RequestableResource>

/** Sorted by kind and name. */
export const RequestableQuery = PageQuery.extend({
  kind: ResourceKind.optional(),
  /** Labels that it must have, form-encoded: `env=prod&team=db` */
  labels: z.string().max(2000).optional(),
  /** Words, each of which must be in its name or in the value of a label */
  text: z.string().max(200).optional(),
})
