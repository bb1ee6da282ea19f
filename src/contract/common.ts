import { z } from 'zod'

/**
 * Names of users, roles and resources, lowercased here, once. Anything outside ASCII is refused before that, because some
 * look-alikes (the Kelvin sign, for one) lowercase to plain letters.
 */
export const NAME_PATTERN = /^[a-z0-9][a-z0-9._-]{0,62}$/
export const Name = z
  .string()
  .regex(/^[\x20-\x7e]*$/, 'a name has only ASCII characters')
  .toLowerCase()
  .regex(NAME_PATTERN, 'a name is 1 to 63 of a-z 0-9 . _ - and starts with a letter or digit')

/** A login on a target: never contains `+ % @ ,`, blanks or control characters, and is no option (`-x`). */
export const LOGIN_PATTERN = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/
export const Login = z.string().regex(LOGIN_PATTERN, 'a login is 1 to 64 of A-Z a-z 0-9 _ . -')

/**
 * A user of a database: never contains `+` (which parts it from the database's name), blanks or control characters, and is
 * no option. 63 bytes are what PostgreSQL keeps of a name.
 */
export const DbUser = z
  .string()
  .regex(/^[A-Za-z0-9_][A-Za-z0-9_.$@-]{0,62}$/, 'a db user is 1 to 63 of A-Z a-z 0-9 _ . $ @ -')
/** A database inside a server (a schema of MySQL). */
export const DbName = z
  .string()
  .regex(/^[A-Za-z0-9_][A-Za-z0-9_.$-]{0,62}$/, 'a db name is 1 to 63 of A-Z a-z 0-9 _ . $ -')

/** A role of a database server that just-in-time users are given. Exact: a pattern could take in more than was meant. */
export const DbRole = z
  .string()
  .regex(/^[A-Za-z0-9_][A-Za-z0-9_.$-]{0,62}$/, 'a database role is 1 to 63 of A-Z a-z 0-9 _ . $ -, never a pattern')

/** What one signs in as: a login, or a db user as the role names it, patterns included. */
export const Account = z.string().min(1).max(256)

export const RESOURCE_KINDS = ['node', 'database', 'kube_cluster', 'app'] as const
export const ResourceKind = z.enum(RESOURCE_KINDS)
export type ResourceKind = z.infer<typeof ResourceKind>
/** `node/db-box`. */
export const ResourceName = z
  .string()
  .max(128)
  .transform((text, context) => {
    const slash = text.indexOf('/')
    const kind = ResourceKind.safeParse(text.slice(0, slash))
    const name = Name.safeParse(text.slice(slash + 1))
    if (slash > 0 && kind.success && name.success) return { kind: kind.data, name: name.data }
    const message = `a resource is KIND/NAME with one of the kinds ${RESOURCE_KINDS.join(', ')}`
    context.addIssue({ code: 'custom', message })
    return z.NEVER
  })

/** Milliseconds since the epoch. */
export const Instant = z.int().min(0)
/** Milliseconds. */
export const DurationMs = z.int().min(0)

export const Labels = z.record(z.string().min(1).max(128), z.string().max(256))

/** `{"details": ..., "code": ...}`: every answer that is not 2xx. */
export const ErrorBody = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    hint: z.string().optional(),
    details: z.record(z.string(), z.unknown()).optional(),
    /** Finds the line in the daemon's log. */
    id: z.string().optional(),
  }),
})
export type ErrorBody = z.infer<typeof ErrorBody>

/** Cursor paging: give `next` back as `cursor`. */
export const PageQuery = z.object({
  cursor: z.string().max(500).optional(),
  limit: z.coerce.number().int().min(1).max(500).optional(),
})
