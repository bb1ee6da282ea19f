import { fixedStatement } from '../../foundation/database/fixed-statement.ts'
import type { RequestChanges } from '../../contract/request-change.ts'
import { formatDuration } from '../../contract/duration.ts'
import { Refused } from '../../foundation/errors.ts'
import { maySee, type Caller } from '../caller.ts'
import { loadDirectory, type Reader } from '../directory.ts'
import { loadCases } from '../request-case.ts'
import { presentRequest } from './present-request.ts'

// The change log as one caller may see it. It is written in the order of the commits, by all daemons on a store, so a place in
// it is a cursor that survives anything but another store.

/** Rows of the change log that one answer looks at. */
const MOST_LOOKED_AT = 500
/** An older cursor is of a reader that has missed whole lives of requests: it has to look at what is there now. */
export const CURSOR_LIFE_MS = 30 * 86_400_000

interface Place {
  readonly seq: number
  /** Of the last row of that event that was given */
  readonly position: number
  /** First half of the chain's hash there */
  readonly mark: string
}

interface ChangeRow {
  readonly seq: number
  readonly position: number
  readonly row_id: string
  readonly id: string
  readonly type: string
  readonly time: number
}

const MARK_LENGTH = 32
/** Behind every row of an event */
const LAST = 36 ** 4 - 1
const changesAfter = fixedStatement<ChangeRow>(
  `select c.seq, c.position, c.row_id, e.id, e.type, e.time from change_log c join audit_events e on e.seq = c.seq
   where (c.seq > ? or (c.seq = ? and c.position > ?)) and c.seq <= ? and c.table_name || '' = 'access_requests' order by c.seq, c.position limit ?`,
)
const headNow = fixedStatement<{ seq: number; hash: string }>('select seq, hash from chain_head where id = 1')
const eventAt = fixedStatement<{ hash: string; time: number }>('select hash, time from audit_events where seq = ?')

/** Where the end is now. */
export async function endOfChanges(reader: Reader): Promise<string> {
  const [head] = await headNow(reader)
  return cursorOf({ seq: head?.seq ?? 0, position: LAST, mark: (head?.hash ?? '').slice(0, MARK_LENGTH) })
}

/**
 * What was committed after the cursor and concerns requests that the caller may see now. Errors: Refused('cursor_gone') when
 * the cursor is too old or of another store, Refused('malformed') when it is none.
 */
export async function changesSince(
  reader: Reader,
  now: number,
  caller: Caller,
  cursor: string,
  limit: number,
): Promise<RequestChanges> {
  const from = await placeOf(reader, cursor, now)
  const [head] = await headNow(reader)
  const end = Math.min(head?.seq ?? from.seq, from.seq + MOST_LOOKED_AT)
  const rows = await changesAfter(reader, from.seq, from.seq, from.position, end, limit)
  const directory = await loadDirectory(reader, now)
  const cases = await loadCases(reader, [...new Set(rows.map((row) => row.row_id))], directory)
  const seen = new Map(
    cases.flatMap((each) => (maySee(caller, each, now) ? [[each.request.id, presentRequest(each, caller, now)]] : [])),
  )
  const items = rows.flatMap(({ id, position, row_id, type, time }) => {
    const request = seen.get(row_id)
    return request ? [{ id: `${id}/${String(position)}`, type, at: time, request }] : []
  })
  // A full page ends at its last row, any other one where the look ended.
  const last = rows.length === limit ? rows.at(-1) : undefined
  const { seq, position } = last ?? { seq: end, position: LAST }
  const [found] = seq === from.seq ? [] : await eventAt(reader, seq)
  const mark = found ? found.hash.slice(0, MARK_LENGTH) : from.mark
  return { items, cursor: cursorOf({ seq, position, mark }), more: last !== undefined || seq < (head?.seq ?? 0) }
}

const cursorOf = ({ seq, position, mark }: Place): string => `c1_${seq.toString(36)}_${position.toString(36)}_${mark}`

async function placeOf(reader: Reader, cursor: string, now: number): Promise<Place> {
  const found = /^c1_([0-9a-z]{1,10})_([0-9a-z]{1,4})_([0-9a-f]{0,32})$/.exec(cursor)
  const seq = Number.parseInt(found?.[1] ?? '', 36)
  const position = Number.parseInt(found?.[2] ?? '', 36)
  const mark = found?.[3] ?? ''
  if (!found || !Number.isSafeInteger(seq)) throw new Refused('malformed', 'cursor: this is none')
  if (seq === 0) return { seq, position, mark }
  const [event] = await eventAt(reader, seq)
  if (event?.hash.slice(0, MARK_LENGTH) !== mark || mark === '')
    throw new Refused('cursor_gone', 'this cursor is of another store, or of one that was rolled back since', AGAIN)
  if (event.time < now - CURSOR_LIFE_MS)
    throw new Refused('cursor_gone', `this cursor is older than ${formatDuration(CURSOR_LIFE_MS)}`, AGAIN)
  return { seq, position, mark }
}

const AGAIN = 'list what is there now, and go on from a new cursor'
