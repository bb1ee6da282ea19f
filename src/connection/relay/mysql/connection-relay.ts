import type { Socket } from 'node:net'
import type { Clock, Timer } from '../../../foundation/clock.ts'
import type { StatementRecorder } from '../../statement-recorder.ts'
import { turns, writeAll, type HeldBack } from '../../turns.ts'
import { StatementLog } from './observe/statement-log.ts'
import { StatementGate } from './statement-gate.ts'
import { AnswerReader, MOST_OUTSTANDING } from './wire/answer-reader.ts'
import { CAPABILITY, has } from './wire/capabilities.ts'
import { CommandReader, type CommandPiece } from './wire/command-reader.ts'
import { answerOf, COMMAND } from './wire/commands.ts'
import { framed } from './wire/packets.ts'
import { ERROR, ProtocolError, type ErrorCode } from './wire/protocol-error.ts'
import { writeError } from './wire/replies.ts'
import { isOurThreadId, readKill, type Kill } from './wire/thread-ids.ts'

export type Side = 'client' | 'target'

/** How long the end waits for the end of a packet that has passed in part. */
const BOUNDARY_GRACE_MS = 200

export interface RelayHost {
  /** The server's id of the thread that we have named so, if it is the same person's; null: there is none. */
  resolveThread(threadId: number): number | null
  /** The same of a session that another worker or daemon has. */
  resolveElsewhere(threadId: number): Promise<number | null>
  /** Somebody is at work: restarts the idle time. */
  active(): void
  /** A command has taken longer than it may. */
  tooLong(): void
  /** Ends the session. `side`: whose fault it is, null: ours. */
  fail(error: Error, side: Side | null): void
}

export interface ConnectionRelayOptions {
  readonly client: Socket
  readonly target: Socket
  /** Agreed with the server */
  readonly capabilities: number
  readonly recorder: StatementRecorder
  readonly recordsParameters: boolean
  /** null: no limit */
  readonly statementTimeoutMs: number | null
  /** Why a text is not passed on, null: it is; or null: every text is */
  readonly refusal: ((text: Buffer) => string | null) | null
  readonly clock: Clock
  readonly host: RelayHost
}

/**
 * Commands one way, answers the other. Nothing is decoded but what is recorded; bytes pass as they came, in the chunks in
 * which they came, no faster than the slower side takes them.
 */
export class ConnectionRelay implements HeldBack {
  readonly #client: Socket
  readonly #target: Socket
  readonly #recorder: StatementRecorder
  readonly #host: RelayHost
  readonly #clock: Clock
  readonly #log: StatementLog
  readonly #commands = new CommandReader()
  readonly #answers: AnswerReader
  readonly #gate: StatementGate | null
  /** Being dropped until its last piece: what the client is told then */
  #refusal: string | null = null
  #isRelaying = false
  #hasQuit = false
  /** What a read from the client gave waits to be stored: nothing may overtake it */
  #isHolding = false
  /** Read in this turn, looked at, and not passed on */
  #toTarget: Buffer[] = []
  #toClient: Buffer[] = []
  /** Something of what goes to the server must be stored first */
  #isRecorded = false
  /** Stored, and passed on when the others of this turn are, too */
  #stored: readonly Buffer[] = []
  #isHeld = false
  /** A KILL waits for who knows the thread: no command behind it is looked at */
  #isAsking = false
  readonly #statementTimeoutMs: number | null
  #timeout: Timer | null = null
  /** Set while the end waits for the end of a packet */
  #onBoundary: (() => void) | null = null

  constructor(options: ConnectionRelayOptions) {
    this.#client = options.client
    this.#target = options.target
    this.#recorder = options.recorder
    this.#host = options.host
    this.#clock = options.clock
    this.#statementTimeoutMs = options.statementTimeoutMs
    this.#gate = options.refusal === null ? null : new StatementGate(options.refusal)
    this.#log = new StatementLog(options.recorder, options.recordsParameters)
    this.#answers = new AnswerReader({
      deprecatesEof: has(options.capabilities, CAPABILITY.DEPRECATE_EOF),
      onAnswer: (answer) => {
        this.#log.answer(answer)
        this.#timeNext()
      },
    })
  }

  /** The client has said that it goes: whichever side closes first then. */
  get hasQuit(): boolean {
    return this.#hasQuit
  }

  /** A command is under way at the server. */
  get isBusy(): boolean {
    return this.#answers.outstanding > 0
  }

  /** With what both have sent before: the server behind its OK, the client ahead of it. */
  start(fromTarget: Buffer, fromClient: Buffer): void {
    this.#isRelaying = true
    const [client, target] = [this.#client, this.#target]
    client.on('data', (chunk: Buffer) => this.#guard('client', () => this.#fromClient(chunk)))
    target.on('data', (chunk: Buffer) => this.#guard('target', () => this.#fromTarget(chunk)))
    client.on('drain', () => target.resume())
    target.on('drain', () => this.#resumeClient())
    if (fromTarget.length > 0) this.#guard('target', () => this.#fromTarget(fromTarget))
    if (fromClient.length > 0) this.#guard('client', () => this.#fromClient(fromClient))
    this.#resumeClient()
    if (!client.writableNeedDrain) target.resume()
  }

  /**
   * Nothing is passed on any more, but for the rest of a packet that the client has in part; then it is told why, where a
   * packet of ours fits. Resolves when that is done or has been waited for long enough.
   */
  async windUp(shown: ErrorCode, text: string): Promise<void> {
    if (!this.#isRelaying) return
    this.#isRelaying = false
    this.#passBack()
    this.#timeout?.cancel()
    this.#client.pause()
    if (!this.#answers.isAtBoundary) await this.#boundary()
    if (!this.#answers.isAtBoundary || !this.#client.writable) return
    this.#client.write(framed(this.#nextSequence(), writeError(shown, text)))
    try {
      this.#recorder.notice(text)
    } catch {
      // What can no longer be recorded is told all the same: it may be why the session ends.
    }
  }

  #boundary(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const late = this.#clock.after(BOUNDARY_GRACE_MS, resolve)
    this.#onBoundary = () => {
      late.cancel()
      this.#onBoundary = null
      resolve()
    }
    return promise
  }

  /** An answer goes on with the next number; an idle client takes 1, which is what it will expect after its next command. */
  #nextSequence(): number {
    return this.isBusy ? this.#answers.sequence + 1 : 1
  }

  #guard(side: Side, work: () => void): void {
    try {
      work()
    } catch (error) {
      const failure = error instanceof Error ? error : new Error(String(error))
      // What came before it has been found good.
      this.settle()
      this.#host.fail(failure, failure instanceof ProtocolError ? side : null)
    }
  }

  #fromClient(chunk: Buffer): void {
    if (!this.#isRelaying) return
    this.#host.active()
    this.#recorder.seen(chunk.length)
    this.#commands.push(chunk)
    this.#takeAll([], false)
  }

  #hold(): void {
    if (this.#isHeld) return
    this.#isHeld = true
    turns.hold(this)
  }

  /** What was read goes on at once: the end of the turn is too late. */
  settle(): void {
    this.store()
    this.forward()
  }

  /** Called at the end of a turn, for all connections before any of them is forwarded. */
  store(): void {
    const passed = this.#toTarget
    if (!this.#isRelaying || (passed.length === 0 && !this.#isRecorded)) return
    this.#toTarget = []
    try {
      const stored = this.#isRecorded ? this.#recorder.commit() : undefined
      this.#isRecorded = false
      if (stored) this.#passLater(stored, passed)
      else this.#stored = passed
    } catch (error) {
      this.#host.fail(error instanceof Error ? error : new Error(String(error)), null)
    }
  }

  forward(): void {
    this.#isHeld = false
    const stored = this.#stored
    this.#stored = []
    if (stored.length > 0 && this.#isRelaying) this.#pass(stored)
    this.#passBack()
  }

  /** `passed`: what goes on before the commands that are there. `isRecorded`: something of it must be stored first */
  #takeAll(passed: Buffer[], wasRecorded: boolean): void {
    let isRecorded = wasRecorded
    while (this.#isRelaying && !this.#isAsking) {
      const piece = this.#commands.next()
      if (!piece) break
      if (this.#take(piece, passed)) isRecorded = true
    }
    if (!this.#isRelaying) return
    if (isRecorded) this.#isRecorded = true
    if (passed.length > 0) this.#toTarget.push(...passed)
    this.#hold()
  }

  /** True: something was recorded that must be stored before these bytes go on. */
  #take(piece: CommandPiece, passed: Buffer[]): boolean {
    if (piece.isFirst) this.#refusal = refusalOf(piece.command)
    if (this.#refusal !== null) {
      if (piece.isLast) this.#refuse(piece, this.#refusal, ERROR.notPermitted)
      return false
    }
    const isWhole = piece.isFirst && piece.isLast
    if (!isWhole) this.#log.piece(piece)
    const gated = this.#gate && StatementGate.judges(piece.command) ? this.#gate.take(piece) : [piece.wire]
    if ('kind' in gated) {
      if (gated.kind === 'refused') this.#deny(piece, gated.why)
      return gated.kind === 'refused'
    }
    if (!piece.isLast) {
      passed.push(...gated)
      return false
    }
    const wires = isWhole ? this.#withServersThread(piece) : gated
    return wires !== null && this.#forward(piece, wires, passed)
  }

  /** The last piece of a command goes on. True: it was recorded. */
  #forward(piece: CommandPiece, wires: readonly Buffer[], passed: Buffer[]): boolean {
    const shape = answerOf(piece.command) ?? 'nothing'
    if (this.#answers.outstanding >= MOST_OUTSTANDING)
      throw new ProtocolError('too many commands wait for their answers')
    const isRecorded = this.#log.command(piece, shape !== 'nothing')
    if (piece.command === COMMAND.QUIT) this.#hasQuit = true
    const isFirst = !this.isBusy
    this.#answers.expect(shape, piece.sequence)
    if (isFirst) this.#timeNext()
    passed.push(...wires)
    return isRecorded
  }

  /** The next command that waits for its answer, if any, has all the time that there is for one. */
  #timeNext(): void {
    const limit = this.#statementTimeoutMs
    if (limit === null) return
    this.#timeout?.cancel()
    if (this.isBusy) this.#timeout = this.#clock.after(limit, () => this.#host.tooLong())
  }

  /** A KILL of one of our ids becomes one of the server's. Null: it has been answered, or waits for who knows the thread. */
  #withServersThread(piece: CommandPiece): readonly Buffer[] | null {
    const kill = killOf(piece)
    if (!kill) return [piece.wire]
    const thread = this.#host.resolveThread(kill.threadId)
    if (thread !== null) return [kill.rewrittenTo(thread)]
    // Nobody waits for two things at once: a client that does not wait for its answers is told no.
    if (this.isBusy || !isOurThreadId(kill.threadId)) this.#refuseKill(piece, kill)
    else this.#askElsewhere(piece, kill)
    return null
  }

  #refuseKill(piece: CommandPiece, { threadId }: Kill): void {
    this.#refuse(piece, `Unknown thread id: ${String(threadId)}`, ERROR.unknownThread)
  }

  #askElsewhere(piece: CommandPiece, kill: Kill): void {
    this.#isAsking = true
    this.#client.pause()
    this.#host.resolveElsewhere(kill.threadId).then(
      (thread) => {
        this.#isAsking = false
        if (this.#isRelaying) this.#guard('client', () => this.#goOn(piece, kill, thread))
      },
      (error: unknown) => this.#host.fail(error instanceof Error ? error : new Error('nobody could be asked'), null),
    )
  }

  #goOn(piece: CommandPiece, kill: Kill, thread: number | null): void {
    const passed: Buffer[] = []
    if (thread === null) this.#refuseKill(piece, kill)
    const isRecorded = thread !== null && this.#forward(piece, [kill.rewrittenTo(thread)], passed)
    this.#takeAll(passed, isRecorded)
    this.#resumeClient()
  }

  #resumeClient(): void {
    if (!this.#isHolding && !this.#isAsking && !this.#target.writableNeedDrain) this.#client.resume()
  }

  #refuse(piece: CommandPiece, text: string, shown: ErrorCode): void {
    this.#refusal = null
    this.#log.refused(`command 0x${piece.command.toString(16).padStart(2, '0')}`, text)
    this.#answer(piece, text, shown)
  }

  #deny(piece: CommandPiece, why: string): void {
    this.#log.denied(piece, why)
    this.#answer(piece, `sallyport: ${why}`, ERROR.notPermitted)
  }

  /** In the place of the server, which is not told of the command. */
  #answer({ sequence }: CommandPiece, text: string, shown: ErrorCode): void {
    // Between an answer's packets ours would be taken for one of them.
    if (this.isBusy) throw new ProtocolError(text, shown)
    this.#passBack()
    this.#client.write(framed(sequence + 1, writeError(shown, text)))
  }

  #passLater(stored: Promise<void>, passed: readonly Buffer[]): void {
    this.#client.pause()
    this.#isHolding = true
    stored.then(
      () => {
        this.#isHolding = false
        if (!this.#isRelaying) return
        this.#pass(passed)
        this.#resumeClient()
      },
      (error: unknown) => this.#host.fail(error instanceof Error ? error : new Error('not stored'), null),
    )
  }

  #pass(passed: readonly Buffer[]): void {
    const isRoom = writeAll(this.#target, passed)
    if (!isRoom || this.#isHolding || this.#isAsking) this.#client.pause()
  }

  #fromTarget(chunk: Buffer): void {
    if (!this.#isRelaying) {
      if (this.#onBoundary) this.#toBoundary(chunk)
      return
    }
    const taken = this.#answers.read(chunk)
    if (taken > 0) this.#toClient.push(taken === chunk.length ? chunk : chunk.subarray(0, taken))
    if (this.#answers.fault) throw this.#answers.fault
    this.#hold()
  }

  #passBack(): void {
    const bytes = this.#toClient
    if (bytes.length === 0) return
    this.#toClient = []
    if (!this.#client.destroyed && !writeAll(this.#client, bytes)) this.#target.pause()
  }

  #toBoundary(chunk: Buffer): void {
    const taken = this.#answers.readToBoundary(chunk)
    if (taken > 0 && !this.#client.write(chunk.subarray(0, taken))) this.#target.pause()
    if (this.#answers.isAtBoundary) this.#onBoundary?.()
  }
}

/** What a command stops of another session; null: nothing, or something that the server knows better. */
function killOf(piece: CommandPiece): Kill | null {
  if (piece.command === COMMAND.QUERY) {
    const kill = readKill(piece.payload)
    return kill && { ...kill, rewrittenTo: (thread) => framed(piece.sequence, kill.rewrittenTo(thread)) }
  }
  if (piece.command !== COMMAND.PROCESS_KILL || piece.payload.length !== 5) return null
  const rewrittenTo = (thread: number): Buffer => {
    const wire = Buffer.from(piece.wire)
    wire.writeUInt32LE(thread, wire.length - 4)
    return wire
  }
  return { threadId: piece.payload.readUInt32LE(1), rewrittenTo }
}

/** Why a command does not pass; null: it does. */
function refusalOf(command: number): string | null {
  if (answerOf(command) !== null) return null
  return `sallyport: the command 0x${command.toString(16).padStart(2, '0')} of the protocol is not permitted through the proxy`
}
