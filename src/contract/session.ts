import { z } from 'zod'
import { Instant, Name, PageQuery } from './common.ts'

/** One proxied connection. */
export const Session = z.object({
  id: z.string(),
  user: Name,
  protocol: z.enum(['ssh', 'postgres', 'mysql']),
  resource: z.object({ kind: z.enum(['node', 'database']), id: z.string(), name: Name }),
  /** Login of a node, db user of a database */
  login: z.string(),
  /** Database inside the server; null: none, or no database */
  dbName: z.string().nullable().default(null),
  address: z.string(),
  requests: z.array(z.string()),
  grants: z.array(z.string()),
  startedAt: Instant,
  endedAt: Instant.nullable(),
  endReason: z.string().nullable(),
  recording: z.object({
    state: z.enum(['open', 'complete', 'cut_short', 'missing']),
    bytes: z.int(),
    head: z.string().nullable(),
    /** What it holds: shell, exec, sftp, scp, port-forward ... */
    contents: z.array(z.string()),
  }),
})
export type Session = z.infer<typeof Session>

export const SessionListQuery = PageQuery.extend({
  live: z.stringbool().optional(),
  user: Name.optional(),
  node: Name.optional(),
})
