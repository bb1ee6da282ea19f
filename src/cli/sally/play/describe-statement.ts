import type { PlayedRecord } from '../../../contract/recording.ts'
import { harmless, harmlessLines } from '../../shared/harmless.ts'

type Played<K extends PlayedRecord['kind']> = Extract<PlayedRecord, { kind: K }>

const MOST_VALUES = 100
const LONGEST_VALUE = 200
const LONGEST_BEGINNING = 60

export function describeDatabase(record: Played<'database'>): string {
  const parameters = record.recordsParameters ? '' : ', parameters not recorded'
  return harmless(`${record.protocol}: user ${record.user}, database ${record.name} of ${record.database}${parameters}`)
}

/**
 * The lines of a statement, without line ends: the first says which it is, its parameters come last. `runs`: how the text
 * begins that a run of a prepared statement runs, where it is known.
 */
export function describeStatement(record: Played<'statement'>, runs: string | undefined): string[] {
  const { text, parameters } = record
  const head = `#${record.number} ${whatItIs(record)}${runs === undefined ? '' : `(${runs})`}`
  const lines = text === null ? [] : harmlessLines(text.text)
  const [first = '', ...others] = lines
  const cut = text === null ? [] : cutNote(text)
  const values = parameters === null ? [] : [describeParameters(parameters), ...cutNote(parameters)]
  return [`${head}${first}`.trimEnd(), ...[...others, ...cut, ...values].map((line) => `    ${line}`)]
}

function whatItIs({ command, name, prepared }: Played<'statement'>): string {
  const named = name === '' ? '' : ` ${harmless(name)}`
  if (command === 'prepare') return `prepare${named}: `
  if (command === 'execute')
    return prepared === null ? `run${named}, prepared earlier ` : `run${named} of #${prepared} `
  return command === 'command' ? 'command: ' : ''
}

function cutNote({ length, sha256 }: { readonly length: number; readonly sha256: string | null }): string[] {
  return sha256 === null ? [] : [`(cut: ${length} bytes in all, SHA-256 ${sha256})`]
}

function describeParameters({ values, count }: NonNullable<Played<'statement'>['parameters']>): string {
  const shown = values.slice(0, MOST_VALUES).map((value, index) => `$${index + 1} = ${describeValue(value)}`)
  const more = count - shown.length
  return more > 0 ? `${shown.join(', ')} and ${more} more` : shown.join(', ')
}

function describeValue(value: string | { readonly hex: string } | null): string {
  if (value === null) return 'NULL'
  const text =
    typeof value === 'string'
      ? `'${harmless(value.slice(0, LONGEST_VALUE))}'`
      : `0x${value.hex.slice(0, LONGEST_VALUE)}`
  const length = typeof value === 'string' ? value.length : value.hex.length
  return length > LONGEST_VALUE ? `${text}...` : text
}

/** `-> INSERT 0 1, 1 row, 2.3 ms`; which statement's it is stands there only where another one came between. */
export function describeResult(record: Played<'result'>, isNext: boolean): string {
  const { code, text, rows, took } = record
  const said = harmless([code, text].filter((part) => part !== '').join(': '))
  const parts = [
    ...(said === '' ? [] : [said]),
    ...(rows === null ? [] : [`${rows} ${rows === 1 ? 'row' : 'rows'}`]),
    ...(took === null ? [] : [describeTime(took)]),
  ]
  const word = OUTCOMES[record.outcome]
  return `${isNext ? '' : `#${record.number} `}-> ${word}${word !== '' && parts.length > 0 ? ': ' : ''}${parts.join(', ')}`
}

function describeTime(ms: number): string {
  if (ms >= 10_000) return `${(ms / 1000).toFixed(1)} s`
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`
}

/** How a text begins, on one line. */
export function beginningOf(text: string): string {
  const line = harmless(text.slice(0, LONGEST_BEGINNING).replaceAll(/\s+/g, ' '))
  return text.length > LONGEST_BEGINNING ? `${line}...` : line
}

const OUTCOMES = {
  ok: '',
  error: 'FAILED',
  denied: 'DENIED by sallyport, not passed on',
  skipped: 'not run: one before it failed',
  suspended: 'suspended',
} as const satisfies Record<Played<'result'>['outcome'], string>
