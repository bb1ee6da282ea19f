import { visibleLine, visibleText } from '../words/inert-text.ts'

// What issues and comments are made of, and how the two products write it. Texts of people are text in both: ADF has nodes of
// plain text, and in wiki markup everything that could be markup is written as an entity.

export type Paper = readonly Part[]

export type Part =
  | { readonly kind: 'text'; readonly label: string | null; readonly text: string }
  /** Ours alone: no address of a person's text becomes a link */
  | { readonly kind: 'link'; readonly text: string; readonly url: string }

interface AdfNode {
  readonly type: string
  readonly [key: string]: unknown
}

/** Document format of Jira Cloud. */
export function adfOf(paper: Paper): AdfNode {
  return { type: 'doc', version: 1, content: paper.map((part) => ({ type: 'paragraph', content: adfParts(part) })) }
}

function adfParts(part: Part): AdfNode[] {
  if (part.kind === 'link')
    return [{ type: 'text', text: part.text, marks: [{ type: 'link', attrs: { href: part.url } }] }]
  const label = part.label === null ? [] : [{ type: 'text', text: `${part.label}: `, marks: [{ type: 'strong' }] }]
  return [...label, ...adfLines(visibleText(part.text))]
}

function adfLines(text: string): AdfNode[] {
  return text.split('\n').flatMap((line, index): AdfNode[] => {
    const here = line === '' ? [] : [{ type: 'text', text: line }]
    return index === 0 ? here : [{ type: 'hardBreak' }, ...here]
  })
}

/** Wiki markup of Jira Data Center. */
export function wikiOf(paper: Paper): string {
  return paper.map(wikiPart).join('\n\n')
}

function wikiPart(part: Part): string {
  if (part.kind === 'link') return `[${inertWiki(part.text)}|${part.url}]`
  const label = part.label === null ? '' : `*${inertWiki(part.label)}*: `
  return label + inertWiki(visibleText(part.text))
}

/**
 * Everything but letters, digits, blanks and commas as a numeric entity. A backslash would keep Jira from drawing `[~ada]` and
 * not from writing to ada: it looks for mentions in the text as it stands.
 */
export function inertWiki(text: string): string {
  return text.replace(/[!-+\--/:-@[-`{-~]/g, (char) => `&#${char.charCodeAt(0)};`)
}

/** What somebody reads of it, whatever its blanks; for finding a comment again. */
export function plainOf(paper: Paper): string {
  return paper
    .map((part) =>
      visibleLine(part.kind === 'link' ? part.text : part.label === null ? part.text : `${part.label}: ${part.text}`),
    )
    .join(' ')
}
