import type { PlayedRecord } from '../contract/recording.ts'
import { decodeParameters, type RecordedParameter } from '../formats/statement-parameters.ts'
import type { KeptBytes, StatementEntry } from '../formats/statement-record.ts'

type PlayedStatement = Extract<PlayedRecord, { kind: 'statement' }>

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
/** Bytes of a character that a cut may have left without its end. */
const LONGEST_CHARACTER = 4

export function playedStatement(record: StatementEntry & { readonly at: number }): PlayedStatement {
  const { text, parameters } = record
  return {
    ...record,
    text: text && playedText(text),
    parameters: parameters && playedParameters(parameters),
  }
}

function playedText({ bytes, length, sha256 }: KeptBytes): NonNullable<PlayedStatement['text']> {
  return { ...readable(bytes, sha256 !== null), length, sha256 }
}

export function playedParameters({ bytes, length, sha256 }: KeptBytes): NonNullable<PlayedStatement['parameters']> {
  const { values, count } = decodeParameters(bytes)
  return { values: values.map(playedParameter), count, length, sha256 }
}

function playedParameter({ format, bytes }: RecordedParameter): string | { hex: string } | null {
  if (bytes === null) return null
  const text = format === 'text' ? decoded(bytes) : null
  return text ?? { hex: Buffer.from(bytes).toString('hex') }
}

/** Bytes that are not UTF-8 are shown with `\xHH` for each byte outside ASCII. */
export function readable(bytes: Uint8Array, isCut: boolean): { readonly text: string; readonly escaped: boolean } {
  for (let less = 0; less < (isCut ? LONGEST_CHARACTER : 1); less++) {
    const text = decoded(bytes.subarray(0, bytes.length - less))
    if (text !== null) return { text, escaped: false }
  }
  const shown = Array.from(bytes, (byte) =>
    byte < 0x80 ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`,
  )
  return { text: shown.join(''), escaped: true }
}

function decoded(bytes: Uint8Array): string | null {
  try {
    return utf8.decode(bytes)
  } catch {
    return null
  }
}
