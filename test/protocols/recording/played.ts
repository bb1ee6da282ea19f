import type { RecordingRecord } from '../../../src/formats/recording-record.ts'
import { readRecording } from '../../../src/recording/recording-reader.ts'
import type { WalkEnd } from '../../../src/recording/walk-chunks.ts'

export const SESSION = 'ses_019aa3c4-0000-7000-8000-00000000000a'
export const KEY = Buffer.alloc(32, 5)
export const META = { session: SESSION, user: 'ada', node: 'db-box', login: 'deploy' }

/** Everything in a file, to its last whole chunk. Throws when the chain or a chunk is wrong. */
export async function played(path: string): Promise<{ records: RecordingRecord[]; end: WalkEnd }> {
  const records: RecordingRecord[] = []
  const chunks = readRecording(path, KEY)
  for (;;) {
    const next = await chunks.next()
    if (next.done) return { records, end: next.value }
    records.push(...next.value.records)
  }
}
