import { slackActionId } from '../../contract/vendors/slack.ts'
import type { NoticeView } from '../../contract/message.ts'
import { LIMITS, openButton, plain, readerTimes } from './blocks.ts'
import { cutTo, fallbackText, inertLines } from './inert-text.ts'
import type { SlackMessage } from './render-request.ts'

/** A line that is said once: in a thread, or to one person. */
export function renderNotice(view: NoticeView): SlackMessage {
  const text = cutTo(inertLines(view.text), LIMITS.section).text
  const open = view.url === null ? [] : openButton(slackActionId('open'), 'Open', view.url)
  return {
    text: fallbackText(view.text),
    blocks: [
      { type: 'section', text: plain(text) },
      ...readerTimes(text),
      ...(open.length === 0 ? [] : [{ type: 'actions' as const, elements: open }]),
    ],
  }
}

/** An answer to one person, with what goes on in a browser. */
export function renderAnswer(text: string, url: string | null): SlackMessage {
  return renderNotice({ topic: 'answer', text, url, at: 0 })
}
