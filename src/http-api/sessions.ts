import type { Kysely } from 'kysely'
import type { DeedLog } from '../audit/deed.ts'
import type { Actor } from '../contract/audit.ts'
import type { PlayedRecord } from '../contract/recording.ts'
import { RecordingAltered } from '../formats/recording-chunk.ts'
import type { Tables } from '../foundation/database/tables.ts'
import { Refused } from '../foundation/errors.ts'
import type { Sealer } from '../identity/sealing.ts'
import { playRecords } from '../recording/playback.ts'
import { WrongRecordingKey } from '../recording/recording-reader.ts'
import { recordingPath } from '../recording/recordings-folder.ts'
import { type RecordingProblem, verifyRecording } from '../recording/verify-recording.ts'
import type { MayOperate } from './caller.ts'
import type { CallContext, Handlers } from './handler.ts'
import {
  presentSession,
  requestIdsOf,
  selectSessions,
  type SessionRow,
  standingOf,
  votedRequests,
} from './known-sessions.ts'
import { readCursor, sessionBatch, type SessionCursor, writeCursor } from './session-pages.ts'

export interface SessionServices {
  readonly db: Kysely<Tables>
  readonly deeds: DeedLog
  readonly recordingsDir: string
  readonly sealer: Sealer
  readonly mayOperate: MayOperate
  /** False once the login session or its user can do nothing any more */
  readonly stillSignedIn: (loginId: string) => boolean
  /** Length of the file of a session that is open now */
  readonly liveBytes: (sessionId: string) => number | undefined
  /** Closes a live session now, wherever it lives; false when it is not live. */
  readonly terminate: (
    session: Pick<SessionRow, 'id' | 'instance_id'>,
    order: { readonly by: Actor; readonly message: string },
  ) => boolean | Promise<boolean>
}

const PAGE = 50
/** Rows looked through for one page, so that a person with few sessions does not read the whole table. */
const LOOKED_THROUGH = 5000
const BATCH = 500

const unknown = (): Refused =>
  new Refused('not_found', 'there is no such session that you may know of', 'see: sally recordings ls')

/** `sally recordings ls`, `sally play`, `sallyctl sessions ls|terminate`. */
export function sessionHandlers(services: SessionServices): Handlers {
  return {
    listSessions: async (context, { query }) => {
      const mayKnow = await knowledgeOf(services, context)
      const limit = query.limit ?? PAGE
      const items: SessionRow[] = []
      let cursor = readCursor(query.cursor)
      for (let looked = 0; looked < LOOKED_THROUGH; looked += BATCH) {
        const rows = await sessionBatch(services.db, { ...query, limit: BATCH }, cursor)
        for (const row of rows) {
          cursor = { startedAt: row.started_at, id: row.id }
          if (mayKnow(row)) items.push(row)
          if (items.length === limit) return page(services, items, cursor)
        }
        if (rows.length < BATCH) return page(services, items, null)
      }
      return page(services, items, cursor)
    },

    showSession: async (context, { params }) => {
      const mayKnow = await knowledgeOf(services, context)
      const row = await find(services.db, params['id'])
      if (row === undefined || !mayKnow(row)) throw unknown()
      return presentSession(row, services.liveBytes(row.id))
    },

    playSession: async (context, { params }) => {
      const row = await find(services.db, params['id'])
      const standing = row === undefined ? null : await standingToPlay(services, context, row)
      if (row === undefined || standing === null) throw unknown()
      if (standing !== 'own' && (context.login?.secondFactorAt ?? null) === null) {
        throw new Refused(
          'second_factor_required',
          'playing the recordings of others needs a sign-in with a second factor',
          'run: sally login (and sally mfa add, if you have none)',
        )
      }
      return { lines: await play(services, context, row, standing) }
    },

    terminateSession: async (context, { params, body }) => {
      const row = await find(services.db, params['id'])
      if (row === undefined) throw unknown()
      const order = { by: context.actor, message: body.message }
      if (row.ended_at === null && (await services.terminate(row, order))) return {}
      throw new Refused('changed_meanwhile', 'the session has ended already', 'see: sallyctl sessions ls')
    },
  }
}

async function find(db: Kysely<Tables>, id: string | undefined): Promise<SessionRow | undefined> {
  return await selectSessions(db)
    .where('sessions.id', '=', id ?? '')
    .executeTakeFirst()
}

/** Operators and the local admin know of all sessions, everybody else of their own and of those they voted on. */
async function knowledgeOf(services: SessionServices, context: CallContext): Promise<(row: SessionRow) => boolean> {
  if (context.local) return () => true
  const userId = context.login?.userId
  if (userId === undefined) return () => false
  for (const [resource, verb] of [
    ['session', 'list'],
    ['recording', 'read'],
  ] as const) {
    if (await services.mayOperate(userId, resource, verb)) return () => true
  }
  const voted = await votedRequests(services.db, userId)
  return (row) => standingOf(row, userId, voted) !== null
}

async function standingToPlay(
  services: SessionServices,
  context: CallContext,
  row: SessionRow,
): Promise<'own' | 'voted' | 'rule' | null> {
  const userId = context.login?.userId
  if (context.local || userId === undefined) return null
  const standing = standingOf(row, userId, await votedRequests(services.db, userId))
  if (standing !== null) return standing
  return (await services.mayOperate(userId, 'recording', 'read')) ? 'rule' : null
}

/** Checks the whole file, stores the event, and only then gives lines. */
async function play(
  services: SessionServices,
  context: CallContext,
  row: SessionRow,
  standing: string,
): Promise<AsyncIterable<PlayedRecord>> {
  const path = recordingPath(services.recordingsDir, row.recording_file)
  const place = { table: 'sessions', row: row.id, column: 'recording_key_sealed' }
  const key = services.sealer.unseal(place, row.recording_key_sealed)
  const problem = await check(path, key, row)
  await services.deeds.commitDeed(() =>
    Promise.resolve({
      result: null,
      events: [
        {
          type: 'session.recording.access',
          actor: context.actor,
          login: context.login?.id ?? null,
          request: requestIdsOf(row)[0] ?? null,
          grants: JSON.parse(row.grant_ids_json) as string[],
          session: row.id,
          resource: presentSession(row, undefined).resource,
          outcome: problem === null ? 'success' : 'failure',
          details: { of: row.user_name, as: standing, ...(problem === null ? {} : { problem: problem.message }) },
        },
      ],
    }),
  )
  if (problem !== null) throw refusalFor(problem)
  const mayGoOn = (): boolean => context.login !== null && services.stillSignedIn(context.login.id)
  return untilAborted(playRecords(path, key, row.ended_at === null), context.signal, mayGoOn)
}

async function check(path: string, key: Uint8Array, row: SessionRow): Promise<RecordingProblem | null> {
  const head = row.recording_head
  const end = head === null ? null : { chunks: row.recording_chunks, digest: head }
  const expected = { session: row.id, state: row.recording_state, end, checkpoints: [] }
  try {
    const { problems, head: found } = await verifyRecording(path, expected, key)
    const [problem] = problems
    if (problem !== undefined) return problem
    return found === null ? { kind: 'missing', chunk: null, message: 'there is no recording' } : null
  } catch (error) {
    if (!(error instanceof WrongRecordingKey)) throw error
    return { kind: 'foreign', chunk: null, message: error.message }
  }
}

function refusalFor(problem: RecordingProblem): Refused {
  if (problem.kind === 'missing') {
    return new Refused('recording_unavailable', 'The recording of this session is not there.', 'tell the operators')
  }
  return new Refused(
    'recording_altered',
    `The recording is not what was written: ${problem.message}.`,
    'tell the operators; sallyctl audit verify checks everything',
    { chunk: problem.chunk },
  )
}

async function* untilAborted(
  records: AsyncIterable<PlayedRecord>,
  signal: AbortSignal,
  mayGoOn: () => boolean,
): AsyncGenerator<PlayedRecord> {
  try {
    for await (const record of records) {
      if (signal.aborted) return
      if (!mayGoOn()) throw new Refused('login_ended', 'your login session has ended', 'run: sally login')
      yield record
    }
  } catch (error) {
    // Altered while it was being played: the line shows where it ends.
    if (error instanceof RecordingAltered) throw new Refused('recording_altered', error.message)
    throw error
  }
}

function page(services: SessionServices, rows: readonly SessionRow[], cursor: SessionCursor | null) {
  return {
    items: rows.map((row) => presentSession(row, services.liveBytes(row.id))),
    next: writeCursor(cursor),
  }
}
