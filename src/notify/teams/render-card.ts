import type { MessageTask } from '../../contract/message.ts'
import { cutText, unlinked, visibleText } from '../words/inert-text.ts'
import { requestWords } from '../words/request-words.ts'

// An adaptive card as a workflow posts it. Everything that anybody typed stands in text runs, which know no markdown; headings
// are ours. A card has no button that decides, since a workflow cannot say who pressed it.

/** Teams refuses cards of more than 28 KB; what is around ours counts too. */
const CARD_BYTES = 24_000
const FACT_LIMITS = [2000, 800, 300, 100]
const MOST_LINES = [20, 10, 5, 3]

export interface TeamsPost {
  readonly type: 'message'
  readonly attachments: readonly [
    {
      readonly contentType: 'application/vnd.microsoft.card.adaptive'
      readonly contentUrl: null
      readonly content: object
    },
  ]
}

export function renderCard(content: MessageTask['content'], isUpdate: boolean): TeamsPost {
  for (const [step, limit] of FACT_LIMITS.entries()) {
    const post = cardOf(content, isUpdate, limit, MOST_LINES[step] ?? 1)
    if (Buffer.byteLength(JSON.stringify(post)) <= CARD_BYTES) return post
  }
  return cardOf(content, isUpdate, 40, 1)
}

function cardOf(content: MessageTask['content'], isUpdate: boolean, limit: number, lines: number): TeamsPost {
  const show = (text: string): string => inert(text, limit)
  const body =
    content.kind === 'notice'
      ? visibleText(content.view.text)
          .split('\n')
          .slice(0, lines)
          .map((line) => paragraph([{ text: show(line) }]))
      : requestBody(content.view, isUpdate, show, lines)
  const url = content.view.url
  return {
    type: 'message',
    attachments: [
      {
        contentType: 'application/vnd.microsoft.card.adaptive',
        contentUrl: null,
        content: {
          $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
          type: 'AdaptiveCard',
          version: '1.4',
          body,
          actions: url === null ? [] : [{ type: 'Action.OpenUrl', title: 'Open the request', url }],
        },
      },
    ],
  }
}

type RequestContent = Extract<MessageTask['content'], { kind: 'request' }>['view']

function requestBody(view: RequestContent, isUpdate: boolean, show: (text: string) => string, lines: number): object[] {
  const words = requestWords(view)
  const heading = [
    paragraph([{ text: show(words.subject), weight: 'Bolder' }]),
    paragraph([{ text: show(words.state), weight: view.state === 'pending' ? 'Default' : 'Bolder' }]),
  ]
  const votes = words.reviews.slice(-lines).map(({ label, text }) => paragraph([{ text: show(`${label}: ${text}`) }]))
  // Who asked for what and why is a card further up.
  if (isUpdate) return [...heading, ...votes]
  return [
    ...heading,
    ...words.facts
      .slice(0, lines + 5)
      .map(({ label, text }) => paragraph([{ text: `${label}: `, weight: 'Bolder' }, { text: show(text) }])),
    ...votes,
    ...words.notes.slice(-lines).map(({ label, text }) => paragraph([{ text: show(`Note of ${label}: ${text}`) }])),
    ...words.warnings.slice(0, lines).map((text) => paragraph([{ text: show(`Mind: ${text}`) }])),
  ]
}

interface Run {
  readonly text: string
  readonly weight?: 'Bolder' | 'Default'
}

const paragraph = (runs: readonly Run[]): object => ({
  type: 'RichTextBlock',
  inlines: runs.map((run) => ({ type: 'TextRun', ...run })),
})

/** Besides links: what templates (`${}`), workflows (`@{}`), cards (`{{DATE()}}`) and mentions (`<at>`) would take for theirs. */
function inert(text: string, limit: number): string {
  const seen = cutText(visibleText(text), limit)
  return unlinked(seen)
    .replace(/(?<=[$@{])\u200b?(?=\{)/g, '\u200b')
    .replace(/<(?=\/?at\b)/gi, '<\u200b')
}
