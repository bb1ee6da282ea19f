import type { Audience, MessageTask } from '../../contract/message.ts'
import { htmlOf } from './mail-html.ts'
import { type MailPage, pageOf } from './mail-page.ts'
import { wrapText } from './wrap-text.ts'

/** What a mail says; who sends it to whom, and its thread, are the letter's. */
export interface MailContent {
  readonly subject: string
  readonly text: string
  readonly html: string
}

const WIDTH = 76

/** Plain text and the same in HTML: no pictures, nothing from elsewhere, one link, and that is ours. */
export function renderMail(content: MessageTask['content'], audience: Audience): MailContent {
  const page = pageOf(content, audience)
  return { subject: page.subject, text: textOf(page), html: htmlOf(page, CLOSING) }
}

const CLOSING = 'Answers to this mail are not read. Opening the link decides nothing: the page asks you to sign in.'

/** The link stands right under how it stands, before everything that may be long. */
function textOf({ title, state, link, facts, votes, notes }: MailPage): string {
  const width = Math.max(0, ...facts.map(({ label }) => label.length)) + 2
  const listed = facts.map(
    ({ label, text }) => `${`${label}:`.padEnd(width)}${wrapText(text, WIDTH, ' '.repeat(width))}`,
  )
  const said = votes.map(({ label, text }) => `- ${wrapText(`${label}: ${text}`, WIDTH, '  ')}`)
  const parts = [
    wrapText(title === null ? state : `${state}\n${title}`, WIDTH),
    link === null ? '' : `${link.label}:\n${link.url}`,
    listed.join('\n'),
    said.length === 0 ? '' : `Votes:\n${said.join('\n')}`,
    ...notes.map((note) => wrapText(`Note: ${note}`, WIDTH)),
    `-- \n${wrapText(CLOSING, WIDTH)}`,
  ]
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`
}
