import { z } from 'zod'
import type { CallbackAnswer, ChatForm, ChatOutcome, FromChat, RawCallback } from '../../contract/from-chat.ts'
import { dialogSeal } from '../../formats/mattermost-proof.ts'
import type { Log } from '../../foundation/log.ts'
import { inertLines } from './inert-markdown.ts'
import { MattermostRefused } from './mattermost-api.ts'
import { renderDialog } from './render-dialog.ts'
import { directChannel, type Sender } from './send-post.ts'

export interface Answerer extends Sender {
  readonly log: Log
  /** Where forms go; people's clients see it */
  readonly dialogsUrl: string
}

/** What Mattermost is answered: 200 for whatever a person may read, because it shows any other status as its own failure. */
export async function answerCallback(
  answerer: Answerer,
  callback: RawCallback,
  fromChat: FromChat,
  signal: AbortSignal,
): Promise<CallbackAnswer> {
  const outcome = await fromChat.take(callback)
  if (outcome.kind === 'rejected') return { status: 401 }
  if (callback.path === 'dialogs') return json(await toDialog(answerer, callback, outcome, signal))
  const text = await toClick(answerer, callback, outcome, signal)
  if (callback.path === 'commands')
    return json(text === null ? {} : { response_type: 'ephemeral', text, skip_slack_parsing: true })
  return json(text === null ? {} : { ephemeral_text: text, skip_slack_parsing: true })
}

type Taken = Exclude<ChatOutcome, { kind: 'rejected' }>

const json = (body: object): CallbackAnswer => ({
  status: 200,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
})

/** What the person is shown beside the message or below the command; null: nothing. */
async function toClick(
  answerer: Answerer,
  callback: RawCallback,
  outcome: Taken,
  signal: AbortSignal,
): Promise<string | null> {
  switch (outcome.kind) {
    case 'ignored':
      return null
    case 'refused':
    case 'done':
      return inertLines(outcome.text)
    case 'open':
      return linkText(outcome)
    case 'form':
      return (await openForm(answerer, callback, outcome.form, signal)) ? null : NOT_OPENED
  }
}

const linkText = ({ text, url }: { readonly text: string; readonly url: string }): string =>
  `${inertLines(text)}\n[Go on in the browser](${url})`

const NOT_OPENED =
  'Mattermost did not open the form: it takes clicks of the last seconds alone. Nothing was decided; try again.'

const Clicked = z.object({ trigger_id: z.string(), user_id: z.string() })

/**
 * Only the server opens a form, and only for a click that it signed itself a moment ago: what was made up ends here. False: it did
 * not open.
 */
async function openForm(
  answerer: Answerer,
  callback: RawCallback,
  form: ChatForm,
  signal: AbortSignal,
): Promise<boolean> {
  const clicked = Clicked.safeParse(fieldsOf(callback))
  if (!clicked.success) return false
  const { trigger_id, user_id } = clicked.data
  const seal = dialogSeal(answerer.frame.key, answerer.frame.integration, form.nonce, user_id)
  const body = { trigger_id, url: answerer.dialogsUrl, dialog: renderDialog(form, seal) }
  try {
    await answerer.api.call('POST', '/actions/dialogs/open', body, signal)
    return true
  } catch (error) {
    const { log, frame } = answerer
    const fields = { integration: frame.integration, account: user_id, why: messageOf(error) }
    log.warn(fields, 'Mattermost opened no form for a click: too late, or not a click of its own')
    return false
  }
}

function fieldsOf({ path, body }: RawCallback): unknown {
  const text = Buffer.from(body).toString('utf8')
  if (path === 'commands') return Object.fromEntries(new URLSearchParams(text))
  try {
    return JSON.parse(text) as unknown
  } catch {
    return null
  }
}

/** An empty answer closes the form; what is said then is said beside it. */
async function toDialog(
  answerer: Answerer,
  callback: RawCallback,
  outcome: Taken,
  signal: AbortSignal,
): Promise<object> {
  switch (outcome.kind) {
    case 'ignored':
      return {}
    case 'refused':
      return outcome.field === undefined ? { error: outcome.text } : { errors: { [outcome.field]: outcome.text } }
    case 'form':
      return { error: 'This form cannot be followed by another one; start again.' }
    case 'done':
      await whisper(answerer, callback, inertLines(outcome.text), signal)
      return {}
    case 'open': {
      const text = linkText(outcome)
      if (await whisper(answerer, callback, text, signal)) return {}
      if (await tellDirectly(answerer, callback, text, signal)) return {}
      return { error: `${outcome.text} ${outcome.url}` }
    }
  }
}

const Submitted = z.object({ user_id: z.string(), channel_id: z.string() })

/** To this person alone, where they are. Bots need a permission for it that they do not have by default: false. */
async function whisper(
  { api, log, frame }: Answerer,
  callback: RawCallback,
  message: string,
  signal: AbortSignal,
): Promise<boolean> {
  const submitted = Submitted.safeParse(fieldsOf(callback))
  if (!submitted.success) return false
  const { user_id, channel_id } = submitted.data
  try {
    await api.call('POST', '/posts/ephemeral', { user_id, post: { channel_id, message } }, signal)
    return true
  } catch (error) {
    log.debug({ integration: frame.integration, why: messageOf(error) }, 'nothing was said beside the form')
    return false
  }
}

async function tellDirectly(
  answerer: Answerer,
  callback: RawCallback,
  message: string,
  signal: AbortSignal,
): Promise<boolean> {
  const submitted = Submitted.safeParse(fieldsOf(callback))
  if (!submitted.success) return false
  try {
    const channel = await directChannel(answerer, submitted.data.user_id, signal)
    await answerer.api.call('POST', '/posts', { channel_id: channel, message }, signal)
    return true
  } catch (error) {
    answerer.log.warn(
      { integration: answerer.frame.integration, why: messageOf(error) },
      'somebody could not be told how to go on',
    )
    return false
  }
}

/** Never what was sent: it may hold a link that is good for one confirmation. */
const messageOf = (error: unknown): string => {
  if (error instanceof MattermostRefused) return error.message
  return error instanceof Error ? error.name : 'unknown'
}
