import { z } from 'zod'
import { Instant, Name } from './common.ts'
import { Vendor } from './vendors/common.ts'

const account = {
  integration: Name,
  vendor: Vendor,
  /** Workspace, server, site or guild, by the vendor's id */
  tenant: z.string(),
  externalId: z.string(),
  /** As the vendor gave it; for people, never for rights */
  name: z.string(),
}

/** Who somebody is at a vendor. */
export const ChatAccount = z.object({ id: z.string(), user: z.string(), ...account, linkedAt: Instant })
export type ChatAccount = z.infer<typeof ChatAccount>

/** What a code would link. */
export const ChatLinkOffer = z.object({
  ...account,
  expiresAt: Instant,
  /** Whether it is linked now, and with whom */
  linked: z.enum(['no', 'you', 'other']),
})
export type ChatLinkOffer = z.infer<typeof ChatLinkOffer>

/** Typed by people: capitals and dashes do not matter. */
export const LinkCode = z.string().min(1).max(40)
