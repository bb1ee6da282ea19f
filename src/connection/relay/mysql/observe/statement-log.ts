import { LONGEST_KEPT, type KeptBytes } from '../../../../formats/statement-record.ts'
import { LongBytes, type StatementBytes, type StatementRecorder } from '../../../statement-recorder.ts'
import type { Answer } from '../wire/answer-reader.ts'
import type { CommandPiece } from '../wire/command-reader.ts'
import { COMMAND } from '../wire/commands.ts'
import { parametersOf, type ParameterTypes } from '../wire/execute-parameters.ts'
import { SentApart } from './sent-apart.ts'

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
  readonly #apart = new SentApart()
  #long: LongBytes | null = null

  constructor(recorder: StatementRecorder, recordsParameters: boolean) {
    this.#recorder = recorder
    this.#recordsParameters = recordsParameters
  }

  /** A piece of a command that does not come whole; the last one is given to `command` too. */
  piece(piece: CommandPiece): void {
    const { payload, isFirst } = piece
    if (piece.command === COMMAND.STMT_SEND_LONG_DATA) return this.#sentApart(piece)
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

  /** The last piece of a statement that is not passed on. */
  denied(piece: CommandPiece, why: string): void {
    const number = this.#record(piece)
    this.#long = null
    if (number !== null) this.#recorder.result(number, { outcome: 'denied', rows: null, text: why })
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
        return this.#execute(body)
      case COMMAND.STMT_SEND_LONG_DATA:
        // One in pieces has been taken piece by piece.
        if (piece.isFirst) this.#sentApart(piece)
        return null
      case COMMAND.STMT_FETCH:
        return recorder.command(`fetch rows of statement ${String(idOf(payload.subarray(1)))}`)
      case COMMAND.STMT_RESET:
        this.#apart.forget(idOf(payload.subarray(1)))
        return null
      case COMMAND.INIT_DB:
        return recorder.command(`change database to ${text(payload)}`)
      case COMMAND.FIELD_LIST:
        return recorder.command(`list the fields of ${text(payload).split('\0')[0] ?? ''}`)
      case COMMAND.PROCESS_KILL:
        return recorder.command('kill a thread')
      case COMMAND.RESET_CONNECTION:
        this.#prepared.clear()
        this.#apart.forgetAll()
        return recorder.command('reset the connection')
      case COMMAND.STMT_CLOSE:
        this.#prepared.delete(idOf(payload.subarray(1)))
        this.#apart.forget(idOf(payload.subarray(1)))
        return null
      default:
        return null
    }
  }

  /** `body`: without the command byte */
  #execute(body: Buffer | KeptBytes): number {
    const front = Buffer.isBuffer(body) ? body : Buffer.from(body.bytes)
    const id = idOf(front)
    const apart = this.#apart.use(id)
    const prepared = this.#prepared.get(id)
    const name = `statement ${String(id)}`
    if (!prepared || !this.#recordsParameters) return this.#recorder.execute(prepared?.number ?? null, name, null)
    for (const [parameter, value] of apart) this.#tellLength(name, parameter, value)
    const read = parametersOf({
      payload: Buffer.concat([COMMAND_BYTE, front]),
      isWhole: Buffer.isBuffer(body),
      count: prepared.parameters,
      types: prepared.types,
      apart: new Map([...apart].map(([parameter, { bytes }]) => [parameter, bytes])),
    })
    prepared.types = read?.types ?? prepared.types
    return this.#recorder.execute(prepared.number, name, read && cutAs(body, read.encoded))
  }

  /** Of a value of which the record of the run holds the front alone. */
  #tellLength(statement: string, parameter: number, { length, sha256 }: KeptBytes): void {
    if (sha256 === null) return
    const text = `value ${String(parameter + 1)} of ${statement} was sent apart: ${String(length)} bytes, SHA-256 ${sha256}`
    this.#recorder.result(this.#recorder.command(text), { outcome: 'ok', rows: null })
  }

  #sentApart({ payload, isFirst }: CommandPiece): void {
    if (this.#recordsParameters) this.#apart.take(isFirst ? payload.subarray(1) : payload, isFirst)
  }
}

const COMMAND_BYTE = Buffer.from([COMMAND.STMT_EXECUTE])

/** Length and hash of what was sent belong to the values of which only the front is there. */
function cutAs(body: Buffer | KeptBytes, encoded: Buffer): StatementBytes {
  if (Buffer.isBuffer(body) || body.sha256 === null) return encoded
  return { bytes: encoded.subarray(0, LONGEST_KEPT), length: body.length, sha256: body.sha256 }
}

const idOf = (body: Buffer): number => (body.length >= 4 ? body.readUInt32LE(0) : 0)

const text = (payload: Buffer): string => payload.subarray(1, 257).toString('utf8')
