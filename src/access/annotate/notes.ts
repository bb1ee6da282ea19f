import { fixedList } from '../../foundation/database/fixed-statement.ts'
import type { Reader } from '../directory.ts'

/** A note with the name of the service account that wrote it. */
export interface Note {
  readonly id: string
  readonly request_id: string
  readonly user_id: string
  readonly author: string
  readonly key: string
  readonly body: string
  readonly at: number
}

const notesOnAll = fixedList<Note>(
  (ids) => `select n.id, n.request_id, n.user_id, u.name as author, n.key, n.body, n.at
    from request_notes n join users u on u.id = n.user_id where n.request_id in ${ids} order by n.at, n.id`,
)

/** The oldest first. */
export async function notesOn(reader: Reader, requestIds: readonly string[]): Promise<readonly Note[]> {
  return requestIds.length === 0 ? [] : notesOnAll(reader, requestIds)
}
