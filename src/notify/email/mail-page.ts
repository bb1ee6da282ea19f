import { formatDuration } from '../../contract/duration.ts'
import type { Audience, MessageTask } from '../../contract/message.ts'
import { cutText, unlinked, visibleLine, visibleText } from '../words/inert-text.ts'
import { type Fact, type RequestWords, requestWords, timeText } from '../words/request-words.ts'

/** A mail before it is plain text or HTML. Everything in it is inert. */
export interface MailPage {
  readonly subject: string
  /** What it is about; null: the state says it */
  readonly title: string | null
  /** How it stands, in one line */
  readonly state: string
  /** Colours the state: something is to be done, it went well, it did not, or it is over */
  readonly tone: 'waiting' | 'good' | 'bad' | 'over'
  readonly link: { readonly label: string; readonly url: string } | null
  readonly facts: readonly Fact[]
  readonly votes: readonly Fact[]
  readonly notes: readonly string[]
}

const SUBJECT_LIMIT = 120
const TEXT_LIMIT = 8000

export const pageOf = (content: MessageTask['content'], audience: Audience): MailPage =>
  content.kind === 'request' ? requestPage(content.view, audience) : noticePage(content.view)

type RequestContent = Extract<MessageTask['content'], { kind: 'request' }>['view']
type NoticeContent = Extract<MessageTask['content'], { kind: 'notice' }>['view']

const inert = (text: string): string => unlinked(cutText(visibleText(text), TEXT_LIMIT))
const inertLine = (text: string): string => unlinked(cutText(visibleLine(text), TEXT_LIMIT))
const inertFact = ({ label, text }: Fact): Fact => ({ label: inertLine(label), text: inert(text) })

function requestPage(view: RequestContent, audience: Audience): MailPage {
  const words = requestWords(view)
  const title = titleOf(view, audience, words)
  const decides = view.state === 'pending' && audience === 'reviewer'
  return {
    subject: title,
    title,
    state: inertLine(words.state),
    tone: toneOf(view),
    link: { label: decides ? 'Review the request' : 'Open the request', url: view.url },
    facts: [...words.facts, ...words.notes.map(({ label, text }) => ({ label: `Note of ${label}`, text }))].map(
      inertFact,
    ),
    votes: words.reviews.map(inertFact),
    notes: words.warnings.map(inertLine),
  }
}

function toneOf({ state, grant }: RequestContent): MailPage['tone'] {
  if (state === 'pending') return 'waiting'
  if (state === 'approved') return grant?.state === 'ended' ? 'over' : 'good'
  return state === 'denied' ? 'bad' : 'over'
}

/** The same as long as the request lives, and of no other request: mail programs make threads of subjects. */
function titleOf(view: RequestContent, audience: Audience, { subject, what }: RequestWords): string {
  const about = audience === 'requester' ? `${OWN[view.kind]} ${what}` : subject
  const mark = ` [${view.id.replace(/^req_/, '').slice(-6)}]`
  const length = ` for ${formatDuration(view.duration)}`
  return `${cutText(unlinked(visibleLine(about)), SUBJECT_LIMIT - length.length - mark.length)}${length}${mark}`
}

const OWN: Readonly<Record<RequestContent['kind'], string>> = {
  role: 'Your request for',
  resource: 'Your request for',
  extension: 'Your request to keep',
  break_glass: 'Your emergency access to',
}

function noticePage(view: NoticeContent): MailPage {
  const [first = '', ...rest] = visibleText(view.text).split('\n')
  const open = view.request?.state === 'pending' ? view.request.needed.map(visibleLine) : []
  return {
    subject: cutText(unlinked(visibleLine(first)), SUBJECT_LIMIT),
    title: null,
    state: inertLine(first),
    tone: open.length > 0 ? 'waiting' : 'over',
    link: view.url === null ? null : { label: 'Open the request', url: view.url },
    facts: [
      { label: 'When', text: timeText(view.at) },
      ...(open.length === 0 ? [] : [{ label: 'Still missing', text: inert(open.join('; ')) }]),
    ],
    votes: [],
    notes: rest.map(inert).filter((line) => line !== ''),
  }
}
