import { z } from 'zod'
import { Labels, Login, Name } from './common.ts'

/** kind: node, as `sallyctl create -f` takes it. One of hostKey and hostAuthority must be given. */
export const NodeDocument = z.strictObject({
  kind: z.literal('node'),
  version: z.literal('v1').default('v1'),
  metadata: z.strictObject({ name: Name, labels: Labels.default({}) }),
  spec: z
    .strictObject({
      /** host:port */
      address: z.string().max(300),
      /** `ssh-ed25519 AAAA...`, pinned */
      host_key: z.string().max(2000).optional(),
      /** CA that signs the host's certificate */
      host_authority: z.string().max(2000).optional(),
      /** principal expected in the host certificate; default: the host part of the address */
      host_principal: z.string().max(255).optional(),
    })
    .refine(
      (spec) => spec.host_key !== undefined || spec.host_authority !== undefined,
      'give host_key or host_authority',
    ),
})
export type NodeDocument = z.infer<typeof NodeDocument>

/** A node as its viewer may see it. */
export const VisibleNode = z.object({
  id: z.string(),
  name: Name,
  labels: Labels,
  /** Logins that work right now. Empty: access must be asked for. */
  logins: z.array(Login),
  defaultLogin: Login.nullable(),
  /** Roles that could be asked for and would help. */
  requestableRoles: z.array(Name),
  /** Roles that would help as part of a request for this very node (`--resource=node/NAME`). */
  searchRoles: z.array(Name).default([]),
  /** End of the last grant that opens it, if only grants do. */
  accessUntil: z.number().nullable(),
})
export type VisibleNode = z.infer<typeof VisibleNode>
