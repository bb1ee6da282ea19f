import { LongBytes, type StatementRecorder } from '../../../statement-recorder.ts'
import type { Answer } from '../wire/answer-reader.ts'
import type { CommandPiece } from '../wire/command-reader.ts'
import { COMMAND } from '../wire/commands.ts'
import { parametersOf, type ParameterTypes } from '../wire/execute-parameters.ts'

/** The server's own default of max_prepared_stmt_count; above it statements are recorded without their text. */
const MOST_PREPARED = 16_382

interface Prepared {
  readonly number: number
  readonly parameters: number
  /** As the client has given them last: it need not repeat them */
  types: ParameterTypes | null
}

/** What is recorded of a session's commands, and of the answers, which come in their order. */
export class StatementLog {
  readonly #recorder: StatementRecorder
  readonly #recordsParameters: boolean
  readonly #prepared = new Map<number, Prepared>()
  /** For each answer to come; null: of a command that is not recorded */
  readonly #waiting: { readonly number: number | null; readonly isPrepare: boolean }[] = []
  #long: LongBytes | null = null

  constructor(recorder: StatementRecorder, recordsParameters: boolean) {
    this.#recorder = recorder
    this.#recordsParameters = recordsParameters
  }

  /** A piece of a command that does not come whole; the last one is given to `command` too. */
  piece({ payload, isFirst }: CommandPiece): void {
    if (isFirst) this.#long = new LongBytes()
    this.#long?.take(isFirst ? payload.subarray(1) : payload)
  }

  /** The last piece of a command that will be passed on. `isAnswered`: an answer to it follows. True: `commit` first. */
  command(piece: CommandPiece, isAnswered: boolean): boolean {
    const number = this.#record(piece)
    this.#long = null
    if (isAnswered) this.#waiting.push({ number, isPrepare: piece.command === COMMAND.STMT_PREPARE })
    return number !== null
  }

  /** One that is not passed on. */
  refused(text: string, why: string): void {
    this.#long = null
    this.#recorder.result(this.#recorder.command(text), { outcome: 'denied', rows: null, text: why })
  }

  answer({ outcome, error, rows, affectedRows, prepared }: Answer): void {
    const waiting = this.#waiting.shift()
    if (!waiting || waiting.number === null) return
    const { number, isPrepare } = waiting
    if (outcome === 'error') {
      this.#recorder.result(number, {
        outcome,
        rows: null,
        code: `${error?.code ?? ''} ${error?.state ?? ''}`.trim(),
        text: error?.text ?? '',
      })
    } else if (!isPrepare) {
      this.#recorder.result(number, { outcome, rows: rows > 0 ? rows : affectedRows })
    } else if (prepared && this.#prepared.size < MOST_PREPARED) {
      this.#prepared.set(prepared.statement, { number, parameters: prepared.parameters, types: null })
    }
  }

  /** The number of what was recorded; null: nothing worth it. */
  #record(piece: CommandPiece): number | null {
    const { payload } = piece
    const recorder = this.#recorder
    const body = this.#long?.finish() ?? payload.subarray(1)
    switch (piece.command) {
      case COMMAND.QUERY:
        return recorder.query(body)
      case COMMAND.STMT_PREPARE:
        return recorder.prepare('', body)
      case COMMAND.STMT_EXECUTE:
        return this.#execute(this.#long === null ? payload : null, body instanceof Uint8Array ? body : body.bytes)
      case COMMAND.INIT_DB:
        return recorder.command(`change database to ${text(payload)}`)
      case COMMAND.FIELD_LIST:
        return recorder.command(`list the fields of ${text(payload).split('\0')[0] ?? ''}`)
      case COMMAND.PROCESS_KILL:
        return recorder.command('kill a thread')
      case COMMAND.RESET_CONNECTION:
        this.#prepared.clear()
        return recorder.command('reset the connection')
      case COMMAND.STMT_CLOSE:
        if (payload.length >= 5) this.#prepared.delete(payload.readUInt32LE(1))
        return null
      default:
        return null
    }
  }

  /** `payload`: null where it was too long to be whole; then its parameters are left out. */
  #execute(payload: Buffer | null, body: Uint8Array): number {
    const id = body.length >= 4 ? Buffer.from(body.buffer, body.byteOffset, 4).readUInt32LE(0) : 0
    const prepared = this.#prepared.get(id)
    const name = `statement ${String(id)}`
    if (!prepared || payload === null || !this.#recordsParameters)
      return this.#recorder.execute(prepared?.number ?? null, name, null)
    const read = parametersOf(payload, prepared.parameters, prepared.types)
    prepared.types = read?.types ?? prepared.types
    return this.#recorder.execute(prepared.number, name, read?.encoded ?? null)
  }
}

const text = (payload: Buffer): string => payload.subarray(1, 257).toString('utf8')
