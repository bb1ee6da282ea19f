import type { FileEntry, RecordingEntry } from '../../../../formats/recording-record.ts'

// For tests of observers.

/** As a recorder keeps it: with bytes of its own. */
export function copied(entry: RecordingEntry): RecordingEntry {
  return entry.kind === 'output' || entry.kind === 'input' ? { ...entry, bytes: Buffer.from(entry.bytes) } : entry
}

/** File records alone, without what they have in common. */
export function fileEntries(entries: readonly RecordingEntry[]): Omit<FileEntry, 'kind' | 'channel' | 'via'>[] {
  return entries.flatMap((entry) => {
    if (entry.kind !== 'file') return []
    const { kind: _kind, channel: _channel, via: _via, ...rest } = entry
    return [rest]
  })
}
