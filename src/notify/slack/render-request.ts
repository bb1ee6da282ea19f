import { slackActionId } from '../../contract/vendors/slack.ts'
import type { Audience, MessageButton, RequestView } from '../../contract/message.ts'
import { instant, LIMITS, mrkdwn, openButton, plain, type Block, type Button } from './blocks.ts'
import { formatDuration } from '../../contract/duration.ts'
import { cutTo, fallbackText, inertLine, inertLines } from './inert-text.ts'
import { noteLine, whyEnded } from '../words/request-words.ts'
import { reviewLines } from './review-lines.ts'

export interface SlackMessage {
  /** For notifications and screen readers, which do not show blocks */
  readonly text: string
  readonly blocks: Block[]
}

/** UTF-16 units of each part. Together they stay below the 13,200 at which Slack answers msg_blocks_too_long. */
export const SHARES = {
  roles: 1900,
  resources: 1900,
  reason: 4200,
  gives: 1200,
  reviews: 1200,
  needed: 700,
  mind: 500,
  notes: 700,
  line: 300,
}

const STATES: Record<RequestView['state'], string> = {
  pending: 'Access request',
  approved: 'Approved',
  denied: 'Denied',
  cancelled: 'Cancelled',
  expired: 'Expired',
}

const LABELS: Record<MessageButton, string> = {
  approve: 'Approve',
  deny: 'Deny',
  open: 'Open',
  cancel: 'Cancel request',
  extend: 'Extend',
  return: 'Return access',
}

/** One request as a message of Slack. With anything cut that a vote is about, there is nothing to vote with: only Open. */
export function renderRequest(
  view: RequestView,
  buttons: readonly MessageButton[],
  buttonId: string,
  audience: Audience,
): SlackMessage {
  const roles = cutTo(view.roles.map(inertLine).join(', '), SHARES.roles)
  const resources = cutTo(
    view.resources.map(({ kind, name }) => inertLine(`${kind}/${name}`)).join(', '),
    SHARES.resources,
  )
  const reason = cutTo(inertLines(view.reason ?? ''), SHARES.reason)
  const gives = linesWithin(view.gives, SHARES.gives)
  const incomplete = roles.cut || resources.cut || reason.cut || gives.cut
  const title = titleOf(view, audience)
  const ended = view.grant?.state === 'ended' ? cutTo(inertLine(whyEnded(view.grant)), SHARES.line).text : ''
  const outcome = view.state === 'pending' ? '' : cutTo(inertLine(view.resolution ?? ''), SHARES.line).text
  return {
    text: fallbackText(title),
    blocks: [
      { type: 'header', text: plain(cutTo(title, LIMITS.header).text) },
      { type: 'section', fields: facts(view, roles.text, resources.text) },
      ...reasonBlocks(view, reason.text),
      ...part('What it gives', gives.text),
      ...part('Answers', linesWithin(reviewLines(view.reviews, SHARES.line), SHARES.reviews).text),
      ...part('Notes of programs', linesWithin(noteLines(view), SHARES.notes).text),
      ...part('Still needed', linesWithin(view.needed, SHARES.needed).text),
      ...part('Why it ended', ended),
      ...part('Outcome', outcome),
      ...part('Please note', linesWithin(noticeLines(view, incomplete), SHARES.mind).text),
      ...actions(view, incomplete ? buttons.filter((button) => !VOTES.has(button)) : buttons, buttonId),
      { type: 'context', elements: [plain(`Request ${inertLine(view.id).slice(0, 100)}`)] },
    ],
  }
}

const VOTES: ReadonlySet<MessageButton> = new Set(['approve', 'deny'])

function titleOf(view: RequestView, audience: Audience): string {
  const what = [...view.roles, ...view.resources.map(({ kind, name }) => `${kind}/${name}`)].map(inertLine).join(', ')
  const who = inertLine(view.user)
  const state = view.grant?.state === 'ended' ? 'Access ended' : STATES[view.state]
  if (audience === 'requester') return `${state}: your ${KINDS[view.kind]} ${what}`
  if (view.state !== 'pending') return `${state}: ${who}, ${what}`
  if (view.kind === 'extension') return `${who} asks for more time with ${what}`
  if (view.kind === 'break_glass') return `${who} took emergency access to ${what}`
  return `${who} asks for ${what}`
}

const KINDS: Record<RequestView['kind'], string> = {
  role: 'request for',
  resource: 'request for',
  extension: 'extension of',
  break_glass: 'emergency access to',
}

function facts(view: RequestView, roles: string, resources: string) {
  const rows: [string, ReturnType<typeof plain> | ReturnType<typeof mrkdwn>][] = [['Who', plain(inertLine(view.user))]]
  if (roles !== '') rows.push(['Roles', plain(roles)])
  const narrowing = [view.narrowing?.login, view.narrowing?.dbUser].flatMap((name) => name ?? [])
  const as = narrowing.length === 0 ? '' : ` as ${narrowing.map(inertLine).join(', ')}`
  if (resources !== '') rows.push(['Resources', plain(`${resources}${cutTo(as, 90).text}`)])
  rows.push(['For', plain(durations(view))], ...times(view))
  return rows.slice(0, 5).flatMap(([label, value]) => [mrkdwn(`*${label}*`), value])
}

function durations(view: RequestView): string {
  const asked = formatDuration(view.duration)
  const shorter =
    view.grantedDuration < view.duration ? `${formatDuration(view.grantedDuration)} (asked: ${asked})` : asked
  if (view.start.at === 'first-use') return `${shorter}, from its first use`
  return shorter
}

function times(view: RequestView): [string, ReturnType<typeof mrkdwn>][] {
  if (view.grant?.state === 'active') return [['Ends', mrkdwn(instant(view.grant.endsAt))]]
  if (view.grant?.state === 'ended') return [['Ended', mrkdwn(instant(view.grant.endedAt ?? view.grant.endsAt))]]
  if (view.decidedAt !== null) return [['Decided', mrkdwn(instant(view.decidedAt))]]
  const starts: [string, ReturnType<typeof mrkdwn>][] =
    view.start.at === 'instant' ? [['Starts', mrkdwn(instant(view.start.instant))]] : []
  return [...starts, ['Open until', mrkdwn(instant(view.pendingUntil))]]
}

function reasonBlocks(view: RequestView, reason: string): Block[] {
  if (view.reason === null) return part('Reason', 'Not shown here: open the request.')
  return part('Reason', reason === '' ? 'none given' : reason)
}

const noteLines = (view: RequestView): string[] =>
  view.notes.slice(-3).map(({ by, text }) => inertLine(`${by}: ${noteLine(text)}`))

function noticeLines(view: RequestView, incomplete: boolean): string[] {
  const cut = incomplete ? ['This message had to be cut: open the request to see all of it and to answer.'] : []
  return [...view.warnings, ...cut]
}

/** A label of ours and a text of others, in as many sections as it takes. */
function part(label: string, text: string): Block[] {
  if (text === '') return []
  return [
    { type: 'section', text: mrkdwn(`*${label}*`) },
    ...pieces(text, LIMITS.section).map((piece): Block => ({ type: 'section', text: plain(piece) })),
  ]
}

function pieces(text: string, size: number): string[] {
  const found: string[] = []
  let piece = ''
  for (const char of text) {
    if (piece.length + char.length > size) {
      found.push(piece)
      piece = ''
    }
    piece += char
  }
  return [...found, piece]
}

function linesWithin(lines: readonly string[], limit: number) {
  return cutTo(lines.map(inertLine).join('\n'), limit)
}

function actions(view: RequestView, buttons: readonly MessageButton[], buttonId: string): Block[] {
  const elements = buttons.flatMap((button): Button[] => {
    if (button === 'open') return openButton(slackActionId('open'), LABELS.open, view.url)
    const style = button === 'approve' ? ('primary' as const) : button === 'deny' ? ('danger' as const) : undefined
    const pressed = {
      type: 'button' as const,
      action_id: slackActionId(button),
      text: plain(LABELS[button]),
      value: buttonId,
    }
    return [style === undefined ? pressed : { ...pressed, style }]
  })
  return elements.length === 0 ? [] : [{ type: 'actions', elements }]
}
