import type { RecordingRecord } from '../formats/recording-record.ts'
import { readRecording } from './recording-reader.ts'
import { readable } from './played-statement.ts'
import { playedParameters } from './played-statement.ts'

/** A record that holds the text. */
export interface RecordingMatch {
  /** Milliseconds since the session's start */
  readonly at: number
  readonly kind: 'statement' | 'exec' | 'file'
  /** Of a statement */
  readonly number: number | null
  /** A part of it, with the text */
  readonly excerpt: string
}

export interface SearchedRecording {
  readonly matches: readonly RecordingMatch[]
  /** Matches beyond those */
  readonly more: number
  /** Where the file ended: hex SHA-256 of its last chunk; null: it has not even a header */
  readonly digest: string | null
}

const BEFORE = 60
const LONGEST_EXCERPT = 200

/** `needle`: lower case. Holds for statements, their parameters, commands and file names, whatever their case. */
export class RecordingSearch {
  readonly #needle: string
  readonly #most: number

  constructor(text: string, most: number) {
    this.#needle = text.toLowerCase()
    this.#most = most
  }

  /** Errors: RecordingAltered, WrongRecordingKey, those of open(2) and read(2); the signal's reason. */
  async in(path: string, key: Uint8Array, signal: AbortSignal): Promise<SearchedRecording> {
    const matches: RecordingMatch[] = []
    let more = 0
    await using chunks = readRecording(path, key)
    for (;;) {
      signal.throwIfAborted()
      const next = await chunks.next()
      if (next.done) return { matches, more, digest: next.value.head?.digest ?? null }
      for (const record of next.value.records) {
        const match = this.#match(record)
        if (match === null) continue
        if (matches.length < this.#most) matches.push(match)
        else more += 1
      }
    }
  }

  #match(record: RecordingRecord): RecordingMatch | null {
    for (const text of textsOf(record)) {
      const found = text.toLowerCase().indexOf(this.#needle)
      if (found < 0) continue
      const number = record.kind === 'statement' ? record.number : null
      return { at: record.at, kind: kindOf(record), number, excerpt: excerptOf(text, found) }
    }
    return null
  }
}

function kindOf({ kind }: RecordingRecord): RecordingMatch['kind'] {
  return kind === 'exec' || kind === 'file' ? kind : 'statement'
}

function* textsOf(record: RecordingRecord): Generator<string> {
  if (record.kind === 'exec') yield record.command
  if (record.kind === 'file') {
    yield record.path
    if (record.to !== undefined) yield record.to
  }
  if (record.kind !== 'statement') return
  const { text, parameters } = record
  if (text !== null) yield readable(text.bytes, text.sha256 !== null).text
  if (parameters === null) return
  for (const value of playedParameters(parameters).values) if (typeof value === 'string') yield value
}

/** Lower case may be longer or shorter than the text: what is cut out is near enough. */
function excerptOf(text: string, found: number): string {
  const from = Math.max(0, found - BEFORE)
  const part = text.slice(from, from + LONGEST_EXCERPT)
  return `${from > 0 ? '...' : ''}${part}${from + LONGEST_EXCERPT < text.length ? '...' : ''}`
}
