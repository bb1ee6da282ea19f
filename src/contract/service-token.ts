import { z } from 'zod'
import { Instant, Name } from './common.ts'
import { Traits } from './user.ts'

/** What a service token may be used for. Each is listed by itself: none contains another. */
export const SERVICE_SCOPES = ['requests:read', 'requests:review', 'requests:annotate'] as const
export const ServiceScope = z.enum(SERVICE_SCOPES)
export type ServiceScope = z.infer<typeof ServiceScope>

export const LONGEST_TOKEN_LIFE_MS = 366 * 86_400_000

export const ServiceToken = z.object({
  id: z.string(),
  /** The service account that whoever shows it is */
  account: Name,
  /** Nobody's service account reviews a request of its owner; null: the owner is gone, and the token is refused */
  owner: Name.nullable(),
  scopes: z.array(ServiceScope),
  note: z.string(),
  createdAt: Instant,
  createdBy: z.string(),
  expiresAt: Instant,
  /** At most a minute old; null: never used */
  lastSeenAt: Instant.nullable(),
})
export type ServiceToken = z.infer<typeof ServiceToken>

export const AddServiceTokenBody = z.strictObject({
  /** Of a service account; one that is not there is made, with `owner`, `roles` and `traits` */
  account: Name,
  /** A person. Left out: whoever calls. The local admin has to name one. */
  owner: Name.optional(),
  roles: z.array(Name).max(50).optional(),
  traits: Traits.optional(),
  scopes: z.array(ServiceScope).min(1).max(SERVICE_SCOPES.length),
  /** ms from now */
  ttl: z.int().min(60_000).max(LONGEST_TOKEN_LIFE_MS),
  note: z.string().max(200).default(''),
})
export type AddServiceTokenBody = z.output<typeof AddServiceTokenBody>

/** `secret` is shown once; the daemon keeps its SHA-256. */
export const NewServiceToken = z.object({ token: ServiceToken, secret: z.string() })
