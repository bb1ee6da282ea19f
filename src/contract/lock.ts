import { z } from 'zod'
import { Instant } from './common.ts'
import { DurationText } from './role.ts'

export const LOCK_TARGETS = ['user', 'role', 'request', 'login', 'node', 'database'] as const
export const Lock = z.object({
  id: z.string(),
  target: z.object({ kind: z.enum(LOCK_TARGETS), id: z.string(), name: z.string() }),
  message: z.string(),
  createdBy: z.string(),
  createdAt: Instant,
  expiresAt: Instant.nullable(),
})
export type Lock = z.infer<typeof Lock>

export const AddLockBody = z.strictObject({
  kind: z.enum(LOCK_TARGETS),
  /** A name (user, role, node, database) or an id (any). */
  target: z.string().min(1).max(100),
  message: z.string().max(500).default(''),
  ttl: DurationText.optional(),
})
