import { z } from 'zod'
import { Instant, PageQuery } from './common.ts'

export const EVENT_TYPES = [
  'installation.create',
  'user.create',
  'user.update',
  'user.delete',
  'user.invite',
  'user.login',
  'user.logout',
  'user.reset',
  'login.end',
  'cert.create',
  'auth.fail',
  'mfa.add',
  'mfa.remove',
  'mfa.step_up',
  'role.create',
  'role.update',
  'role.delete',
  'resource.create',
  'resource.update',
  'resource.delete',
  'review_rule.create',
  'review_rule.update',
  'review_rule.delete',
  'integration.create',
  'integration.update',
  'integration.delete',
  'integration.disable',
  'chat_account.link',
  'chat_account.unlink',
  'chat_account.refused',
  'token.create',
  'token.delete',
  'policy.load',
  'policy.change',
  'policy.remove',
  'policy.fail',
  'lock.create',
  'lock.delete',
  'access_request.create',
  'access_request.review',
  'access_request.approve',
  'access_request.deny',
  'access_request.cancel',
  'access_request.expire',
  'access_request.review_refused',
  'access_request.escalate',
  'access_request.break_glass',
  'access_request.acknowledge',
  'delegation.create',
  'delegation.remove',
  'grant.schedule',
  'grant.start',
  'grant.extend',
  'grant.notice',
  'grant.end',
  'grant.revoke',
  'grant.return',
  'grant.suspend',
  'grant.resume',
  'session.start',
  'session.end',
  'session.terminate',
  'session.reject',
  'session.reauthorized',
  'session.recording.access',
  'db.session.start',
  'db.session.end',
  'db.user.create',
  'db.user.unlock',
  'db.user.lock',
  'db.user.drop',
  'db.user.fail',
  'session.recording.search',
  'exec',
  'sftp',
  'scp',
  'port_forward',
  'agent_forward',
  'condition.fail',
  'ca.create',
  'ca.rotate',
  'ca.export',
  'api.refused',
  'audit.export',
  'audit.search',
  'audit.accept_rollback',
  'audit.verify_failed',
  'daemon.start',
  'daemon.stop',
] as const
export const EventType = z.enum(EVENT_TYPES)
export type EventType = z.infer<typeof EventType>

export const OUTCOMES = ['success', 'refused', 'failure'] as const

/** Who did it. `name` is for people; rights follow `id`. */
export const Actor = z.object({
  kind: z.enum(['user', 'local-admin', 'system', 'anonymous']),
  id: z.string().nullable(),
  name: z.string(),
})
export type Actor = z.infer<typeof Actor>

export const AuditEvent = z.object({
  seq: z.int(),
  id: z.string(),
  time: Instant,
  type: EventType,
  actor: Actor,
  login: z.string().nullable(),
  request: z.string().nullable(),
  grants: z.array(z.string()),
  session: z.string().nullable(),
  resource: z.object({ kind: z.string(), id: z.string(), name: z.string() }).nullable(),
  outcome: z.enum(OUTCOMES),
  /** null: pruned by retention */
  details: z.record(z.string(), z.unknown()).nullable(),
})
export type AuditEvent = z.infer<typeof AuditEvent>

export const AuditQuery = PageQuery.extend({
  since: z.coerce.number().int().optional(),
  until: z.coerce.number().int().optional(),
  user: z.string().max(200).optional(),
  type: z.string().max(100).optional(),
  request: z.string().max(100).optional(),
  session: z.string().max(100).optional(),
  resource: z.string().max(200).optional(),
  text: z.string().max(200).optional(),
})

/** What `audit verify` found. Only the first problem of each kind is listed in full. */
export const Verification = z.object({
  events: z.int(),
  rows: z.int(),
  checkpoints: z.int(),
  sessionFiles: z.int(),
  /** True: a checkpoint or key from outside the database confirmed the head. */
  anchored: z.boolean(),
  /** What the reader must know besides: UNANCHORED, how far the checkpoints outside reach, what was pruned. */
  notes: z.array(z.string()),
  problems: z.array(z.object({ kind: z.string(), where: z.string(), message: z.string() })),
})
export type Verification = z.infer<typeof Verification>
