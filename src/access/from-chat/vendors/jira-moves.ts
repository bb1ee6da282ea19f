import { z } from 'zod'
import type { JiraSettings } from '../../../contract/vendors/jira.ts'

// What Jira's change log says about moves of an issue. Lenient in what it reads; pure.

const Id = z.union([z.string(), z.number()]).transform(String)

const History = z.object({
  id: Id,
  author: z
    .object({
      accountId: z.string().optional(),
      accountType: z.string().optional(),
      key: z.string().optional(),
      displayName: z.string().optional(),
      active: z.boolean().optional(),
    })
    .nullish(),
  created: z.string().optional(),
  items: z.array(z.object({ field: z.string(), from: Id.nullish(), to: Id.nullish() })).default([]),
})

/** A page of `GET /issue/ID/changelog` (Cloud). */
export const ChangePage = z.object({
  values: z.array(History),
  isLast: z.boolean().optional(),
  total: z.int().optional(),
})
/** `GET /issue/ID?expand=changelog` (Data Center), which gives all of them. */
export const ChangedIssue = z.object({
  changelog: z.object({ histories: z.array(History), total: z.int().optional() }),
})
export type History = z.output<typeof History>

export interface Move {
  /** Of the change: the same whoever tells of it, and however often */
  readonly id: string
  readonly decision: 'approve' | 'deny'
  /** When it was made, by Jira's clock; undefined: Jira does not say */
  readonly at?: number
  readonly author: { readonly id: string; readonly name: string; readonly isPerson: boolean } | null
}

/**
 * The move that is to be judged: the one with the id that a webhook named, if it leads straight from waiting to a decision, or
 * else the first such move since the issue came to wait. What somebody did with an issue that waited no more is no vote.
 */
export function moveOf(
  histories: readonly History[],
  statuses: JiraSettings['statuses'],
  named: string | null,
): Move | null {
  const moves = [...histories]
    .sort((one, other) => Number(one.id) - Number(other.id))
    .flatMap((history) => {
      const item = history.items.findLast(({ field }) => field === 'status')
      return item ? [{ history, from: item.from ?? '', to: item.to ?? '' }] : []
    })
  const decides = ({ from, to }: (typeof moves)[number]): boolean =>
    from === statuses.pending && (to === statuses.approved || to === statuses.denied)
  const cameToWait = moves.findLastIndex(({ to }) => to === statuses.pending)
  const told = named === null ? undefined : moves.find((move) => move.history.id === named && decides(move))
  const move = told ?? moves.slice(cameToWait + 1).find(decides)
  if (!move) return null
  const { id, author, created } = move.history
  const at = Date.parse(created ?? '')
  const decision = move.to === statuses.approved ? 'approve' : 'deny'
  return { id, decision, author: authorOf(author), ...(Number.isNaN(at) ? {} : { at }) }
}

/** What somebody else wrote into the issue is not what the request asks for, however it looks. */
const WRITTEN_FIELDS = ['summary', 'description'] as const

/** Whether what the issue said when it was moved was written by the account `me`: each field's last change before the move. */
export function isTextOf(me: string | undefined, histories: readonly History[], move: Pick<Move, 'id'>): boolean {
  const before = histories.filter(({ id }) => Number(id) < Number(move.id)).sort((a, b) => Number(a.id) - Number(b.id))
  return WRITTEN_FIELDS.every((field) => {
    const last = before.findLast(({ items }) => items.some((item) => item.field === field))
    return !last || (me !== undefined && authorOf(last.author)?.id === me)
  })
}

/** Cloud knows people by accountId and says what kind of account it is; Data Center by key, which no rename changes. */
function authorOf(author: History['author']): Move['author'] {
  const id = author?.accountId ?? author?.key
  if (!author || id === undefined || id === '') return null
  const isPerson = author.active !== false && (author.accountId === undefined || author.accountType === 'atlassian')
  return { id, name: author.displayName ?? id, isPerson }
}
