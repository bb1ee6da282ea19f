import { RecordingAltered } from '../formats/recording-chunk.ts'
import { decodeRecords, type RecordingRecord } from '../formats/recording-record.ts'
import { ChunkOpener } from '../formats/recording-seal.ts'
import { walkChunks, type WalkEnd } from './walk-chunks.ts'

/** The key does not belong to the file: nothing is said about the file. */
export class WrongRecordingKey extends Error {
  override readonly name = 'WrongRecordingKey'
}

export interface ReadChunk {
  readonly records: readonly RecordingRecord[]
  readonly digest: Buffer
}

/**
 * A file's records, chunk by chunk, to its last whole chunk; the answer at the end says whether that is the file's own end
 * (`closed`) or a cut. `bytes` of records are theirs to keep.
 * Errors: RecordingAltered, WrongRecordingKey, those of open(2) and read(2).
 */
export async function* readRecording(path: string, key: Uint8Array): AsyncGenerator<ReadChunk, WalkEnd> {
  let opener: ChunkOpener | null = null
  await using chunks = walkChunks(path)
  for (;;) {
    const next = await chunks.next()
    if (next.done) return next.value
    const { file, header, bytes, digest } = next.value
    opener ??= ChunkOpener.open(file, key)
    if (opener === null) throw new WrongRecordingKey('the key is not that of the recording')
    yield { records: recordsOf(opener.body(header, bytes), header.index), digest }
  }
}

function recordsOf(body: Buffer, index: number): RecordingRecord[] {
  try {
    return [...decodeRecords(body)]
  } catch (error) {
    throw new RecordingAltered(index, `holds a malformed record: ${error instanceof Error ? error.message : ''}`)
  }
}
