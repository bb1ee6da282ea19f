import { z } from 'zod'
import { Account, DurationMs, Instant, Name } from './common.ts'
import { AccessRequest, NamedResource, Narrowing } from './request.ts'

/** One way to what was refused: what to ask for. The first of several gives the least. */
export const AskWay = z.object({
  roles: z.array(Name),
  /** Empty: whatever the roles give */
  resources: z.array(NamedResource),
  /** A request for resources asks for the login that was wanted, and no other */
  narrowing: Narrowing.nullable(),
  /** What it would let one sign in as, there */
  logins: z.array(Account),
  longest: DurationMs,
  reason: z.object({ required: z.boolean(), prompt: z.string().nullable() }),
})
export type AskWay = z.infer<typeof AskWay>

/** What a connection would be answered right now, and what could be done about a no. */
export const AccessCheck = z.discriminatedUnion('ok', [
  z.object({ ok: z.literal(true), login: Account, endsAt: Instant.nullable() }),
  z.object({
    ok: z.literal(false),
    code: z.string(),
    /** As a connection would be shown */
    lines: z.array(z.string()),
    ways: z.array(AskWay),
    /** An undecided request of the caller's that would give it */
    pending: AccessRequest.nullable(),
  }),
])
export type AccessCheck = z.infer<typeof AccessCheck>
