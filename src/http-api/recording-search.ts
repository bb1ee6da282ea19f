import type { NewEvent } from '../audit/deed.ts'
import { RecordingAltered } from '../formats/recording-chunk.ts'
import { Refused } from '../foundation/errors.ts'
import { WrongRecordingKey } from '../recording/recording-reader.ts'
import { recordingPath } from '../recording/recordings-folder.ts'
import { RecordingSearch, type SearchedRecording } from '../recording/search-recording.ts'
import { isAbsence } from '../recording/verify-recording.ts'
import type { CallContext, Handlers } from './handler.ts'
import { presentSession, requestIdsOf, type SessionRow, standingOf, votedRequests } from './known-sessions.ts'
import { readCursor, sessionBatch, type SessionCursor, writeCursor } from './session-pages.ts'
import type { SessionServices } from './sessions.ts'

type Standing = 'own' | 'voted' | 'rule'

interface Looked {
  readonly row: SessionRow
  readonly standing: Standing
  /** null: altered or missing */
  readonly found: SearchedRecording | null
}

const PAGE = 50
const MATCHES_OF_ONE = 5
/** One page reads no more than this of recordings, the last one besides. */
const MOST_BYTES = 64 * 1024 * 1024
/** Rows looked through for one page. */
const LOOKED_THROUGH = 5000
const BATCH = 250
/** Searches that wait for their turn; one runs at a time, so that nobody's search slows down what others do. */
const MOST_WAITING = 10

/** `sally recordings search`: like playing each recording that is looked into, and open to the same people. */
export function recordingSearchHandlers(services: SessionServices): Handlers {
  const turns = new Turns()
  return {
    searchRecordings: async (context, { query }) => {
      const userId = context.login?.userId
      if (context.local || userId === undefined) throw new Refused('not_allowed', 'searching recordings is for people')
      return await turns.take(() => searchPage(services, context, userId, query))
    },
  }
}

interface Query {
  readonly text: string
  readonly user?: string | undefined
  readonly on?: string | undefined
  readonly cursor?: string | undefined
  readonly limit?: number | undefined
}

async function searchPage(services: SessionServices, context: CallContext, userId: string, query: Query) {
  const { looked, withheld, cursor } = await lookThrough(services, context, userId, query)
  await services.deeds.commitDeed(() =>
    Promise.resolve({ result: null, events: [searchEvent(context, query, looked), ...accessEvents(context, looked)] }),
  )
  return {
    items: looked.flatMap(({ row, found }) =>
      found === null || found.matches.length === 0
        ? []
        : [
            {
              session: presentSession(row, services.liveBytes(row.id)),
              matches: [...found.matches],
              more: found.more,
            },
          ],
    ),
    next: writeCursor(cursor),
    searched: looked.length,
    unreadable: looked.flatMap(({ row, found }) => (found === null ? [row.id] : [])),
    withheld,
  }
}

async function lookThrough(services: SessionServices, context: CallContext, userId: string, query: Query) {
  const standing = await standingIn(services, userId)
  const search = new RecordingSearch(query.text, MATCHES_OF_ONE)
  const filter = { user: query.user, node: query.on, limit: BATCH }
  const looked: Looked[] = []
  let cursor = readCursor(query.cursor)
  let withheld = 0
  let bytes = 0
  for (let rows = 0; rows < LOOKED_THROUGH; rows += BATCH) {
    const batch = await sessionBatch(services.db, filter, cursor)
    for (const row of batch) {
      const why = standing(row)
      if (why !== null && (why === 'own' || hasSecondFactor(context))) {
        if (looked.length === (query.limit ?? PAGE) || bytes >= MOST_BYTES) return { looked, withheld, cursor }
        looked.push({ row, standing: why, found: await lookInto(services, context, search, row) })
        bytes += services.liveBytes(row.id) ?? row.recording_bytes
      } else if (why !== null) withheld += 1
      cursor = { startedAt: row.started_at, id: row.id }
    }
    if (batch.length < BATCH) return { looked, withheld, cursor: null }
  }
  return { looked, withheld, cursor: cursor satisfies SessionCursor | null }
}

const hasSecondFactor = (context: CallContext): boolean => (context.login?.secondFactorAt ?? null) !== null

async function standingIn(services: SessionServices, userId: string): Promise<(row: SessionRow) => Standing | null> {
  const voted = await votedRequests(services.db, userId)
  const byRule = await services.mayOperate(userId, 'recording', 'read')
  return (row) => standingOf(row, userId, voted) ?? (byRule ? 'rule' : null)
}

async function lookInto(
  services: SessionServices,
  context: CallContext,
  search: RecordingSearch,
  row: SessionRow,
): Promise<SearchedRecording | null> {
  if (context.login !== null && !services.stillSignedIn(context.login.id))
    throw new Refused('login_ended', 'your login session has ended', 'run: sally login')
  const place = { table: 'sessions', row: row.id, column: 'recording_key_sealed' }
  try {
    const path = recordingPath(services.recordingsDir, row.recording_file)
    const found = await search.in(path, services.sealer.unseal(place, row.recording_key_sealed), context.signal)
    return row.recording_head !== null && row.recording_head !== found.digest ? null : found
  } catch (error) {
    if (isUnreadable(error)) return null
    throw error
  }
}

function isUnreadable(error: unknown): boolean {
  if (error instanceof RecordingAltered || error instanceof WrongRecordingKey || isAbsence(error)) return true
  return error instanceof Refused && error.code === 'recording_unavailable'
}

function searchEvent(context: CallContext, query: Query, looked: readonly Looked[]): NewEvent {
  const { text, user, on } = query
  const sessions = looked.map(({ row }) => row.id)
  return {
    type: 'session.recording.search',
    actor: context.actor,
    login: context.login?.id ?? null,
    outcome: 'success',
    details: { text, ...(user === undefined ? {} : { user }), ...(on === undefined ? {} : { on }), sessions },
  }
}

/** Whose content is in the answer, or could not be read. */
function accessEvents(context: CallContext, looked: readonly Looked[]): NewEvent[] {
  return looked.flatMap(({ row, standing, found }) => {
    if (found !== null && found.matches.length === 0) return []
    return [
      {
        type: 'session.recording.access' as const,
        actor: context.actor,
        login: context.login?.id ?? null,
        request: requestIdsOf(row)[0] ?? null,
        grants: JSON.parse(row.grant_ids_json) as string[],
        session: row.id,
        resource: presentSession(row, undefined).resource,
        outcome: found === null ? ('failure' as const) : ('success' as const),
        details: { of: row.user_name, as: standing, by: 'search' },
      },
    ]
  })
}

/** One after the other. */
class Turns {
  #last: Promise<unknown> = Promise.resolve()
  #waiting = 0

  async take<T>(work: () => Promise<T>): Promise<T> {
    if (this.#waiting >= MOST_WAITING)
      throw new Refused('too_many_attempts', 'too many searches wait for their turn', 'try again in a minute')
    this.#waiting += 1
    const turn = this.#last.then(work)
    this.#last = turn.catch(() => {})
    try {
      return await turn
    } finally {
      this.#waiting -= 1
    }
  }
}
