import { type KeptBytes, type StatementCommand, type StatementOutcome } from '../formats/statement-record.ts'
import type { Clock } from '../foundation/clock.ts'
import { type RecordingEnd, type RecordingHead, RecordingWriter } from '../recording/recording-writer.ts'
import type { DatabaseFacts } from './authorization.ts'
import { keptBytes, keptParameters } from './kept-bytes.ts'

export { LongBytes, LongParameters } from './kept-bytes.ts'

/** What the recorder needs of what authorize() decided. */
export type RecordedSession = Pick<
  DatabaseFacts,
  'sessionId' | 'user' | 'protocol' | 'database' | 'dbUser' | 'dbName' | 'recording' | 'options'
>

/** What became of a statement. Texts are cut to 512 characters. */
export interface StatementResult {
  readonly outcome: StatementOutcome
  readonly rows: number | null
  /** SQLSTATE or error number; absent: none */
  readonly code?: string
  /** Command tag, or the error */
  readonly text?: string
}

/** Whole, or LongBytes.finish() of what came in pieces. */
export type StatementBytes = Uint8Array | KeptBytes

const LONGEST_NAME = 128
const LONGEST_RESULT = 512
/** Times of statements whose results are still to come are kept for the newest so many; older ones have no duration. */
const MOST_TIMED = 4096
const FIRST_TIMED = 16

/**
 * Writes what a database session asks and what came of it into the session's recording; one for each connection, of any
 * protocol. For each statement: `query`, `prepare`, `execute` or `command`, which answer its number; then, before the bytes
 * that make the server run it are forwarded, once for all statements of one read from the client: `commit`. Its answer is
 * that of RecordingWriter.write: undefined = forward now; a promise = forward when it has resolved (strict_sync). Later,
 * for each in any order: `result`, which nothing waits for.
 *
 * A text over 64 KiB may be forwarded in pieces before it is recorded as long as its last byte is held back: LongBytes.
 * Holds no texts: what was given is encoded at once and may be overwritten.
 * Every method but `close` throws RecordingFailed in the strict modes when something could not be stored: nothing more may
 * be forwarded then; `onFailure` has been called.
 */
export class StatementRecorder {
  readonly #writer: RecordingWriter
  readonly #clock: Clock
  readonly #recordsParameters: boolean
  #last = 0
  #isReplication = false
  /** Ring by number: when each began, NaN = not waiting for a result */
  #began: Float64Array = new Float64Array(FIRST_TIMED).fill(Number.NaN)

  private constructor(writer: RecordingWriter, clock: Clock, recordsParameters: boolean) {
    this.#writer = writer
    this.#clock = clock
    this.#recordsParameters = recordsParameters
  }

  /** Errors: Refused('recording_unavailable'). `onFailure`: strict modes, once; the session must end. */
  static open(facts: RecordedSession, clock: Clock, onFailure: (error: Error) => void): StatementRecorder {
    const { sessionId, user, protocol, database, dbUser, dbName, recording } = facts
    const recordsParameters = facts.options.recordParameters
    const meta = { session: sessionId, user: user.name, node: database.name, login: dbUser }
    const writer = RecordingWriter.create(recording, meta, { clock, onFailure })
    const where = { protocol, database: database.name, user: dbUser, name: dbName ?? '' }
    writer.write({ kind: 'database', ...where, recordsParameters })?.catch(() => {})
    return new StatementRecorder(writer, clock, recordsParameters)
  }

  /** What it holds, for the session's row. */
  get contents(): readonly string[] {
    return [...(this.#last > 0 ? ['statements'] : []), ...(this.#isReplication ? ['replication'] : [])]
  }

  /** The session speaks PostgreSQL's replication protocol, of which statements are a part. */
  replicates(): void {
    this.#isReplication = true
  }

  /** Statements so far, prepared ones included; also the number of the newest. */
  get statements(): number {
    return this.#last
  }

  head(): RecordingHead {
    return this.#writer.head()
  }

  /** Counts one read from the client, kept or not. */
  seen(bytes: number): void {
    this.#writer.seen(bytes)
  }

  query(text: StatementBytes): number {
    return this.#begin('query', null, '', text, null)
  }

  prepare(name: string, text: StatementBytes): number {
    return this.#begin('prepare', null, name, text, null)
  }

  /**
   * One run of a prepared statement. `prepared`: what `prepare` answered for it; null: not known, then `name` says which.
   * `parameters`: laid out as formats/statement-parameters.ts says, null: none.
   */
  execute(prepared: number | null, name: string, parameters: StatementBytes | null): number {
    return this.#begin('execute', prepared, name, null, this.#recordsParameters ? parameters : null)
  }

  /** A command of the protocol that is no SQL: `change database to orders`. */
  command(text: string): number {
    return this.#begin('command', null, '', Buffer.from(text), null)
  }

  /** Of a prepared statement only where it failed. A suspended one may have another. */
  result(number: number, { outcome, rows, code = '', text = '' }: StatementResult): void {
    const slot = number & (this.#began.length - 1)
    const isTimed = number > this.#last - this.#began.length && number <= this.#last
    const began = isTimed ? (this.#began[slot] ?? Number.NaN) : Number.NaN
    const took = Number.isNaN(began) ? null : this.#clock.monotonic() - began
    if (isTimed && outcome !== 'suspended') this.#began[slot] = Number.NaN
    this.#writer.gather({
      kind: 'result',
      number,
      outcome,
      rows,
      took,
      code: short(code, LONGEST_NAME),
      text: short(text, LONGEST_RESULT),
    })
  }

  /** What the proxy itself told the client. */
  notice(text: string): void {
    this.#writer.gather({ kind: 'notice', channel: 0, text: short(text, LONGEST_RESULT * 8) })
  }

  commit(): Promise<void> | undefined {
    return this.#writer.commit()
  }

  /** Never rejects: what went wrong is in the answer. */
  close(reason: string): Promise<RecordingEnd> {
    return this.#writer.close(reason)
  }

  #begin(
    command: StatementCommand,
    prepared: number | null,
    name: string,
    text: StatementBytes | null,
    parameters: StatementBytes | null,
  ): number {
    const number = this.#last + 1
    this.#writer.gather({
      kind: 'statement',
      number,
      command,
      prepared,
      name: short(name, LONGEST_NAME),
      text: text && kept(text),
      parameters: parameters instanceof Uint8Array ? keptParameters(parameters) : parameters,
    })
    this.#last = number
    if (command !== 'prepare') this.#time(number)
    return number
  }

  #time(number: number): void {
    let ring = this.#began
    if (!Number.isNaN(ring[number & (ring.length - 1)]) && ring.length < MOST_TIMED) ring = this.#widen(number)
    ring[number & (ring.length - 1)] = this.#clock.monotonic()
  }

  #widen(next: number): Float64Array {
    const old = this.#began
    const wide = new Float64Array(old.length * 4).fill(Number.NaN)
    for (let number = Math.max(1, next - old.length); number < next; number++)
      wide[number & (wide.length - 1)] = old[number & (old.length - 1)] ?? Number.NaN
    return (this.#began = wide)
  }
}

function kept(bytes: StatementBytes): KeptBytes {
  return bytes instanceof Uint8Array ? keptBytes(bytes) : bytes
}

function short(text: string, limit: number): string {
  return text.length > limit ? `${text.slice(0, limit)}...` : text
}
