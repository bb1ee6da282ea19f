import { Bug } from '../../../foundation/errors.ts'

/** The path of one connection. Whatever is not in the table is a bug of ours and throws. */
const MOVES = {
  opening: ['authorizing', 'closed'],
  authorizing: ['connecting', 'ending', 'closed'],
  connecting: ['relaying', 'ending'],
  relaying: ['ending'],
  ending: ['closed'],
  closed: [],
} as const satisfies Record<string, readonly string[]>

export type SessionState = keyof typeof MOVES

export function moveSession(from: SessionState, to: SessionState): SessionState {
  const allowed: readonly string[] = MOVES[from]
  if (!allowed.includes(to)) throw new Bug(`a PostgreSQL session cannot go from ${from} to ${to}`)
  return to
}
