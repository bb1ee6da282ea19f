import type { VerifyInput } from '../audit/verify/verify-audit.ts'
import { recordingPath } from '../recording/recordings-folder.ts'
import { verifyRecording, type KnownHead } from '../recording/verify-recording.ts'

/** For `verify`: one session's file against its row and the last checkpoint, without its key. */
export function sessionFileVerifier(recordingsDir: string): NonNullable<VerifyInput['sessionFile']> {
  return async (session, head) => {
    const { recording_head: digest, recording_chunks: chunks } = session
    const end: KnownHead | null = digest === null ? null : { chunks, digest }
    const verdict = await verifyRecording(recordingPath(recordingsDir, session.recording_file), {
      session: session.id,
      state: session.recording_state,
      end,
      checkpoints: head === null ? [] : [head],
    })
    const [first] = verdict.problems
    if (!first) return { state: 'whole' }
    const where = first.chunk === null ? '' : ` (chunk ${first.chunk})`
    return { state: first.kind === 'missing' ? 'missing' : 'altered', message: `${first.message}${where}` }
  }
}
