import type { MessageTask } from '../../contract/message.ts'
import { cutText, unlinked, visibleLine, visibleText } from '../words/inert-text.ts'
import { requestWords, timeText } from '../words/request-words.ts'

/** What a mail says; who sends it to whom, and its thread, are the letter's. */
export interface MailContent {
  readonly subject: string
  readonly text: string
  readonly html: string
}

const SUBJECT_LIMIT = 120
const TEXT_LIMIT = 8000

interface Page {
  readonly title: string
  readonly state: string | null
  readonly rows: readonly { readonly label: string; readonly text: string }[]
  readonly lines: readonly string[]
  readonly link: string | null
}

/** Plain text and the same in plain HTML: no pictures, no styles from elsewhere, one link, and that is ours. */
export function renderMail(content: MessageTask['content']): MailContent {
  const page = content.kind === 'request' ? requestPage(content.view) : noticePage(content.view)
  return { subject: cutText(page.title, SUBJECT_LIMIT), text: asText(page), html: asHtml(page) }
}

type RequestContent = Extract<MessageTask['content'], { kind: 'request' }>['view']
type NoticeContent = Extract<MessageTask['content'], { kind: 'notice' }>['view']

const inert = (text: string): string => unlinked(cutText(visibleText(text), TEXT_LIMIT))

function requestPage(view: RequestContent): Page {
  const words = requestWords(view)
  return {
    title: inert(words.subject),
    state: inert(words.state),
    rows: words.facts.map(({ label, text }) => ({ label, text: inert(text) })),
    lines: [
      ...words.reviews.map(({ label, text }) => inert(`${label}: ${text}`)),
      ...words.warnings.map((text) => inert(`Note: ${text}`)),
    ],
    link: view.url,
  }
}

function noticePage(view: NoticeContent): Page {
  const [first = '', ...rest] = visibleText(view.text).split('\n')
  return {
    title: inert(visibleLine(first)),
    state: null,
    rows: [{ label: 'When', text: timeText(view.at) }],
    lines: [inert(visibleLine(first)), ...rest.map(inert)],
    link: view.url,
  }
}

const CLOSING =
  'Answers to this mail are not read. Nothing is decided by opening the link: the page asks you to sign in.'

function asText({ state, rows, lines, link }: Page): string {
  const facts = rows.map(({ label, text }) => `${label}: ${text.replaceAll('\n', '\n    ')}`)
  const parts = [state ?? '', facts.join('\n'), lines.join('\n'), link ?? '', CLOSING]
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`
}

function asHtml({ title, state, rows, lines, link }: Page): string {
  const facts = rows.map(
    ({ label, text }) => `<tr><th align="left">${escaped(label)}</th><td>${escaped(text)}</td></tr>`,
  )
  return [
    `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${escaped(title)}</title></head><body>`,
    state === null ? '' : `<p><b>${escaped(state)}</b></p>`,
    `<table cellpadding="4">${facts.join('')}</table>`,
    ...lines.map((line) => `<p>${escaped(line)}</p>`),
    link === null ? '' : `<p><a href="${escaped(link)}" rel="noreferrer">Open the request</a></p>`,
    `<p>${escaped(CLOSING)}</p></body></html>`,
  ].join('\n')
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  '\n': '<br>',
}

const escaped = (text: string): string => text.replace(/[&<>"'\n]/g, (char) => ENTITIES[char] ?? char)
