import { formatDuration } from '../../contract/duration.ts'
import { maskSecrets } from '../../formats/secrets-in-text.ts'

type Body = Readonly<Record<string, unknown>>

const REASON_SHOWN = 300

/** What a delivery says in one line; null: nothing that a message does not show by itself. Bodies as access/messages.ts makes them. */
export function lineOf(topic: string, body: Body, omitReason: boolean): string | null {
  return LINES[topic]?.(body, (name) => (omitReason ? '' : quoted(text(body, name)))) ?? null
}

type Line = (body: Body, reason: (name: string) => string) => string | null

const LINES: Readonly<Record<string, Line>> = {
  'request.reviewed': (body, reason) =>
    `${text(body, 'reviewer')} ${text(body, 'decision') === 'deny' ? 'denied' : 'approved'}${reason('reason')}`,
  'request.decided': (body) => decided(body),
  // What takes the place of an older note, or away, is seen on the message alone: threads are no logs of programs.
  'request.annotated': (body, reason) =>
    text(body, 'text') === '' || body['replaces'] === true ? null : `${text(body, 'by')} left a note${reason('text')}`,
  'request.escalated': (body) =>
    `nobody has answered the request of ${text(body, 'user')} for ${asked(body)} within ${formatDuration(number(body, 'after'))}`,
  'request.break_glass': (body, reason) =>
    `BREAK-GLASS: ${text(body, 'user')} took ${asked(body)} until ${instant(body, 'endsAt')} without asking${reason('reason')}`,
  'request.acknowledged': (body) => {
    const missing = number(body, 'missing')
    return `${text(body, 'by')} has looked at this break-glass access${missing > 0 ? `, ${missing} more must` : ''}`
  },
  'grant.ending': (body) => {
    const extend = text(body, 'extend')
    const left = formatDuration(number(body, 'left'))
    return `${asked(body)} ends in ${left}, at ${instant(body, 'endsAt')}${extend === '' ? '' : `; for more time: ${extend}`}`
  },
  'grant.ended': (body, reason) => {
    const by = text(body, 'by')
    const why = text(body, 'reason')
    return `the access of ${text(body, 'user')} to ${asked(body)} has ended: ${why}${by === '' ? '' : ` by ${by}`}${reason('comment')}`
  },
  'delegation.created': (body, reason) =>
    `${text(body, 'delegate')} reviews for ${text(body, 'absent')} until ${instant(body, 'until')}${reason('reason')}`,
  'delegation.removed': (body) =>
    `${text(body, 'delegate')} no longer reviews for ${text(body, 'absent')} (${text(body, 'by')})`,
  'chat_account.linked': (body) =>
    `the ${text(body, 'vendor')} account ${text(body, 'externalName')} (${text(body, 'external')}) now speaks for ${text(body, 'user')}; if that was not you: sally chat unlink`,
  'chat_account.unlinked': (body) =>
    `the ${text(body, 'vendor')} account ${text(body, 'externalName')} (${text(body, 'external')}) no longer speaks for ${text(body, 'user')} (${text(body, 'by')})`,
  'integration.broken': (body) =>
    `the integration ${text(body, 'integration')} works no more: ${text(body, 'why')}; see: sallyctl integration status`,
}

function decided(body: Body): string {
  const resolution = text(body, 'resolution')
  const ends = number(body, 'endsAt')
  const until = text(body, 'state') === 'approved' && ends > 0 ? `, until ${instant(body, 'endsAt')}` : ''
  return `${text(body, 'state')}: ${asked(body)} for ${text(body, 'user')}${resolution === '' ? '' : ` (${maskSecrets(resolution)})`}${until}`
}

function asked(body: Body): string {
  const names = [...list(body, 'roles'), ...list(body, 'resources')]
  const more = names.length - 10
  return more > 0 ? `${names.slice(0, 10).join(', ')} and ${more} more` : names.join(', ')
}

const quoted = (reason: string): string => {
  if (reason === '') return ''
  const masked = maskSecrets(reason)
  const points = [...masked]
  return `: "${points.length > REASON_SHOWN ? `${points.slice(0, REASON_SHOWN).join('')}…` : masked}"`
}

const text = (body: Body, name: string): string => {
  const value = body[name]
  return typeof value === 'string' ? value : ''
}
const number = (body: Body, name: string): number => {
  const value = body[name]
  return typeof value === 'number' ? value : 0
}
const list = (body: Body, name: string): string[] => {
  const value = body[name]
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : []
}
const instant = (body: Body, name: string): string =>
  `${new Date(number(body, name)).toISOString().slice(0, 16).replace('T', ' ')} UTC`
