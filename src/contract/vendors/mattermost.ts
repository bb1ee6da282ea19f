import { z } from 'zod'
import { Secret } from './common.ts'

/** Ids of a Mattermost server: 26 of its base32 alphabet. */
export const MattermostId = z.string().regex(/^[a-z0-9]{26}$/, 'an id of Mattermost is 26 of a-z 0-9')

const BaseUrl = z
  .url({ protocol: /^https?$/ })
  .max(500)
  .refine((text) => URL.canParse(text) && new URL(text).search === '' && new URL(text).hash === '', 'without ? and #')
  .transform((text) => text.replace(/\/+$/, ''))

export const MattermostSettings = z.strictObject({
  /** Of the server as people open it, its sub-path included: `https://chat.example.org` */
  url: BaseUrl,
  /** What is pressed or typed counts from this team, and from direct messages */
  team_id: MattermostId,
  /** User id of the bot account (not its bot or token id) */
  bot_user_id: MattermostId,
  /** The server's own id, as `sallyctl integration check` shows it: accounts are linked under it, whatever its address */
  site_id: z.string().min(1).max(128),
  /**
   * The server's public key, as `sallyctl integration check` shows it (base64): with it, who pressed a button or typed a command
   * is believed for the server's own signature
   */
  signing_key: z
    .string()
    .regex(/^[A-Za-z0-9+/]{80,400}={0,2}$/, 'the signing key is base64 of a public key')
    .optional(),
  /** Under which the server reaches this daemon; absent: as everybody does */
  callback_url: BaseUrl.optional(),
})
export type MattermostSettings = z.infer<typeof MattermostSettings>

export const MattermostSecrets = z.strictObject({
  /** Access token of the bot account */
  bot_token: Secret,
  /** Tokens of the slash command `/access`, one per team that has it; two while one is replaced */
  command_tokens: z.array(Secret).min(1).max(20).optional(),
  /** Authenticates what buttons bring back, which Mattermost does not sign. Made by the daemon where none is given */
  context_key: Secret.min(32).optional(),
})
export type MattermostSecrets = z.infer<typeof MattermostSecrets>
