import type { AuditEvent } from '../../../contract/audit.ts'
import { formatDuration } from '../../../contract/duration.ts'
import type { CommandContext } from '../../shared/command-context.ts'
import { CommandFailed } from '../../shared/command-failed.ts'
import { utcTime } from '../../shared/format-time.ts'
import { readInstant } from '../../shared/read-options.ts'
import { renderTable, type Column } from '../../shared/table.ts'

type Texts = 'user' | 'type' | 'request' | 'session' | 'resource' | 'text'
export type SearchOptions = Readonly<Record<Texts | 'since' | 'until' | 'limit', string | undefined>>

const PAGE = 100
const MOST = 10_000
const LONGEST_DETAIL = 60
/** Of a Date, in milliseconds */
const LAST_INSTANT = 8.64e15
const DIGEST = /^[0-9a-f]{64}$/

const COLUMNS: readonly Column<AuditEvent>[] = [
  { head: 'Seq', cell: (each) => String(each.seq) },
  { head: 'Time (UTC)', cell: (each) => utcTime(each.time) },
  { head: 'Type', cell: (each) => each.type },
  { head: 'Who', cell: (each) => each.actor.name, shrinks: true },
  { head: 'Outcome', cell: (each) => each.outcome },
  { head: 'About', cell: aboutOf, shrinks: true },
]

export async function searchAudit(context: CommandContext, options: SearchOptions): Promise<void> {
  const now = context.terminal.clock.now()
  const { user, type, request, session, resource, text } = options
  const wanted = readLimit(options.limit)
  const filter = { user, type, request, session, resource, text }
  const times = { since: readInstant(options.since, now), until: readInstant(options.until, now) }
  const api = await context.dial.operator(context)
  const events: AuditEvent[] = []
  let cursor: string | undefined
  while (events.length < wanted) {
    const limit = Math.min(PAGE, wanted - events.length)
    const page = await api.searchAudit({ query: { ...filter, ...times, cursor, limit } })
    events.push(...page.items)
    if (page.next === null || page.items.length === 0) break
    cursor = page.next
  }
  const width = context.terminal.stdout.columns
  await context.show(events, () => (events.length === 0 ? 'No events.' : renderTable(COLUMNS, events, width)))
}

function readLimit(text: string | undefined): number {
  if (text === undefined) return PAGE
  const limit = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (limit < 1 || limit > MOST) throw new CommandFailed('usage', `--limit is a number from 1 to ${MOST}`)
  return limit
}

/** What it was about, as one line: names and details first, since a narrow terminal cuts the ids. */
function aboutOf(event: AuditEvent): string {
  const parts = [
    event.resource === null ? '' : `${event.resource.kind} ${event.resource.name}`,
    event.details === null ? '(details pruned)' : detailsOf(event.details),
    event.session ?? '',
    event.request ?? '',
  ]
  return parts.filter((part) => part !== '').join(' ')
}

/** What says something to a person in a line: no digests, no structures. `--format=json` has everything. */
function detailsOf(details: Readonly<Record<string, unknown>>): string {
  return Object.entries(details)
    .map(([key, value]) => detailOf(key, value))
    .filter((text) => text !== '')
    .join(' ')
}

function detailOf(key: string, value: unknown): string {
  if (typeof value === 'number' && key.endsWith('At') && Math.abs(value) <= LAST_INSTANT)
    return `${key}=${isoSecond(value)}`
  if (typeof value === 'number' && key.endsWith('Ms') && value >= 1000)
    return `${key.slice(0, -2)}=${formatDuration(value)}`
  const text = Array.isArray(value) && value.every(isWord) ? value.join(',') : isWord(value) ? String(value) : ''
  if (text === '' || DIGEST.test(text)) return ''
  return text.length > LONGEST_DETAIL ? `${key}=...` : `${key}=${text}`
}

function isWord(value: unknown): value is string | number | boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}

/** Without a space in it, so that the end of a detail is seen. */
function isoSecond(instant: number): string {
  return `${utcTime(instant).replace(' ', 'T')}Z`
}
