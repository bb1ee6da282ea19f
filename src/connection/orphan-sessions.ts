import type { Kysely } from 'kysely'
import type { DeedLog } from '../audit/deed.ts'
import type { SessionsTable, Tables } from '../foundation/database/tables.ts'
import { Refused } from '../foundation/errors.ts'
import { recordingPath } from '../recording/recordings-folder.ts'
import { repairRecording } from '../recording/repair.ts'
import { endSessionDeed, type EndSessionInput } from './end-session.ts'

export interface OrphanParts {
  readonly reads: Kysely<Tables>
  readonly deeds: DeedLog
  readonly recordingsDir: string
}

/** Sessions that nobody will end any more: their process is gone. Their files end at the last whole chunk, and the row says so. */
export async function closeOrphanSessions(
  parts: OrphanParts,
  reason: string,
  isOrphan: (session: SessionsTable) => boolean = () => true,
): Promise<number> {
  const open = await parts.reads.selectFrom('sessions').selectAll().where('ended_at', 'is', null).execute()
  const orphans = open.filter(isOrphan)
  for (const session of orphans) await closeOrphan(parts, session, reason)
  return orphans.length
}

export async function closeOrphanSession(parts: OrphanParts, sessionId: string, reason: string): Promise<void> {
  const session = await parts.reads
    .selectFrom('sessions')
    .selectAll()
    .where('id', '=', sessionId)
    .where('ended_at', 'is', null)
    .executeTakeFirst()
  if (session) await closeOrphan(parts, session, reason)
}

async function closeOrphan(parts: OrphanParts, session: SessionsTable, reason: string): Promise<void> {
  const found = await repairRecording(recordingPath(parts.recordingsDir, session.recording_file))
  const grants = JSON.parse(session.grant_ids_json) as string[]
  const requests = JSON.parse(session.request_ids_json) as string[]
  const input: EndSessionInput = {
    sessionId: session.id,
    code: 'cut_short',
    text: reason,
    complete: found.state === 'complete',
    contents: JSON.parse(session.contents_json) as string[],
    head: found.head,
    about: {
      actor: { kind: 'system', id: null, name: 'sallyport' },
      login: session.login_id,
      request: requests[0] ?? null,
      grants,
      session: session.id,
      resource: {
        kind: session.protocol === 'ssh' ? 'node' : 'database',
        id: session.node_id,
        name: session.node_name,
      },
    },
  }
  try {
    await parts.deeds.commitTakingAway({ name: 'end_session', input: { ...input } }, (tx, now) =>
      endSessionDeed(tx, now, input),
    )
  } catch (error) {
    // Another daemon was first.
    if (!(error instanceof Refused && error.code === 'changed_meanwhile')) throw error
  }
}
