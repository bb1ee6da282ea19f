import type { MessageButton, MessageTask, NoticeView, RequestView } from '../../contract/message.ts'
import { signContext } from '../../formats/mattermost-proof.ts'
import { requestWords, type Fact } from '../words/request-words.ts'
import { inert, inertLine } from './inert-markdown.ts'

/** What is the same for all posts of an integration. */
export interface PostFrame {
  readonly integration: string
  /** Authenticates the contexts of buttons */
  readonly key: string
  /** Where buttons go; no client sees it */
  readonly actionsUrl: string
}

export interface MattermostPost {
  readonly message: string
  /** Always given, and whole: what is left out of a change stays as it was, live buttons included */
  readonly props: { readonly attachments: readonly Attachment[]; readonly sallyport_once: string }
}

interface Attachment {
  readonly fallback: string
  readonly color: string
  readonly title: string
  readonly title_link: string
  readonly text: string
  readonly fields: readonly { readonly title: string; readonly value: string; readonly short: boolean }[]
  readonly footer: string
  readonly actions?: readonly Action[]
}

interface Action {
  readonly id: string
  readonly type: 'button'
  readonly name: string
  readonly style: 'primary' | 'danger' | 'default'
  readonly integration: { readonly url: string; readonly context: Readonly<Record<string, string>> }
}

/** Of the props as JSON: what servers before 6 take. Current ones take a hundred times that. */
const PROPS_RUNES = 7900
/** UTF-16 units of escaped text, at full size */
const SHARES: Readonly<Record<string, number>> = { Reason: 2600, Roles: 1200, Resources: 1600 }
const OTHER_SHARE = 600
const ANSWER_LINE = 260
const MOST_ANSWERS = 8
/** Tried one after the other until everything fits */
const SIZES = [1, 0.6, 0.35, 0.15] as const

const COLORS: Readonly<Record<RequestView['state'], string>> = {
  pending: '#d19a00',
  approved: '#2e7d32',
  denied: '#c62828',
  cancelled: '#757575',
  expired: '#757575',
}

type Pressable = Exclude<MessageButton, 'open'>
const BUTTONS: Readonly<Record<Pressable, { readonly name: string; readonly style: Action['style'] }>> = {
  approve: { name: 'Approve', style: 'primary' },
  deny: { name: 'Deny', style: 'danger' },
  cancel: { name: 'Cancel request', style: 'default' },
  extend: { name: 'Extend', style: 'default' },
  return: { name: 'Return access', style: 'default' },
}

/** What a vote is about: with any of them cut there is nothing to vote with. */
const DECIDING = new Set(['Reason', 'Roles', 'Resources', 'An approval gives'])
const VOTES: ReadonlySet<MessageButton> = new Set(['approve', 'deny'])

/** A request as a post in `channel`. */
export function renderRequest(
  frame: PostFrame,
  task: MessageTask,
  content: Extract<MessageTask['content'], { kind: 'request' }>,
  channel: string,
): MattermostPost {
  const made = SIZES.map((size) => () => renderAt(frame, task, content, channel, size))
  let post = made[0]?.()
  for (const make of made) {
    post = make()
    if ([...JSON.stringify(post.props)].length <= PROPS_RUNES) break
  }
  if (!post) throw new Error('there is no size to render at')
  return post
}

function renderAt(
  frame: PostFrame,
  task: MessageTask,
  { view, buttons }: Extract<MessageTask['content'], { kind: 'request' }>,
  channel: string,
  size: number,
): MattermostPost {
  const words = requestWords(view)
  const facts = words.facts.map((fact) => ({ ...field(fact, size), label: fact.label }))
  const isCut = facts.some(({ label, cut }) => cut && DECIDING.has(label))
  const subject = inertLine(words.subject, 300).text
  const state = inertLine(words.state, Math.floor(OTHER_SHARE * size)).text
  const note = isCut ? ['This message had to be cut: open the request to see all of it and to answer.'] : []
  const offered = buttons.filter((button) => button !== 'open' && !(isCut && VOTES.has(button)))
  const actions = offered.map((button) => action(frame, task, view, channel, button as Pressable))
  const attachment: Attachment = {
    fallback: `${subject}: ${state}`,
    color: COLORS[view.state],
    title: 'Open the request',
    title_link: view.url,
    text: `**${state}**`,
    fields: [
      ...facts.map(({ title, value, short }) => ({ title, value, short })),
      ...list('Answers', answers(words.reviews, size)),
      ...list(
        'Notes',
        words.notes.map(({ label, text }) => inertLine(`${label}: ${text}`, Math.floor(ANSWER_LINE * size)).text),
      ),
      ...list(
        'Mind',
        [...words.warnings, ...note].map((line) => inertLine(line, ANSWER_LINE).text),
      ),
    ],
    footer: inert(`Request ${view.id}`),
  }
  const props = { attachments: [actions.length > 0 ? { ...attachment, actions } : attachment] }
  return { message: `**${subject}**`, props: { ...props, sallyport_once: task.onceId } }
}

function field({ label, text }: Fact, size: number) {
  const share = Math.floor((SHARES[label] ?? OTHER_SHARE) * size)
  const { text: value, cut } = inertLine(text, share)
  return { title: label, value, short: value.length <= 40, cut }
}

function list(title: string, lines: readonly string[]) {
  return lines.length === 0 ? [] : [{ title, value: lines.join('\n'), short: false }]
}

/** The last ones; who wants all of them opens the request. */
function answers(reviews: readonly Fact[], size: number): string[] {
  const most = Math.max(2, Math.floor(MOST_ANSWERS * size))
  const shown = reviews
    .slice(-most)
    .map(({ label, text }) => inertLine(`${label} ${text}`, Math.floor(ANSWER_LINE * Math.max(size, 0.35))).text)
  return reviews.length > most ? [`and ${reviews.length - most} before`, ...shown] : shown
}

function action(frame: PostFrame, task: MessageTask, view: RequestView, channel: string, button: Pressable): Action {
  const facts = { button, buttonId: task.buttonId, channel, until: untilOf(view, button) }
  return {
    // Letters and digits alone: with anything else the server does not find the action.
    id: button,
    type: 'button',
    ...BUTTONS[button],
    integration: { url: frame.actionsUrl, context: signContext(frame.key, frame.integration, facts) },
  }
}

/** After it the button means nothing any more, whatever became of the message. */
function untilOf({ grant, pendingUntil, grantedDuration }: RequestView, button: Pressable): number {
  if ((button !== 'extend' && button !== 'return') || !grant) return pendingUntil
  return Math.max(grant.endsAt, (grant.useBy ?? grant.startsAt) + grantedDuration)
}

const NOTICE_SHARE = 3000

/** Said once: in a thread, or to one person. */
export function renderNotice({ text, url }: NoticeView, onceId: string): MattermostPost {
  const link = url === null ? '' : `\n[Open](${url})`
  return { message: inertLine(text, NOTICE_SHARE).text + link, props: { attachments: [], sallyport_once: onceId } }
}
