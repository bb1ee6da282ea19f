import { z } from 'zod'
import { Secret } from './common.ts'

/** One plain address: no display name, no quoted local part, nothing that could become a second recipient or a header. */
export const MailAddress = z
  .string()
  .max(254)
  .regex(
    /^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/,
    'one plain mail address, like access@example.org',
  )

/** The same in any script: it takes a mail server that knows SMTPUTF8 where the part before the @ is not ASCII. */
export const MailRecipient = z
  .string()
  .max(254)
  .regex(
    /^[\p{L}\p{M}\p{N}.!#$%&'*+/=?^_`{|}~-]{1,64}@[\p{L}\p{N}](?:[\p{L}\p{M}\p{N}.-]{0,251}[\p{L}\p{M}\p{N}])?$/u,
    'one plain mail address, like access@example.org',
  )

/** A host name or an address, without port. */
const Host = z.string().regex(/^[A-Za-z0-9:](?:[A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?$/, 'a host name or an address')

export const EmailSettings = z.strictObject({
  smtp: z.strictObject({
    host: Host,
    /** Absent: 587 with `starttls`, 465 with `implicit` */
    port: z.int().min(1).max(65_535).optional(),
    /** Nothing is ever sent in clear: a server that offers no TLS is not used */
    tls: z.enum(['starttls', 'implicit']).default('starttls'),
    /** Certificates (PEM) that the server's is checked against instead of those this machine trusts */
    ca: z.string().max(65_536).optional(),
    username: z.string().min(1).max(320).optional(),
  }),
  from: MailAddress,
  from_name: z
    .string()
    .max(100)
    .regex(/^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}<>"@,;:\\]*$/u, 'a name without control characters or < > " @ , ; : \\')
    .default('Sallyport'),
  /** Mails a minute; a server of one's own usually takes more, a provider less */
  per_minute: z.int().min(1).max(6000).default(60),
})
export type EmailSettings = z.infer<typeof EmailSettings>

export const EmailSecrets = z.strictObject({
  /** With `smtp.username` */
  password: Secret.optional(),
})
export type EmailSecrets = z.infer<typeof EmailSecrets>
