import type { PlayedRecord } from '../../../contract/recording.ts'
import { describeRecord } from './describe-record.ts'
import { beginningOf, describeResult, describeStatement } from './describe-statement.ts'
import { HarmlessDisplay } from './harmless-display.ts'
import type { PlayOptions, PlayOutput } from './play-options.ts'

/** One write of a replay. */
export interface Scene {
  /** Recorded milliseconds to wait before it, idle time already cut */
  readonly wait: number
  readonly bytes: Uint8Array
}

const LF = 0x0a
const MOST_PREPARED = 1000

/**
 * A recording as timed writes of plain display. Pure: who waits and writes is the caller. On a terminal (`size`) a line of
 * ours is dim, a gap red; otherwise plain.
 */
export async function* replay(
  records: AsyncIterable<PlayedRecord>,
  options: PlayOptions,
  size: PlayOutput['size'],
): AsyncGenerator<Scene> {
  const stage = new Stage(size)
  let at = 0
  let wait = 0
  for await (const record of records) {
    const pause = Math.max(0, record.at - at)
    at = Math.max(at, record.at)
    wait += options.skipIdle ? Math.min(pause, options.maxIdleMs) : pause
    const bytes = stage.show(record)
    if (bytes.length === 0) continue
    // Nothing to see in between: one pause, however many records it spans.
    yield { wait: options.skipIdle ? Math.min(wait, options.maxIdleMs) : wait, bytes }
    wait = 0
  }
  const rest = stage.leave()
  if (rest.length > 0) yield { wait: 0, bytes: rest }
}

class Stage {
  readonly #size: PlayOutput['size']
  readonly #displays = new Map<string, HarmlessDisplay>()
  #shown: string | null = null
  /** Number of the statement whose lines were shown last */
  #statement = 0
  /** How the newest prepared statements begin, by number */
  readonly #prepared = new Map<number, string>()
  #isAtLineStart = true

  constructor(size: PlayOutput['size']) {
    this.#size = size
  }

  show(record: PlayedRecord): Buffer {
    if (record.kind === 'output') return this.#output(record)
    if (record.kind === 'statement') return this.#asked(record)
    if (record.kind === 'result') return this.#answered(record)
    if (record.kind === 'pty' || record.kind === 'resize') return this.#sized(record.columns, record.rows)
    const line = describeRecord(record)
    if (line === null) return Buffer.alloc(0)
    return this.#line(line, record.kind === 'gap' || record.kind === 'unparsed')
  }

  leave(): Buffer {
    const restore = this.#size === null ? '' : [...this.#displays.values()].map((display) => display.restore()).join('')
    return Buffer.from(restore)
  }

  #output(record: Extract<PlayedRecord, { kind: 'output' }>): Buffer {
    const name = `${record.channel} ${record.stream}`
    const display = this.#displays.get(name) ?? new HarmlessDisplay()
    this.#displays.set(name, display)
    const bytes = display.pass(Buffer.from(record.bytes, 'base64'))
    if (bytes.length === 0) return bytes
    const isOther = this.#shown !== null && this.#shown.split(' ')[0] !== String(record.channel)
    const heading = isOther ? this.#line(`channel ${record.channel}`, false) : Buffer.alloc(0)
    this.#shown = name
    this.#isAtLineStart = bytes[bytes.length - 1] === LF
    return Buffer.concat([heading, bytes])
  }

  #sized(columns: number, rows: number): Buffer {
    const size = this.#size
    if (size === null || (size.columns >= columns && size.rows >= rows)) return Buffer.alloc(0)
    const advice = `recorded on ${columns}x${rows}, and this terminal is ${size.columns}x${size.rows}: enlarge it`
    return this.#line(advice, false)
  }

  #asked(record: Extract<PlayedRecord, { kind: 'statement' }>): Buffer {
    this.#statement = record.number
    if (record.command === 'prepare') this.#remember(record)
    const runs = record.prepared === null ? undefined : this.#prepared.get(record.prepared)
    const [first = '', ...others] = describeStatement(record, runs)
    const lines = [`${elapsed(record.at)}  ${first}`, ...others.map((line) => `${' '.repeat(ELAPSED_WIDTH)}  ${line}`)]
    return this.#lines(lines, '')
  }

  #remember({ number, text }: Extract<PlayedRecord, { kind: 'statement' }>): void {
    this.#prepared.set(number, beginningOf(text?.text ?? ''))
    const [oldest] = this.#prepared.keys()
    if (this.#prepared.size > MOST_PREPARED && oldest !== undefined) this.#prepared.delete(oldest)
  }

  #answered(record: Extract<PlayedRecord, { kind: 'result' }>): Buffer {
    const isNext = record.number === this.#statement
    const line = `${elapsed(record.at)}  ${isNext ? '    ' : ''}${describeResult(record, isNext)}`
    return this.#lines([line], record.outcome === 'ok' || record.outcome === 'suspended' ? '2' : '1;31')
  }

  #lines(lines: readonly string[], paint: string): Buffer {
    const isPainted = this.#size !== null && paint !== ''
    const end = this.#size === null ? '\n' : '\r\n'
    const text = lines.map((line) => (isPainted ? `\x1b[0;${paint}m${line}\x1b[0m` : line)).join(end)
    return Buffer.from(`${text}${end}`)
  }

  #line(text: string, isAlarm: boolean): Buffer {
    const fresh = this.#isAtLineStart ? '' : '\r\n'
    this.#isAtLineStart = true
    const isTerminal = this.#size !== null
    const paint = isTerminal ? `\x1b[0;${isAlarm ? '1;31' : '2'}m` : ''
    return Buffer.from(`${fresh}${paint}-- ${text} --${isTerminal ? '\x1b[0m' : ''}${isTerminal ? '\r\n' : '\n'}`)
  }
}

const ELAPSED_WIDTH = '0:00:00.000'.length

/** Since the session's start: `0:01:02.345` */
function elapsed(ms: number): string {
  const whole = Math.floor(ms)
  const two = (value: number): string => String(value).padStart(2, '0')
  const [hours, minutes, seconds] = [whole / 3_600_000, (whole / 60_000) % 60, (whole / 1000) % 60].map(Math.floor)
  return `${hours ?? 0}:${two(minutes ?? 0)}:${two(seconds ?? 0)}.${String(whole % 1000).padStart(3, '0')}`
}
