import type { PlayedRecord } from '../../../contract/recording.ts'
import { describeRecord } from './describe-record.ts'
import { HarmlessDisplay } from './harmless-display.ts'

/** A session that only copies files never has a size. */
const MOST_WAITING = 64

type OutputRecord = Extract<PlayedRecord, { kind: 'output' }>

/**
 * A recording as asciicast v2 (docs.asciinema.org/manual/asciicast/v2), line by line without line ends: what the first
 * terminal showed as output, sizes as resizes, everything else as markers. Only plain display goes in, because players put it
 * on a terminal. JSON is text: bytes that are not UTF-8 become U+FFFD here, and stay what they are in `--format=json`.
 */
export async function* toAsciicast(records: AsyncIterable<PlayedRecord>): AsyncGenerator<string> {
  const waiting: PlayedRecord[] = []
  let cast: Cast | null = null
  for await (const record of records) {
    if (cast !== null) {
      yield* cast.lines(record)
      continue
    }
    waiting.push(record)
    // The header names the size, which is known when the terminal is, before any output.
    if (record.kind !== 'pty' && record.kind !== 'output' && waiting.length < MOST_WAITING) continue
    cast = new Cast(waiting)
    yield cast.header
    for (const early of waiting.splice(0)) yield* cast.lines(early)
  }
  if (cast !== null) return
  cast = new Cast(waiting)
  yield cast.header
  for (const early of waiting) yield* cast.lines(early)
}

class Cast {
  readonly header: string
  readonly #displays = new Map<
    string,
    { readonly display: HarmlessDisplay; readonly decoder: InstanceType<typeof TextDecoder> }
  >()
  #terminal: number | null = null

  constructor(first: readonly PlayedRecord[]) {
    const start = first.find((record) => record.kind === 'start')
    const pty = first.find((record) => record.kind === 'pty')
    this.header = JSON.stringify({
      version: 2,
      width: pty?.columns || 80,
      height: pty?.rows || 24,
      ...(start === undefined
        ? {}
        : {
            timestamp: Math.floor(start.time / 1000),
            title: `${start.user} on ${start.login}@${start.node} (${start.session})`,
          }),
      ...(pty === undefined ? {} : { env: { TERM: pty.term } }),
    })
  }

  *lines(record: PlayedRecord): Generator<string> {
    const event = (code: string, data: string): string => JSON.stringify([record.at / 1000, code, data])
    if (record.kind === 'output') {
      const text = this.#text(record)
      if (text !== '') yield event('o', text)
    } else if (record.kind === 'pty') this.#terminal ??= record.channel
    else if (record.kind === 'resize') {
      if (record.channel === this.#terminal) yield event('r', `${record.columns}x${record.rows}`)
    } else {
      const line = describeRecord(record)
      if (line !== null && record.kind !== 'start') yield event('m', line)
    }
  }

  #text(record: OutputRecord): string {
    // With a terminal, streams of other channels would draw over it.
    if (this.#terminal !== null && record.channel !== this.#terminal) return ''
    const name = `${record.channel} ${record.stream}`
    const one = this.#displays.get(name) ?? { display: new HarmlessDisplay(), decoder: new TextDecoder() }
    this.#displays.set(name, one)
    const text = one.decoder.decode(one.display.pass(Buffer.from(record.bytes, 'base64')), { stream: true })
    return this.#terminal === null ? text.replaceAll('\n', '\r\n') : text
  }
}
