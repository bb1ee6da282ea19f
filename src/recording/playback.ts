import type { PlayedRecord } from '../contract/recording.ts'
import type { RecordingRecord } from '../formats/recording-record.ts'
import { playedStatement } from './played-statement.ts'
import { readRecording } from './recording-reader.ts'

/**
 * A session's file as the API plays it. A file without an end of its own gets one that says so, at the time of its last
 * record. Errors: RecordingAltered, WrongRecordingKey, those of open(2) and read(2).
 */
export async function* playRecords(path: string, key: Uint8Array, isLive: boolean): AsyncGenerator<PlayedRecord> {
  // Whoever listens may go away in the middle.
  await using chunks = readRecording(path, key)
  let at = 0
  for (;;) {
    const next = await chunks.next()
    if (next.done) {
      if (next.value.closed) return
      return yield { kind: 'end', at, reason: isLive ? 'the session goes on' : 'the recording was cut short here' }
    }
    for (const record of next.value.records) {
      at = record.at
      yield playedRecord(record)
    }
  }
}

export function playedRecord(record: RecordingRecord): PlayedRecord {
  if (record.kind === 'statement') return playedStatement(record)
  if (record.kind !== 'output' && record.kind !== 'input') return record
  const bytes = Buffer.from(record.bytes.buffer, record.bytes.byteOffset, record.bytes.length)
  return { ...record, bytes: bytes.toString('base64') }
}
