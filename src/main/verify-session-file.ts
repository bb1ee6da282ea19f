import type { SessionFileState, VerifyInput } from '../audit/verify/verify-audit.ts'
import { recordingPath } from '../recording/recordings-folder.ts'
import { verifyRecording } from '../recording/verify-recording.ts'

/** Follows each session's file in `folder` without its key: the chain runs over cipher text. */
export function verifySessionFileIn(folder: string): NonNullable<VerifyInput['sessionFile']> {
  return async (session, head): Promise<SessionFileState> => {
    const ended = session.recording_state !== 'open' && session.recording_head !== null
    const { problems } = await verifyRecording(recordingPath(folder, session.recording_file), {
      session: session.id,
      state: session.recording_state,
      end: ended ? { chunks: session.recording_chunks, digest: session.recording_head ?? '' } : null,
      checkpoints: head === null ? [] : [{ chunks: head.chunks, digest: head.digest }],
    })
    const [first] = problems
    if (first === undefined) return { state: 'whole' }
    const where = first.chunk === null ? '' : `chunk ${first.chunk}: `
    return { state: first.kind === 'missing' ? 'missing' : 'altered', message: `${where}${first.message}` }
  }
}
