import type { CallbackAnswer, ChatOutcome, FromChat, RawCallback } from '../../contract/from-chat.ts'
import { SLACK_API } from '../../contract/vendors/slack.ts'
import { sleep, type Clock } from '../../foundation/clock.ts'
import type { Log } from '../../foundation/log.ts'
import type { OutboundFetch } from '../../foundation/outbound-fetch.ts'
import { cutTo, inertLine } from './inert-text.ts'
import { shownAt, type ShownAt } from './interaction.ts'
import { renderForm, renderSaying } from './render-form.ts'
import { renderAnswer } from './render-notice.ts'
import type { SlackWebApi } from './web-api.ts'

export interface AnswerParts {
  readonly bot: SlackWebApi
  readonly fetch: OutboundFetch
  readonly apiUrl: string
  readonly clock: Clock
  /** The channel of direct messages to somebody */
  readonly directTo: (user: string) => Promise<string>
  readonly log: Log
}

const EMPTY: CallbackAnswer = { status: 200, body: '' }
const IT_FOLLOWS = 'This takes longer than usual. You are told what came of it.'
const COULD_NOT_OPEN = 'Slack did not open the dialog in time: try again.'

/** Slack waits three seconds. What has not come by then over HTTP, where it asks nothing again, is told afterwards. */
const PATIENCE_MS = 2300

/** The core decides; this words the outcome where the person looks. */
export async function answerCallback(
  parts: AnswerParts,
  callback: RawCallback,
  fromChat: FromChat,
  signal: AbortSignal,
): Promise<CallbackAnswer> {
  const taken = fromChat.take(callback)
  // What is not acknowledged over a socket comes again: there the deed itself is waited for.
  if (callback.via === 'socket') return answerOutcome(parts, await taken, callback, signal)
  const inTime = new AbortController()
  const late = sleep(parts.clock, PATIENCE_MS, inTime.signal).catch(() => {})
  const outcome = await Promise.race([taken, late.then(() => null)])
  inTime.abort()
  if (outcome !== null) return answerOutcome(parts, outcome, callback, signal)
  const where = shownAt(callback)
  taken
    .then((settled) => tellLate(parts, settled, where, signal))
    .catch((error: unknown) => parts.log.warn({ err: String(error) }, 'what came of a callback of Slack was not told'))
  return lateAnswer(where)
}

function lateAnswer(where: ShownAt): CallbackAnswer {
  if (where.kind === 'command') return json(ephemeral(IT_FOLLOWS, null))
  if (where.kind === 'dialog') return json({ response_action: 'update', view: renderSaying(IT_FOLLOWS, null) })
  return EMPTY
}

async function tellLate(parts: AnswerParts, outcome: ChatOutcome, where: ShownAt, signal: AbortSignal): Promise<void> {
  if (outcome.kind === 'rejected' || outcome.kind === 'ignored') return
  const text = outcome.kind === 'form' ? COULD_NOT_OPEN : outcome.text
  const url = outcome.kind === 'open' ? outcome.url : null
  if (where.kind !== 'dialog') return whisper(parts, where, text, url, signal)
  // A dialog stands in no channel.
  if (where.user === null) return
  const channel = await parts.directTo(where.user)
  const quiet = { unfurl_links: false, unfurl_media: false }
  await parts.bot.call('chat.postMessage', { channel, ...renderAnswer(text, url), ...quiet }, signal)
}

async function answerOutcome(
  parts: AnswerParts,
  outcome: ChatOutcome,
  callback: RawCallback,
  signal: AbortSignal,
): Promise<CallbackAnswer> {
  if (outcome.kind === 'rejected') return { status: 401, body: '' }
  if (outcome.kind === 'ignored') return EMPTY
  const where = shownAt(callback)
  if (where.kind === 'dialog') return json(dialogAnswer(outcome, where))
  if (where.kind === 'command') return commandAnswer(parts, outcome, where, signal)
  // The answer to a click is empty: what is shown goes its own way, and must not hold it up.
  if (where.kind === 'button')
    void showAfterClick(parts, outcome, where, signal).catch((error: unknown) => {
      parts.log.warn({ err: String(error) }, 'an answer to a click in Slack could not be shown')
    })
  return EMPTY
}

type Shown = Exclude<ChatOutcome, { kind: 'rejected' | 'ignored' }>

/** To view_submission: errors at their fields keep the dialog open, everything else replaces it. */
function dialogAnswer(outcome: Shown, where: ShownAt): object {
  if (outcome.kind === 'refused' && outcome.field !== undefined && where.blocks.includes(outcome.field))
    return { response_action: 'errors', errors: { [outcome.field]: cutTo(inertLine(outcome.text), 1000).text } }
  if (outcome.kind === 'form') return { response_action: 'update', view: renderForm(outcome.form) }
  const url = outcome.kind === 'open' ? outcome.url : null
  return { response_action: 'update', view: renderSaying(outcome.text, url) }
}

async function commandAnswer(
  parts: AnswerParts,
  outcome: Shown,
  where: ShownAt,
  signal: AbortSignal,
): Promise<CallbackAnswer> {
  if (outcome.kind !== 'form') return json(ephemeral(outcome.text, outcome.kind === 'open' ? outcome.url : null))
  const opened = await openDialog(parts, where, renderForm(outcome.form), signal)
  return opened ? EMPTY : json(ephemeral(COULD_NOT_OPEN, null))
}

const ephemeral = (text: string, url: string | null): object => ({
  response_type: 'ephemeral',
  ...renderAnswer(text, url),
})

async function showAfterClick(parts: AnswerParts, outcome: Shown, where: ShownAt, signal: AbortSignal): Promise<void> {
  if (outcome.kind === 'form') {
    if (await openDialog(parts, where, renderForm(outcome.form), signal)) return
    return whisper(parts, where, COULD_NOT_OPEN, null, signal)
  }
  if (outcome.kind === 'open') {
    if (await openDialog(parts, where, renderSaying(outcome.text, outcome.url), signal)) return
    return whisper(parts, where, outcome.text, outcome.url, signal)
  }
  return whisper(parts, where, outcome.text, null, signal)
}

async function openDialog(parts: AnswerParts, where: ShownAt, view: object, signal: AbortSignal): Promise<boolean> {
  if (where.trigger === null) return false
  try {
    await parts.bot.call('views.open', { trigger_id: where.trigger, view }, signal)
    return true
  } catch (error) {
    parts.log.warn({ err: String(error) }, 'Slack opened no dialog')
    return false
  }
}

/** To one person in the channel of the click; by the click's own address where the bot may not. */
async function whisper(
  parts: AnswerParts,
  where: ShownAt,
  text: string,
  url: string | null,
  signal: AbortSignal,
): Promise<void> {
  const message = renderAnswer(text, url)
  try {
    if (where.channel === null || where.user === null) throw new Error('the click names no channel')
    await parts.bot.call('chat.postEphemeral', { channel: where.channel, user: where.user, ...message }, signal)
  } catch (error) {
    if (where.responseUrl === null || !isResponseUrl(where.responseUrl, parts.apiUrl)) throw error
    await parts.fetch(where.responseUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json; charset=utf-8' },
      body: JSON.stringify({ response_type: 'ephemeral', replace_original: false, ...message }),
      signal,
    })
  }
}

/** An address out of a payload: called only where it is Slack's own. */
export function isResponseUrl(text: string, apiUrl: string): boolean {
  if (!URL.canParse(text)) return false
  const url = new URL(text)
  if (url.username !== '' || url.password !== '') return false
  const api = new URL(apiUrl)
  if (apiUrl === SLACK_API) return url.origin === 'https://hooks.slack.com'
  return url.origin === api.origin || (url.protocol === 'https:' && url.host === `hooks.${api.host}`)
}

const json = (body: object): CallbackAnswer => ({
  status: 200,
  headers: { 'content-type': 'application/json; charset=utf-8' },
  body: JSON.stringify(body),
})
