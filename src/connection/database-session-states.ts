import { Bug } from '../foundation/errors.ts'

/** The path of one connection to a database. Whatever is not in the table is a bug of ours and throws. */
const MOVES = {
  opening: ['authorizing', 'closed'],
  authorizing: ['connecting', 'ending', 'closed'],
  connecting: ['relaying', 'ending'],
  relaying: ['ending'],
  ending: ['closed'],
  closed: [],
} as const satisfies Record<string, readonly string[]>

export type DatabaseSessionState = keyof typeof MOVES

export function moveDatabaseSession(from: DatabaseSessionState, to: DatabaseSessionState): DatabaseSessionState {
  const allowed: readonly string[] = MOVES[from]
  if (!allowed.includes(to)) throw new Bug(`a database session cannot go from ${from} to ${to}`)
  return to
}
