import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import type { ChatAct, ChatEvent, RawCallback, VendorAccount } from '../../../contract/from-chat.ts'
import { SLACK_DIALOG, slackButtonOf, slackFieldOf, slackMessage } from '../../../contract/vendors/slack.ts'
import type { FormField } from '../../../contract/from-chat.ts'
import type { ChatVerifier, Verified } from '../chat-verifier.ts'

// https://docs.slack.dev/authentication/verifying-requests-from-slack, read 2026-11

/** Slack's own limit; here in both directions, as a stamp of the future is good for longer. */
const STAMP_WITHIN_MS = 300_000

const Settings = z.object({
  team_id: z.string(),
  app_id: z.string(),
  enterprise_id: z.string().optional(),
  mode: z.enum(['socket', 'http']),
})
type Settings = z.infer<typeof Settings>
const Secrets = z.object({ signing_secret: z.string().min(1).optional() })

const Id = z.string().min(1).max(64)
const Account = z.looseObject({
  id: Id,
  username: z.string().optional(),
  name: z.string().optional(),
  team_id: z.string().optional(),
})
const Where = {
  api_app_id: z.string(),
  team: z.looseObject({ id: z.string(), enterprise_id: z.string().nullish() }),
  enterprise: z.looseObject({ id: z.string() }).nullish(),
  user: Account,
  trigger_id: z.string().min(1).max(300).optional(),
}
const Interaction = z.discriminatedUnion('type', [
  z.looseObject({
    ...Where,
    type: z.literal('block_actions'),
    container: z.looseObject({ channel_id: Id.optional(), message_ts: Id.optional() }).optional(),
    actions: z.array(z.looseObject({ action_id: z.string().max(255), value: z.string().max(2000).optional() })).max(25),
  }),
  z.looseObject({
    ...Where,
    type: z.literal('view_submission'),
    view: z.looseObject({
      callback_id: z.string(),
      private_metadata: z.string().max(3000),
      state: z.looseObject({ values: z.record(z.string(), z.record(z.string(), z.unknown())) }),
    }),
  }),
])
const Choice = z.looseObject({ value: z.string().max(2000) })
const Typed = z.looseObject({
  value: z.string().max(6000).nullish(),
  selected_option: Choice.nullish(),
  selected_options: z.array(Choice).max(300).nullish(),
})
const Command = z.looseObject({
  api_app_id: z.string(),
  team_id: z.string(),
  enterprise_id: z.string().optional(),
  user_id: Id,
  user_name: z.string().optional(),
  command: z.string(),
  text: z.string().max(8000).default(''),
  trigger_id: z.string().min(1).max(300).optional(),
})

/** A `rejected` of the checks below */
class NotForUs extends Error {}

export const slackVerifier: ChatVerifier = {
  vendor: 'slack',
  verify(callback, opened, { now }): Verified {
    const settings = Settings.safeParse(opened.settings)
    const secrets = Secrets.safeParse(opened.secrets)
    if (!settings.success || !secrets.success) return { kind: 'rejected', why: 'settings' }
    const unsafe = authenticate(callback, settings.data, secrets.data.signing_secret, now)
    if (unsafe !== null) return { kind: 'rejected', why: unsafe }
    try {
      return read(callback, settings.data)
    } catch (error) {
      if (error instanceof NotForUs) return { kind: 'rejected', why: error.message }
      return { kind: 'rejected', why: 'unreadable' }
    }
  },
}

/** null: it is from Slack. What comes over our own socket is not signed; nothing else may claim to come from there. */
function authenticate(
  { via, headers, body }: RawCallback,
  { mode }: Settings,
  secret: string | undefined,
  now: number,
): string | null {
  if (via === 'socket') return mode === 'socket' ? null : 'mode'
  if (mode !== 'http') return 'mode'
  if (secret === undefined) return 'no_secret'
  const stamp = headers['x-slack-request-timestamp'] ?? ''
  if (!/^\d{1,12}$/.test(stamp)) return 'timestamp'
  if (Math.abs(now - Number(stamp) * 1000) > STAMP_WITHIN_MS) return 'timestamp'
  const given = /^v0=([0-9a-f]{64})$/.exec(headers['x-slack-signature'] ?? '')?.[1]
  if (given === undefined) return 'signature'
  const expected = createHmac('sha256', secret).update(`v0:${stamp}:`).update(body).digest()
  return timingSafeEqual(expected, Buffer.from(given, 'hex')) ? null : 'signature'
}

function read(callback: RawCallback, settings: Settings): Verified {
  if (callback.path === 'interactions') return readInteraction(callback, settings)
  if (callback.path === 'commands') return readCommand(callback, settings)
  return { kind: 'ignored', why: 'path' }
}

function readInteraction(callback: RawCallback, settings: Settings): Verified {
  const payload = callback.via === 'socket' ? textOf(callback) : onlyPayload(textOf(callback))
  const parsed: unknown = JSON.parse(payload)
  const interaction = Interaction.safeParse(parsed)
  if (!interaction.success) return unknownInteraction(parsed, settings)
  const { data } = interaction
  refuseOthers(settings, data.api_app_id, data.team.id, data.enterprise?.id ?? data.team.enterprise_id)
  // People of another workspace, in a channel shared by Slack Connect: their ids are somebody else's to give.
  if (data.user.team_id === undefined ? data.type === 'block_actions' : data.user.team_id !== settings.team_id)
    throw new NotForUs('other_tenant')
  const act = data.type === 'block_actions' ? pressed(data) : submitted(data.view)
  if (act === null) return { kind: 'ignored', why: 'not ours' }
  const account = {
    tenant: settings.team_id,
    id: data.user.id,
    name: data.user.username ?? data.user.name ?? data.user.id,
  }
  return event(callback, data.trigger_id, account, act)
}

const KINDS: ReadonlySet<string> = new Set(['block_actions', 'view_submission'])

/** Kinds that we never ask for are no attack; a known kind in another shape is nothing that Slack sends. */
function unknownInteraction(parsed: unknown, settings: Settings): Verified {
  const { data } = z.looseObject({ api_app_id: z.string(), type: z.string() }).safeParse(parsed)
  if (data === undefined || data.api_app_id !== settings.app_id || KINDS.has(data.type))
    return { kind: 'rejected', why: 'unreadable' }
  return { kind: 'ignored', why: 'kind' }
}

function readCommand(callback: RawCallback, settings: Settings): Verified {
  const text = textOf(callback)
  const fields: unknown = callback.via === 'socket' ? JSON.parse(text) : Object.fromEntries(new URLSearchParams(text))
  const command = Command.safeParse(fields)
  // Slack's look at whether the address speaks TLS
  if (!command.success) return { kind: 'ignored', why: 'not a command' }
  const { data } = command
  refuseOthers(settings, data.api_app_id, data.team_id, data.enterprise_id)
  const account = { tenant: settings.team_id, id: data.user_id, name: data.user_name ?? data.user_id }
  return event(callback, data.trigger_id, account, { kind: 'command', text: unescape(data.text) })
}

function refuseOthers(settings: Settings, app: string, team: string, enterprise: string | null | undefined): void {
  if (app !== settings.app_id) throw new NotForUs('other_app')
  if (team !== settings.team_id) throw new NotForUs('other_tenant')
  if ((enterprise || undefined) !== settings.enterprise_id) throw new NotForUs('other_enterprise')
}

function pressed(data: Extract<z.infer<typeof Interaction>, { type: 'block_actions' }>): ChatAct | null {
  const [action, ...more] = data.actions
  if (action === undefined || more.length > 0) return null
  const button = slackButtonOf(action.action_id)
  // Opens a page in the browser; Slack tells us nevertheless.
  if (button === null || button === 'open') return null
  if (action.value === undefined || action.value.length < 16 || action.value.length > 200) return null
  const { channel_id: channel, message_ts: ts } = data.container ?? {}
  const message = channel === undefined || ts === undefined ? null : slackMessage(channel, ts)
  return { kind: 'button', button, buttonId: action.value, message }
}

function submitted(view: Extract<z.infer<typeof Interaction>, { type: 'view_submission' }>['view']): ChatAct | null {
  if (view.callback_id !== SLACK_DIALOG || view.private_metadata === '') return null
  const fields: Partial<Record<FormField, string>> = {}
  for (const [block, inputs] of Object.entries(view.state.values)) {
    const field = slackFieldOf(block)
    const typed = Typed.safeParse(Object.values(inputs)[0])
    if (field === null || !typed.success) continue
    const text = typedText(typed.data)
    if (text !== null) fields[field] = text
  }
  return { kind: 'form', nonce: view.private_metadata, fields }
}

function typedText({ value, selected_option: one, selected_options: several }: z.infer<typeof Typed>): string | null {
  return value ?? one?.value ?? several?.map((choice) => choice.value).join(',') ?? null
}

/** Slack makes a trigger for each thing a person does, and repeats it when it delivers that again. */
function event(callback: RawCallback, trigger: string | undefined, account: VendorAccount, act: ChatAct): Verified {
  const eventId = trigger ?? createHash('sha256').update(callback.body).digest('hex')
  const found: ChatEvent = { eventId, account, act }
  return { kind: 'event', event: found }
}

function onlyPayload(text: string): string {
  const [payload, ...more] = new URLSearchParams(text).getAll('payload')
  if (payload === undefined || more.length > 0) throw new NotForUs('unreadable')
  return payload
}

const textOf = ({ body }: RawCallback): string => new TextDecoder('utf-8', { fatal: true }).decode(body)

/** Slack escapes these three in what people type. */
const unescape = (text: string): string => text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&')
