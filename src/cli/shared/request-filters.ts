import type { RequestState } from '../../contract/request.ts'
import { CommandFailed } from './command-failed.ts'
import { readInstant } from './read-options.ts'

/** Options of `request ls`, in both programs. */
export const REQUEST_FILTERS = {
  state: {
    kind: 'choice',
    choices: ['pending', 'approved', 'denied', 'cancelled', 'expired'],
    summary: 'only those in this state',
  },
  user: { kind: 'text', value: 'name', summary: 'only those of this user' },
  role: { kind: 'text', value: 'name', summary: 'only those for this role' },
  resource: { kind: 'text', value: 'kind/name', summary: 'only those for this resource, such as node/db-box' },
  reviewer: { kind: 'text', value: 'name', summary: 'only those that this user, or rule:NAME, has voted on' },
  since: { kind: 'text', value: 'when', summary: 'made since then: 2026-11-22, 2026-11-22T08:00Z or 2h (ago)' },
  until: { kind: 'text', value: 'when', summary: 'made before then' },
  text: { kind: 'text', value: 'words', summary: 'with these words in the reason or a name' },
  sort: { kind: 'choice', choices: ['created', 'state'], summary: 'by time (the default) or by state' },
  oldest: { kind: 'switch', summary: 'oldest first instead of newest' },
  limit: { kind: 'text', value: 'number', summary: 'at most so many' },
} as const

export interface RequestFilters {
  readonly state: RequestState | undefined
  readonly user: string | undefined
  readonly role: string | undefined
  readonly resource: string | undefined
  readonly reviewer: string | undefined
  readonly since: string | undefined
  readonly until: string | undefined
  readonly text: string | undefined
  readonly sort: 'created' | 'state' | undefined
  readonly oldest: boolean
  readonly limit: string | undefined
}

const LARGEST_PAGE = 200

/** The query without its cursor, and how many requests are wanted in all. */
export function readFilters(filters: RequestFilters, now: number) {
  const { state, user, role, resource, reviewer, text, sort } = filters
  const most = filters.limit === undefined ? Infinity : Number(filters.limit)
  if (Number.isNaN(most) || most < 1)
    throw new CommandFailed('usage', `"${filters.limit ?? ''}" is no number to stop at`)
  return {
    most,
    query: {
      ...{ state, user, role, resource, reviewer, text },
      ...(sort === undefined ? {} : { sort }),
      ...(filters.oldest ? { order: 'asc' as const } : {}),
      since: readInstant(filters.since, now),
      until: readInstant(filters.until, now),
      limit: Math.ceil(Math.min(most, LARGEST_PAGE)),
    },
  }
}
