import { z } from 'zod'
import type { CallbackAnswer, ChatOutcome, FromChat, RawCallback } from '../../contract/from-chat.ts'
import { type DiscordSettings, Snowflake } from '../../contract/vendors/discord.ts'
import { type Clock, sleep, withDeadline } from '../../foundation/clock.ts'
import type { Log } from '../../foundation/log.ts'
import type { DiscordApi } from './discord-api.ts'
import { discordText } from './discord-text.ts'
import { renderForm } from './render-form.ts'

interface AnswerParts {
  readonly settings: DiscordSettings
  readonly api: DiscordApi
  readonly clock: Clock
  readonly log: Log
}

const PING = 1
const PRESSED = 3
const EPHEMERAL = 64
const LATER = { type: 5, data: { flags: EPHEMERAL } }
/** Discord waits three seconds; what has not come by then follows by the interaction's token, which lives a quarter of an hour */
const PATIENCE_MS = 2200
const FOLLOW_MS = 10_000

/** Read for Discord's own needs only: who did what is for `fromChat` to say. */
const Interaction = z.object({
  type: z.int(),
  token: z
    .string()
    .regex(/^[A-Za-z0-9_.=-]{1,400}$/)
    .optional(),
  application_id: Snowflake.optional(),
})

export async function answerInteraction(
  parts: AnswerParts,
  callback: RawCallback,
  fromChat: FromChat,
): Promise<CallbackAnswer> {
  const outcome = fromChat.take(callback)
  const late = sleep(parts.clock, PATIENCE_MS).then(() => null)
  const first = await Promise.race([outcome, late])
  if (first?.kind === 'rejected') return { status: 401, body: 'invalid request signature' }
  // Only now: what was not signed is not read.
  const seen = readInteraction(callback.body)
  if (first !== null) return seen?.type === PING ? json({ type: PING }) : json(answerOf(first, seen?.type ?? 0))
  outcome
    .then((settled) => follow(parts, settled, seen?.token))
    .catch((error: unknown) => {
      parts.log.warn({ err: String(error) }, 'what came of an interaction could not be told')
    })
  return json(LATER)
}

function readInteraction(body: Uint8Array): z.infer<typeof Interaction> | null {
  try {
    return Interaction.parse(JSON.parse(Buffer.from(body).toString('utf8')))
  } catch {
    return null
  }
}

const json = (value: object): CallbackAnswer => ({
  status: 200,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(value),
})

export function answerOf(outcome: ChatOutcome, type: number): object {
  if (outcome.kind === 'form') return renderForm(outcome.form)
  // Nothing to say to what was pressed: the message stays as it is.
  if (outcome.kind === 'ignored' && type === PRESSED) return { type: 6 }
  return { type: 4, data: { flags: EPHEMERAL, ...words(outcome) } }
}

async function follow(
  { settings, api, clock }: AnswerParts,
  outcome: ChatOutcome,
  token: string | undefined,
): Promise<void> {
  if (token === undefined) return
  // A form can only be the first answer.
  const said: ChatOutcome =
    outcome.kind === 'form'
      ? { kind: 'refused', text: 'That took too long for a form to be shown. Press once more.' }
      : outcome
  const path = `/webhooks/${settings.application_id}/${encodeURIComponent(token)}/messages/@original`
  await withDeadline(clock, FOLLOW_MS, undefined, (until) => api.call('PATCH', path, words(said), until))
}

function words(outcome: ChatOutcome): object {
  const url = outcome.kind === 'open' ? outcome.url : null
  const link = { type: 1, components: [{ type: 2, style: 5, label: 'Continue', url }] }
  return {
    content: discordText(textOf(outcome), 1900).text,
    allowed_mentions: { parse: [] },
    ...(url === null ? {} : { components: [link] }),
  }
}

function textOf(outcome: ChatOutcome): string {
  if (outcome.kind === 'ignored' || outcome.kind === 'form') return 'Nothing is to be done.'
  return outcome.kind === 'rejected' ? outcome.why : outcome.text
}
