import { RecordingAltered } from '../formats/recording-chunk.ts'
import type { RecordingHead } from './chunk-file.ts'
import { isAbsence } from './verify-recording.ts'
import { walkChunks } from './walk-chunks.ts'

/** What a crash left of a session's file, in the terms of the session's row. */
export interface Repaired {
  readonly state: 'complete' | 'cut_short' | 'missing'
  /** The last whole chunk */
  readonly head: RecordingHead | null
  /** Of a chunk that was being written; it was never acknowledged */
  readonly tornBytes: number
  /** First chunk that is not what must stand there; null: none */
  readonly altered: number | null
}

/**
 * Finds where the file of a session ends that nobody ended. The file stays as it is: whoever wrote it may still be alive, and
 * a torn chunk must never be sealed a second time.
 */
export async function repairRecording(path: string): Promise<Repaired> {
  let head: RecordingHead | null = null
  const chunks = walkChunks(path)
  try {
    for (;;) {
      const next = await chunks.next()
      if (next.done) {
        const { closed, gap, tornBytes } = next.value
        const isWhole = closed && !gap && tornBytes === 0
        return { state: isWhole ? 'complete' : 'cut_short', head: next.value.head, tornBytes, altered: null }
      }
      const { header, end, digest } = next.value
      head = { chunks: header.index + 1, bytes: end, digest: digest.toString('hex') }
    }
  } catch (error) {
    if (isAbsence(error)) return { state: 'missing', head: null, tornBytes: 0, altered: null }
    if (error instanceof RecordingAltered) return { state: 'cut_short', head, tornBytes: 0, altered: error.chunk }
    throw error
  }
}
