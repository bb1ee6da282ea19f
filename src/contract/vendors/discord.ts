import { z } from 'zod'
import { Secret } from './common.ts'
import { ServiceUrl } from './service-url.ts'

/** Ids of Discord: 64 bits in decimal. */
export const Snowflake = z.string().regex(/^[0-9]{15,20}$/, 'an id of Discord is 15 to 20 digits')

export const DiscordSettings = z.strictObject({
  application_id: Snowflake,
  /** Of the application, as its page shows it: what Discord signs interactions with */
  public_key: z.string().regex(/^[0-9a-f]{64}$/, 'the public key of the application: 64 of 0-9 a-f'),
  /** Servers whose members are heard; what comes from any other, or from a direct message, is refused */
  guild_ids: z.array(Snowflake).min(1).max(100),
  api_url: ServiceUrl.default('https://discord.com/api/v10'),
})
export type DiscordSettings = z.infer<typeof DiscordSettings>

export const DiscordSecrets = z.strictObject({ bot_token: Secret })
export type DiscordSecrets = z.infer<typeof DiscordSecrets>

/** What our buttons and forms are called there, in front of their number: `press:approve:ID`, `form:NONCE`. */
export const DISCORD_MARKS = { button: 'press', form: 'form' } as const
