import type { PlayedRecord } from '../../../contract/recording.ts'
import { harmless } from '../../shared/harmless.ts'
import { utcTime } from '../../shared/format-time.ts'
import { describeDatabase } from './describe-statement.ts'

/** What a record that is no terminal output says to a reader, in one line; null: nothing. */
export function describeRecord(record: PlayedRecord): string | null {
  switch (record.kind) {
    case 'start':
      return harmless(
        `session ${record.session}: ${record.user} on ${record.login}@${record.node}, ${utcTime(record.time)} UTC`,
      )
    case 'exec':
      return `command: ${harmless(record.command)}`
    case 'subsystem':
      return `subsystem: ${harmless(record.name)}`
    case 'stream':
      return `${record.stream}: ${record.length} bytes in all, SHA-256 ${record.sha256}`
    case 'file':
      return describeFile(record)
    case 'forward':
      return `${record.direction} forwarding to ${harmless(record.target)}`
    case 'exit':
      return record.signal === null
        ? `exit status ${record.status ?? 'unknown'}`
        : `killed by ${harmless(record.signal)}`
    case 'notice':
      return `sallyport: ${harmless(record.text)}`
    case 'gap':
      return `MISSING HERE: ${record.bytes} bytes that were shown and could not be stored (${harmless(record.reason)})`
    case 'unparsed':
      return `not followed from here on: ${harmless(record.reason)}`
    case 'end':
      return `end: ${harmless(record.reason)}`
    case 'database':
      return describeDatabase(record)
    case 'statement':
    case 'result':
    case 'channel':
    case 'pty':
    case 'shell':
    case 'resize':
    case 'output':
    case 'input':
      return null
  }
}

function describeFile(record: Extract<PlayedRecord, { kind: 'file' }>): string {
  const to = record.to === undefined ? '' : ` -> ${harmless(record.to)}`
  const size = record.size === undefined ? '' : `, ${record.size} bytes`
  const hash =
    record.sha256 === undefined ? '' : record.sha256 === null ? ', not in one run' : `, SHA-256 ${record.sha256}`
  const failed = record.ok ? '' : `, FAILED: ${harmless(record.error ?? 'unknown error')}`
  return `${record.via} ${record.operation} ${harmless(record.path)}${to}${size}${hash}${failed}`
}
