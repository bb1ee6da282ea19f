import type { NoticeView, RequestView } from '../../contract/message.ts'
import type { JiraSettings } from '../../contract/vendors/jira.ts'
import { cutText, visibleLine, visibleText } from '../words/inert-text.ts'
import { requestWords } from '../words/request-words.ts'
import type { Paper, Part } from './paper.ts'

const LONGEST_SUMMARY = 255
/** Of the 32,767 that Jira takes, as the entities of wiki markup count: the longest is six characters for one. */
const MOST_TEXT = { cloud: 30_000, datacenter: 24_000 } as const

export interface RenderedIssue {
  readonly summary: string
  readonly paper: Paper
  /** Something that decides was left out: moves do not count */
  readonly cut: boolean
}

/** An issue that shows a request as it is now. `canMove`: moves of reviewers begin or cast votes. Pure. */
export function issueOf(view: RequestView, product: JiraSettings['product'], canMove: boolean): RenderedIssue {
  const words = requestWords(view)
  const tag = ` (${view.id})`
  const summary = cutText(visibleLine(words.subject), LONGEST_SUMMARY - tag.length) + tag
  const text = (label: string | null, of: string): Part => ({ kind: 'text', label, text: of })
  const parts: Part[] = [
    text('State', words.state),
    ...words.warnings.map((warning) => text('Warning', warning)),
    ...words.facts.map((fact) => text(fact.label, fact.text)),
  ]
  const reviews = [
    ...words.reviews.map((fact) => text(fact.label, fact.text)),
    ...words.notes.map((fact) => text(`Note of ${fact.label}`, fact.text)),
  ]
  const link: Part = { kind: 'link', text: 'Open the request', url: view.url }
  const size = (some: readonly Part[]): number => some.reduce((sum, part) => sum + sizeOf(part, product), 0)
  const most = MOST_TEXT[product]
  const cut = size(parts) > most
  const shown = cut ? parts.map((part) => shortened(part, product)) : parts
  const isRoom = size([...shown, ...reviews]) <= most
  return { summary, paper: [...shown, ...(isRoom ? reviews : []), ...hintOf(view, cut, canMove), link], cut }
}

function hintOf({ state }: RequestView, cut: boolean, canMove: boolean): Part[] {
  if (state !== 'pending') return []
  return [{ kind: 'text', label: 'How to answer', text: cut ? HINTS.cut : canMove ? HINTS.move : HINTS.page }]
}

const HINTS = {
  cut: 'This issue does not show everything. Open the request to answer it: moving the issue does nothing.',
  move: 'A reviewer moves this issue into the status for approved or for denied, or opens the request. Where a second factor is wanted, a comment then leads to the page for it. Moves of others are undone.',
  page: 'Open the request. It is not decided from here: the issue goes back wherever it is moved to.',
} as const

/** Every punctuation mark of wiki markup may take six characters. */
function sizeOf(part: Part, product: JiraSettings['product']): number {
  const text = part.kind === 'link' ? part.url : `${part.label ?? ''}${part.text}`
  const marks = product === 'cloud' ? 0 : (text.match(/[!-/:-@[-`{-~]/g)?.length ?? 0)
  return text.length + marks * 5 + 20
}

const SHORTENED = { cloud: 4000, datacenter: 900 } as const

function shortened(part: Part, product: JiraSettings['product']): Part {
  return part.kind === 'link' ? part : { ...part, text: cutText(part.text, SHORTENED[product]) }
}

/** A line that is said once, as a comment. */
export function commentOf({ text, url }: NoticeView): Paper {
  const said: Part = { kind: 'text', label: null, text: cutText(visibleText(text), SHORTENED.datacenter) }
  return url === null ? [said] : [said, { kind: 'link', text: 'Open the request', url }]
}
