import type { Deed, NewEvent, Tx } from '../audit/deed.ts'
import { Refused } from '../foundation/errors.ts'
import type { RecordingHead } from './control-plane.ts'

export interface EndSessionInput {
  readonly sessionId: string
  /** For programs */
  readonly code: string
  /** For people; null: the code says it all */
  readonly text: string | null
  readonly complete: boolean
  readonly contents: readonly string[]
  readonly head: RecordingHead | null
  readonly about: Pick<NewEvent, 'actor' | 'login' | 'request' | 'grants' | 'session' | 'resource'>
}

/** Also replayed from the spill file after a restart. Errors: Refused('changed_meanwhile') when it has ended already. */
export async function endSessionDeed(tx: Tx, now: number, input: EndSessionInput): Promise<Deed<null>> {
  const { head } = input
  const state = input.complete ? 'complete' : head === null ? 'missing' : 'cut_short'
  const updated = await tx
    .updateTable('sessions')
    .set({
      ended_at: now,
      end_reason: input.text ?? input.code,
      recording_state: state,
      recording_bytes: head?.bytes ?? 0,
      recording_head: head?.digest ?? null,
      recording_chunks: head?.chunks ?? 0,
      contents_json: JSON.stringify(input.contents),
    })
    .where('id', '=', input.sessionId)
    .where('ended_at', 'is', null)
    .executeTakeFirst()
  if (updated.numUpdatedRows === 0n) throw new Refused('changed_meanwhile', 'the session has ended already')
  const event: NewEvent = {
    type: input.about.resource?.kind === 'database' ? 'db.session.end' : 'session.end',
    ...input.about,
    outcome: input.complete ? 'success' : 'failure',
    details: {
      code: input.code,
      text: input.text,
      recording: state,
      chunks: head?.chunks ?? 0,
      digest: head?.digest ?? null,
      contents: input.contents,
    },
    rows: [{ table: 'sessions', id: input.sessionId }],
  }
  return { result: null, events: [event] }
}

/** For DeedLog.registerReplay. */
export function endSessionReplay(
  input: Readonly<Record<string, unknown>>,
): (tx: Tx, now: number) => Promise<Deed<null>> {
  return (tx, now) => endSessionDeed(tx, now, input as Readonly<Record<string, unknown>> & EndSessionInput)
}
