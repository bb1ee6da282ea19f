import { z } from 'zod'
import { Instant, Name } from './common.ts'

export const Traits = z.record(z.string().min(1).max(100), z.array(z.string().max(500)).max(100))

/** kind: user, as `sallyctl create -f` takes it. */
export const UserDocument = z.strictObject({
  kind: z.literal('user'),
  version: z.literal('v1').default('v1'),
  metadata: z.strictObject({ name: Name }),
  spec: z.strictObject({
    email: z.string().max(320).optional(),
    roles: z.array(Name).max(50).default([]),
    traits: Traits.default({}),
    disabled: z.boolean().default(false),
  }),
})
export type UserDocument = z.infer<typeof UserDocument>

export const User = z.object({
  id: z.string(),
  name: Name,
  email: z.string().nullable(),
  roles: z.array(Name),
  traits: Traits,
  disabled: z.boolean(),
  secondFactor: z.boolean(),
  createdAt: Instant,
  /** Of a service account: who it belongs to, or `gone`; null: a person */
  owner: Name.nullable().default(null),
})
export type User = z.infer<typeof User>

/** Shown once: the command that the invited person types. */
export const Invitation = z.object({ user: Name, code: z.string(), expiresAt: Instant, command: z.string() })
export type Invitation = z.infer<typeof Invitation>
