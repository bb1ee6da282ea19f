import { z } from 'zod'
import { Account, DbName, DbUser, Instant, Labels, Name } from './common.ts'

export const DB_PROTOCOLS = ['postgres', 'mysql'] as const
export const DbProtocol = z.enum(DB_PROTOCOLS)
export type DbProtocol = z.infer<typeof DbProtocol>

/**
 * `verify-full`: the server's certificate and its name are checked. `verify-ca`: the name is not. `insecure-disable`: nothing
 * is encrypted, for a server on the same machine or a network of its own.
 */
export const DB_TLS_MODES = ['verify-full', 'verify-ca', 'insecure-disable'] as const
export const DbTlsMode = z.enum(DB_TLS_MODES)
export type DbTlsMode = z.infer<typeof DbTlsMode>

/** How the proxy signs in: by a certificate of the database authority, or by stored passwords of named db users. */
export const DbAuth = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('certificate') }),
  z.strictObject({
    kind: z.literal('password'),
    /** PostgreSQL: a server that asks for an MD5 answer, which can be tried out offline and gives away what it stores, gets one. */
    allow_md5: z.boolean().optional(),
    users: z
      .array(
        z.strictObject({
          name: DbUser,
          /** Never printed. Absent in a change: as it was. */
          password: z.string().min(1).max(1024).optional(),
        }),
      )
      .min(1)
      .max(200),
  }),
])
export type DbAuth = z.infer<typeof DbAuth>

/**
 * Users of the server are made when somebody connects, and locked or dropped when their last session ends. `admin_user` makes
 * them; the proxy signs in as it by `auth`, as it does for everybody else.
 */
export const JustInTime = z.strictObject({
  admin_user: DbUser,
  /** Where the admin signs in to; PostgreSQL alone */
  admin_database: DbName.default('postgres'),
  /** One who owns something is locked even where `drop` is wanted. */
  on_end: z.enum(['lock', 'drop']).default('lock'),
})
export type JustInTime = z.infer<typeof JustInTime>

/** kind: database, as `sallyctl create -f` takes it. */
export const DatabaseDocument = z.strictObject({
  kind: z.literal('database'),
  version: z.literal('v1').default('v1'),
  metadata: z.strictObject({ name: Name, labels: Labels.default({}) }),
  spec: z.strictObject({
    protocol: DbProtocol,
    /** host:port */
    address: z.string().max(300),
    tls: z
      .strictObject({
        mode: DbTlsMode.default('verify-full'),
        /** PEM of the authorities that sign the server's certificate. Absent: those of the system. */
        ca: z.string().max(100_000).optional(),
        /** Name expected in the server's certificate; default: the host part of the address */
        server_name: z.string().min(1).max(255).optional(),
      })
      .prefault({}),
    auth: DbAuth.default({ kind: 'certificate' }),
    /** Absent: people use the db users that their roles name. */
    just_in_time: JustInTime.optional(),
  }),
})
export type DatabaseDocument = z.infer<typeof DatabaseDocument>

/** A database as its viewer may see it. */
export const VisibleDatabase = z.object({
  id: z.string(),
  name: Name,
  protocol: DbProtocol,
  labels: Labels,
  /** Db users that work right now, as the roles name them. Empty: access must be asked for. */
  dbUsers: z.array(Account),
  /** Databases inside the server that work right now, as the roles name them */
  dbNames: z.array(z.string()),
  /** Database roles of the user that is made on connect. Absent: nobody is made there. */
  dbRoles: z.array(z.string()).optional(),
  /** Roles that could be asked for and would help. */
  requestableRoles: z.array(Name),
  /** Roles that would help as part of a request for this very database (`--resource=database/NAME`). */
  searchRoles: z.array(Name),
  /** End of the last grant that opens it, if only grants do. */
  accessUntil: z.number().nullable(),
})
export type VisibleDatabase = z.infer<typeof VisibleDatabase>

/** What `sally db login` sends: the key never leaves the device. */
export const DatabaseCertificateBody = z.strictObject({
  /** Base64 of a P-256 public key's SubjectPublicKeyInfo */
  publicKey: z.string().max(500),
})

/** What a stock client needs for this database. */
export const DatabaseCertificate = z.object({
  database: z.object({ name: Name, protocol: DbProtocol }),
  /** PEM; says who somebody is and which database is meant, never what they may do */
  certificate: z.string(),
  /** PEM of the authorities that sign the proxy's own certificate */
  serverAuthority: z.string(),
  /** Name in the proxy's certificate */
  serverName: z.string(),
  /** Port on the proxy's host; null: the one port */
  port: z.int().nullable(),
  /** Of the login session: the certificate ends with it */
  expiresAt: Instant,
})
export type DatabaseCertificate = z.infer<typeof DatabaseCertificate>
