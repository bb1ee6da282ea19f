import { createPublicKey, verify } from 'node:crypto'
import { z } from 'zod'
import { type ChatAct, FORM_FIELDS, type FormField, type RawCallback } from '../../../contract/from-chat.ts'
import { DISCORD_MARKS, DiscordSettings, Snowflake } from '../../../contract/vendors/discord.ts'
import type { ChatVerifier, Verified, VerifierParts } from '../chat-verifier.ts'

// Discord signs the time and the exact bytes with the application's key (Ed25519), and sends badly signed interactions on purpose.
// An interaction outside the listed servers, a direct message among them, is of another tenant.

const WINDOW_SECONDS = 300
const PING = 1
const COMMAND = 2
const PRESSED = 3
const SUBMITTED = 5

const rejected = (why: string): Verified => ({ kind: 'rejected', why })
const ignored = (why: string): Verified => ({ kind: 'ignored', why })

const Common = z.object({ id: Snowflake, application_id: Snowflake, type: z.int() })
const Person = z.object({ id: Snowflake, username: z.string().default(''), bot: z.boolean().default(false) })
const Placed = Common.extend({
  guild_id: Snowflake,
  channel_id: Snowflake,
  member: z.object({ user: Person }),
})
type Interaction = z.infer<typeof Placed>

const Command = z.object({
  name: z.literal('access'),
  options: z.array(z.object({ name: z.string(), value: z.unknown() })).default([]),
})
const Press = z.object({ data: z.object({ custom_id: z.string().max(100) }), message: z.object({ id: Snowflake }) })
const Typed = z.object({ custom_id: z.string(), value: z.string().optional(), values: z.array(z.string()).optional() })
const Submission = z.object({
  custom_id: z.string().max(100),
  components: z
    .array(z.object({ component: Typed.optional().catch(undefined), components: z.array(Typed).default([]).catch([]) }))
    .default([]),
})

export const discordVerifier: ChatVerifier = {
  vendor: 'discord',
  async verify(callback, { settings }, parts) {
    const known = DiscordSettings.parse(settings)
    if (callback.via !== 'http' || callback.path !== 'interactions') return rejected('path')
    const trouble = signatureTrouble(callback, known.public_key, parts.now)
    if (trouble !== null) return rejected(trouble)
    const raw = readJson(callback.body)
    const common = Common.safeParse(raw)
    if (!common.success) return rejected('shape')
    if (common.data.application_id !== known.application_id) return rejected('other_application')
    if (common.data.type === PING) return ignored('ping')
    const placed = Placed.safeParse(raw)
    if (!placed.success || !known.guild_ids.includes(placed.data.guild_id)) return rejected('other_tenant')
    if (placed.data.member.user.bot) return ignored('a program')
    const act = await actOf(placed.data, raw, parts)
    return 'why' in act ? rejected(act.why) : eventOf(placed.data, act)
  },
}

function eventOf({ id, guild_id, member }: Interaction, act: ChatAct): Verified {
  const account = { tenant: guild_id, id: member.user.id, name: member.user.username }
  return { kind: 'event', event: { eventId: id, account, act } }
}

/** null: authentic. */
function signatureTrouble({ headers, body }: RawCallback, publicKey: string, now: number): string | null {
  const signature = headers['x-signature-ed25519'] ?? ''
  const timestamp = headers['x-signature-timestamp'] ?? ''
  if (!/^[0-9a-f]{128}$/.test(signature) || !/^[0-9]{1,12}$/.test(timestamp)) return 'signature'
  const x = Buffer.from(publicKey, 'hex').toString('base64url')
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
  const signed = Buffer.concat([Buffer.from(timestamp), body])
  if (!verify(null, signed, key, Buffer.from(signature, 'hex'))) return 'signature'
  return Math.abs(now / 1000 - Number(timestamp)) > WINDOW_SECONDS ? 'too_old' : null
}

function readJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body)) as unknown
  } catch {
    return null
  }
}

async function actOf(
  { type, channel_id }: Interaction,
  raw: unknown,
  parts: VerifierParts,
): Promise<ChatAct | { readonly why: string }> {
  if (type === COMMAND) return commandAct(raw)
  if (type === PRESSED) return await pressAct(raw, channel_id, parts)
  if (type === SUBMITTED) return formAct(raw)
  return { kind: 'other' }
}

function commandAct(raw: unknown): ChatAct {
  const parsed = z.object({ data: Command }).safeParse(raw)
  if (!parsed.success) return { kind: 'other' }
  const text = parsed.data.data.options.find(({ name }) => name === 'text')?.value
  return { kind: 'command', text: typeof text === 'string' ? text : '' }
}

async function pressAct(
  raw: unknown,
  channel: string,
  parts: VerifierParts,
): Promise<ChatAct | { readonly why: string }> {
  const parsed = Press.safeParse(raw)
  if (!parsed.success) return { why: 'shape' }
  const [mark, button, buttonId, ...more] = parsed.data.data.custom_id.split(':')
  if (mark !== DISCORD_MARKS.button || button === undefined || buttonId === undefined || more.length > 0)
    return { kind: 'other' }
  const message = await parts.messageOf(buttonId)
  // Discord lets nobody copy a button elsewhere; one that is there all the same is none of ours.
  if (message !== null && message.channel !== channel) return { why: 'other_channel' }
  return { kind: 'button', button, buttonId, message: `${channel}/${parsed.data.message.id}` }
}

function formAct(raw: unknown): ChatAct {
  const parsed = z.object({ data: Submission }).safeParse(raw)
  if (!parsed.success) return { kind: 'other' }
  const { custom_id, components } = parsed.data.data
  const [mark, nonce, ...more] = custom_id.split(':')
  if (mark !== DISCORD_MARKS.form || nonce === undefined || more.length > 0) return { kind: 'other' }
  const fields: Partial<Record<FormField, string>> = {}
  for (const { component, components: inner } of components) {
    for (const typed of [...(component === undefined ? [] : [component]), ...inner]) {
      const name = FORM_FIELDS.find((field) => field === typed.custom_id)
      if (name !== undefined) fields[name] = typed.values?.join(',') ?? typed.value ?? ''
    }
  }
  return { kind: 'form', nonce, fields }
}
