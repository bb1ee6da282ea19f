import { createHash } from 'node:crypto'
import { z } from 'zod'
import { FORM_FIELDS, type ChatAct, type FormField, type RawCallback } from '../../../contract/from-chat.ts'
import { MattermostId, MattermostSecrets, MattermostSettings } from '../../../contract/vendors/mattermost.ts'
import {
  isActionsPath,
  isDialogSeal,
  isTriggerOf,
  readContext,
  readTrigger,
  sameText,
  type ButtonContext,
} from '../../../formats/mattermost-proof.ts'
import type { ChatVerifier, KnownMessage, Verified, VerifierParts } from '../chat-verifier.ts'

// Mattermost signs none of its callbacks. A button is believed for its path, the context that we signed and that no client has
// seen, the message that it is on, and a trigger id of who pressed it; a form for the nonce it was opened with and our seal over
// nonce and user; a command for its token. docs/mattermost.md says what each of them keeps out.

/** Clocks of two servers differ; what is older or further ahead is not of now. */
const TRIGGER_OLD_MS = 10 * 60_000
const TRIGGER_AHEAD_MS = 5 * 60_000

const Text = z.string().max(8000)
const Name = z.string().max(200)

/** Lenient: servers add fields. */
const Pressed = z.object({
  user_id: MattermostId,
  user_name: Name.default(''),
  channel_id: MattermostId,
  team_id: z.string().max(100).default(''),
  post_id: MattermostId,
  trigger_id: z.string().max(1000),
  context: z.record(z.string(), z.unknown()),
})
type Pressed = z.infer<typeof Pressed>

const Submitted = z.object({
  type: z.literal('dialog_submission'),
  user_id: MattermostId,
  callback_id: z.string().max(300),
  state: z.string().min(1).max(300),
  submission: z.record(z.string(), z.unknown()).nullish(),
  cancelled: z.boolean().default(false),
})

const Typed = z.object({
  token: z.string().min(1).max(200),
  team_id: MattermostId,
  user_id: MattermostId,
  user_name: Name.default(''),
  text: Text.default(''),
  trigger_id: z.string().max(1000),
})

const SeenPost = z.object({ id: MattermostId, user_id: MattermostId, channel_id: MattermostId })

interface Own extends Pick<VerifierParts, 'integration' | 'now' | 'fetch' | 'messageOf'> {
  readonly settings: MattermostSettings
  readonly secrets: MattermostSecrets
  readonly key: string
}

export const mattermostVerifier: ChatVerifier = {
  vendor: 'mattermost',
  async verify(callback, opened, parts) {
    const { integration, now, fetch } = parts
    const settings = MattermostSettings.parse(opened.settings)
    const secrets = MattermostSecrets.parse(opened.secrets)
    const key = secrets.context_key
    if (key === undefined) return rejected('no_key')
    const messageOf = (buttonId: string): Promise<KnownMessage | null> => parts.messageOf(buttonId)
    const own = { integration, now, fetch, messageOf, settings, secrets, key }
    if (callback.path === 'commands') return typed(callback, own)
    if (callback.path === 'dialogs') return submitted(callback, own)
    if (isActionsPath(key, integration, callback.path)) return await pressed(callback, own)
    return rejected('path')
  },
}

const rejected = (why: string): Verified => ({ kind: 'rejected', why })

async function pressed(callback: RawCallback, own: Own): Promise<Verified> {
  const body = Pressed.safeParse(jsonOf(callback))
  if (!body.success) return rejected('malformed')
  const press = body.data
  const context = readContext(own.key, own.integration, press.context)
  if (!context) return rejected('mac')
  // Presses outside the team are those in direct messages, which are of none.
  if (press.team_id !== '' && press.team_id !== own.settings.team_id) return rejected('other_tenant')
  if (context.channel !== press.channel_id) return rejected('other_channel')
  if (own.now >= context.until) return rejected('expired')
  const trigger = badTrigger(press, own)
  if (trigger !== null) return rejected(trigger)
  const elsewhere = await badPost(press, context, own)
  if (elsewhere !== null) return rejected(elsewhere)
  const message = `${press.channel_id}:${press.post_id}`
  const act: ChatAct = { kind: 'button', button: context.button, buttonId: context.buttonId, message }
  return event(own, press, eventIdOf('press', clickOf(press.trigger_id)), act)
}

/** A trigger id is made for each press: with the signing key in the settings, it is the server's signature of who and when. */
function badTrigger(by: { readonly user_id: string; readonly trigger_id: string }, own: Own): string | null {
  const trigger = readTrigger(by.trigger_id)
  if (!trigger) return 'trigger'
  if (trigger.userId !== by.user_id) return 'trigger_of_another'
  if (own.now - trigger.at > TRIGGER_OLD_MS || trigger.at - own.now > TRIGGER_AHEAD_MS) return 'trigger_expired'
  const { signing_key } = own.settings
  return signing_key !== undefined && !isTriggerOf(signing_key, by.trigger_id) ? 'trigger_signature' : null
}

/** A context that was copied to another post does nothing there. A post that we do not know yet, or a second one, is asked for. */
async function badPost(press: Pressed, context: ButtonContext, own: Own): Promise<string | null> {
  const message = await own.messageOf(context.buttonId)
  if (!message) return null
  if (message.channel !== null && message.channel !== press.channel_id) return 'other_channel'
  if (message.account !== null && message.account !== press.user_id) return 'other_person'
  if (message.external === `${press.channel_id}:${press.post_id}`) return null
  return (await isOurPost(press, own)) ? null : 'foreign_post'
}

async function isOurPost({ post_id, channel_id }: Pressed, { settings, secrets, fetch }: Own): Promise<boolean> {
  try {
    const answer = await fetch(`${settings.url}/api/v4/posts/${post_id}`, {
      method: 'GET',
      headers: { authorization: `Bearer ${secrets.bot_token}` },
    })
    if (answer.status !== 200) return false
    const post = SeenPost.parse(JSON.parse(Buffer.from(answer.body).toString()))
    return post.id === post_id && post.channel_id === channel_id && post.user_id === settings.bot_user_id
  } catch {
    return false
  }
}

/** Everything here passed through a client but the user, which the server sets. */
function submitted(callback: RawCallback, own: Own): Verified {
  const body = Submitted.safeParse(jsonOf(callback))
  if (!body.success) return rejected('malformed')
  const { user_id, callback_id, state, submission, cancelled } = body.data
  const sealed = isDialogSeal(own.key, own.integration, { nonce: state, userId: user_id, seal: callback_id })
  if (!sealed) return rejected('seal')
  if (cancelled) return { kind: 'ignored', why: 'cancelled' }
  const fields = fieldsOf(submission ?? {})
  if (!fields) return rejected('malformed')
  // The nonce is good for one deed; what was refused and corrected is another event.
  const id = eventIdOf('form', JSON.stringify([state, user_id, fields]))
  return event(own, { user_id, user_name: '' }, id, { kind: 'form', nonce: state, fields })
}

function fieldsOf(submission: Readonly<Record<string, unknown>>): Partial<Record<FormField, string>> | null {
  const fields: Partial<Record<FormField, string>> = {}
  for (const name of FORM_FIELDS) {
    const parts: string[] = []
    // A list takes one entry on older servers; what is typed beside it comes as `rolesmore`.
    for (const given of [submission[name], submission[`${name}more`]]) {
      if (given === undefined || given === null || given === '') continue
      const text = Array.isArray(given) ? given.join(',') : given
      if (typeof text !== 'string' || text.length > 8000) return null
      parts.push(text)
    }
    if (parts.length > 0) fields[name] = parts.join(',')
  }
  return fields
}

function typed(callback: RawCallback, own: Own): Verified {
  const form = Object.fromEntries(new URLSearchParams(Buffer.from(callback.body).toString('utf8')))
  const body = Typed.safeParse(form)
  if (!body.success) return rejected('malformed')
  const { token, team_id, trigger_id, text } = body.data
  // All of them are compared, whichever fits.
  const fits = (own.secrets.command_tokens ?? []).map((ours) => sameText(ours, token)).includes(true)
  if (!fits) return rejected('token')
  if (team_id !== own.settings.team_id) return rejected('other_tenant')
  const trigger = badTrigger(body.data, own)
  if (trigger !== null) return rejected(trigger)
  return event(own, body.data, eventIdOf('command', clickOf(trigger_id)), { kind: 'command', text })
}

function event(
  { settings }: Own,
  by: { readonly user_id: string; readonly user_name: string },
  eventId: string,
  act: ChatAct,
): Verified {
  const account = { tenant: settings.site_id, id: by.user_id, name: by.user_name === '' ? by.user_id : by.user_name }
  return { kind: 'event', event: { eventId, account, act } }
}

/** What is in a trigger id: the same text may be written as base64 in many ways. */
function clickOf(triggerId: string): string {
  const trigger = readTrigger(triggerId)
  return trigger ? `${trigger.id}:${trigger.userId}:${trigger.at}` : triggerId
}

const eventIdOf = (kind: string, text: string): string => `${kind}:${createHash('sha256').update(text).digest('hex')}`

function jsonOf(callback: RawCallback): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(callback.body)) as unknown
  } catch {
    return undefined
  }
}
