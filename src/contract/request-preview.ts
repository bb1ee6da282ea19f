import { z } from 'zod'
import { Account, Instant, Login, Name } from './common.ts'

/** What a reviewer looks at before voting, besides the request itself. Each viewer gets the parts that they may know. */
export const RequestPreview = z.object({
  /** What the requester could reach before and after an approval */
  change: z.object({
    nodes: z.object({ before: z.int(), after: z.int() }),
    /** Over all nodes; `added` are those that were on none before */
    logins: z.object({ before: z.array(Login), added: z.array(Login) }),
    /** Nodes with logins that are new there, at most 20 */
    gains: z.array(z.object({ node: Name, logins: z.array(Login) })),
    /** How many more there are */
    moreGains: z.int(),
    /** Databases with db users or db names that are new there, as the roles name them; at most 20 */
    databases: z
      .array(z.object({ database: Name, dbUsers: z.array(Account), dbNames: z.array(z.string()) }))
      .default([]),
    moreDatabases: z.int().default(0),
    /** Of that many nodes; false: there are more than were looked at */
    complete: z.boolean(),
  }),
  /** The requester's last sessions by a request for one of these roles, at most 5, that the viewer may know of */
  lastUses: z.array(
    z.object({
      session: z.string(),
      request: z.string(),
      resource: z.object({ kind: z.enum(['node', 'database']), name: Name }),
      /** Login of a node, db user of a database */
      login: z.string(),
      /** Database inside the server; null: none was named, or no database */
      dbName: z.string().nullable(),
      startedAt: Instant,
      endedAt: Instant.nullable(),
    }),
  ),
  /** Open requests of the same person that the viewer may see, at most 10 */
  otherPending: z.array(z.object({ id: z.string(), roles: z.array(Name), reason: z.string(), createdAt: Instant })),
  /** For reviewers and operators: sentences about addresses that give to think */
  hints: z.array(z.string()),
  /** What a decision still takes, in words; empty once it is decided */
  needed: z.array(z.string()),
})
export type RequestPreview = z.infer<typeof RequestPreview>
