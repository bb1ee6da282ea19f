import { z } from 'zod'
import { Instant, Name } from './common.ts'

/** One signed-in device. */
export const LoginSession = z.object({
  id: z.string(),
  user: Name,
  device: z.string(),
  factors: z.array(z.enum(['password', 'totp', 'invitation'])),
  keyFingerprint: z.string(),
  address: z.string(),
  createdAt: Instant,
  lastSeenAt: Instant,
  expiresAt: Instant,
  endedAt: Instant.nullable(),
  current: z.boolean(),
})
export type LoginSession = z.infer<typeof LoginSession>

export const SignInBody = z.strictObject({
  user: z.string().max(200),
  password: z.string().max(1024),
  /** Six digits; required where the user has a second factor. */
  code: z.string().max(10).optional(),
  device: z.string().max(100),
  /** OpenSSH public key line of a key that stays on the device. */
  sshPublicKey: z.string().max(2000),
})

/** First sign-in of an invited user: sets the password. */
export const AcceptInvitationBody = z.strictObject({
  code: z.string().max(100),
  password: z.string().min(10).max(1024),
  device: z.string().max(100),
  sshPublicKey: z.string().max(2000),
})

export const SignedIn = z.object({
  user: z.object({ id: z.string(), name: Name }),
  login: z.object({ id: z.string(), expiresAt: Instant }),
  /** Bearer token, shown once; the server keeps its SHA-256. */
  token: z.string(),
  /** `ssh-ed25519-cert-v01@openssh.com AAAA...` */
  sshCertificate: z.string(),
  /** True: the user must add a second factor (`sally mfa add`) before anything that needs one. */
  secondFactorDue: z.boolean(),
})
export type SignedIn = z.infer<typeof SignedIn>

/** What a client must know before it trusts anything else; its TLS chain is checked against the CA pin. */
export const Ping = z.object({
  installation: z.string(),
  version: z.string(),
  contract: z.int(),
  /** Name by which certificates know the proxy; ssh_config's HostKeyAlias. */
  proxyName: z.string(),
  /** PEM of the server-TLS authority. */
  tlsAuthority: z.string(),
  /** OpenSSH public key lines of the host-SSH authority (two while it is rotated). */
  sshHostAuthorities: z.array(z.string()),
  secondFactor: z.literal('totp'),
})
export type Ping = z.infer<typeof Ping>
