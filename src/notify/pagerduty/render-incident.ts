import type { NoticeView, RequestView } from '../../contract/message.ts'
import { cutText, unlinked, visibleLine, visibleText } from '../words/inert-text.ts'
import { requestWords } from '../words/request-words.ts'

// PagerDuty shows titles, details and notes as text and makes links of addresses in it: those of people's texts are broken up.

const LONGEST_SUMMARY = 1024
const LONGEST_DETAILS = 8000
const LONGEST_NOTE = 2000

const HINT = 'To acknowledge or resolve this incident is no answer; votes are written here as notes.'

const inertLine = (text: string, limit: number): string => cutText(unlinked(visibleLine(text)), limit)

export interface RenderedIncident {
  readonly title: string
  readonly details: string
  /** What came of it, in one line */
  readonly state: string
}

/** Pure. An incident decides nothing, so that what was cut is no harm: the page shows all. */
export function incidentOf(view: RequestView): RenderedIncident {
  const words = requestWords(view)
  const lines = [
    ...words.warnings.map((warning) => `Warning: ${warning}`),
    ...words.facts.map(({ label, text }) => `${label}: ${text}`),
    ...(words.needed.length > 0 ? [`It takes: ${words.needed.join('; ')}`] : []),
    ...words.notes.map(({ label, text }) => `Note of ${label}: ${text}`),
  ].map((line) => unlinked(visibleText(line)))
  const hint = view.state === 'pending' ? `${HINT} ` : ''
  const link = `${hint}Open the request: ${view.url}`
  return {
    title: inertLine(words.subject, LONGEST_SUMMARY),
    details: `${cutText(lines.join('\n'), LONGEST_DETAILS - link.length - 2)}\n\n${link}`,
    state: inertLine(words.state, LONGEST_NOTE),
  }
}

export function noteOf({ text, url }: Pick<NoticeView, 'text' | 'url'>): string {
  const said = cutText(unlinked(visibleText(text)), LONGEST_NOTE)
  return url === null ? said : `${said}\n${url}`
}
