import { LongBytes, LongParameters, type StatementBytes, type StatementRecorder } from '../../../statement-recorder.ts'
import type { ClientSink } from '../wire/client-frames.ts'
import type { FunctionCall } from '../wire/function-call.ts'
import { FROM_CLIENT, SQLSTATE } from '../wire/codes.ts'
import { ProtocolError } from '../wire/protocol-error.ts'
import type { ServerSink } from '../wire/server-frames.ts'
import { readErrorFields } from '../wire/server-messages.ts'
import { PreparedNames, type Undo } from './prepared-names.ts'
import { Queue } from './queue.ts'

/** What the observer does with a recorder. */
export type Statements = Pick<StatementRecorder, 'query' | 'prepare' | 'execute' | 'command' | 'result'>

/** Command tags of one simple query that are shown one by one */
const MOST_TAGS = 8

/** What the server still has to answer, in the order in which it will. */
type Outstanding =
  | Query
  | { readonly kind: 'parse'; readonly number: number; readonly undo: Undo }
  | { readonly kind: 'execute'; readonly number: number }
  /** `undo` null: of a portal */
  | { readonly kind: 'close'; readonly undo: Undo | null }
  | { readonly kind: 'bind' | 'describe' | 'sync' | 'copy_end' }

interface Query {
  readonly kind: 'query'
  readonly number: number
  readonly undo: Undo | null
  rows: number
  readonly tags: string[]
  error: Failure | null
  /** Something of it was answered: ReadyForQuery may be its own */
  isAnswered: boolean
}

const BIND: Outstanding = { kind: 'bind' }
const DESCRIBE: Outstanding = { kind: 'describe' }
const CLOSE_PORTAL: Outstanding = { kind: 'close', undo: null }
const SYNC: Outstanding = { kind: 'sync' }
const COPY_END: Outstanding = { kind: 'copy_end' }

interface Failure {
  readonly code: string
  readonly text: string
}

/**
 * Tells a recorder each statement before it is passed on, and what came of it, by matching the server's answers with what was
 * asked: in order, and after an error nothing until Sync. Holds no texts.
 */
export class StatementObserver implements ClientSink<LongBytes>, ServerSink {
  readonly #record: Statements
  readonly #refusal: ((sql: string) => string | null) | null
  readonly #outstanding = new Queue<Outstanding>()
  readonly #names = new PreparedNames()
  /** The server takes COPY data: Sync says nothing to it until that ends */
  #isCopyingIn = false
  /** Replication: a statement that goes on as long as somebody listens */
  #isStreaming = false
  /** COPY data was sent whose end was not */
  #sendsData = false
  /** Syncs that the server ignores, unless an error came before them */
  #syncsInCopy = 0
  /** After an error in the extended protocol: the server looks at nothing until the Sync that is still to be sent */
  #isSkipping = false
  /** One of the Syncs that were sent during COPY may have been that one */
  #isUnclear = false
  /** Syncs and simple queries that were sent, and that were answered */
  #batchesSent = 0
  #batchesDone = 0
  #status = 'I'
  #answers = 0

  /** `refusal`: why a text is not passed on; null: every text is */
  constructor(record: Statements, refusal: ((sql: string) => string | null) | null) {
    this.#record = record
    this.#refusal = refusal
  }

  /** Of what the server still has to answer */
  get outstanding(): number {
    return this.#outstanding.length
  }

  /** Counts what was answered: as long as it stands still, the server works on one thing. */
  get answers(): number {
    return this.#answers
  }

  get isStreaming(): boolean {
    return this.#isStreaming
  }

  /** Transaction status as the server said it last: I, T or E */
  get status(): string {
    return this.#status
  }

  long(type: number): LongBytes {
    return type === FROM_CLIENT.bind ? new LongParameters() : new LongBytes()
  }

  query(sql: Buffer | LongBytes): void {
    this.#refuseDuringCopy()
    const number = this.#record.query(finished(sql))
    this.#judge(number, sql)
    if (this.#isSkipping) {
      this.#record.result(number, { outcome: 'skipped', rows: null })
      return
    }
    // The unnamed statement and portal do not outlive a simple query.
    const undo = this.#names.unprepare('')
    this.#names.closePortal('')
    this.#outstanding.push({ kind: 'query', number, undo, rows: 0, tags: [], error: null, isAnswered: false })
    this.#batchesSent++
  }

  /** Answered like a simple query; names stay what they are. */
  functionCall({ text, writes }: FunctionCall): void {
    this.#refuseDuringCopy()
    const number = this.#record.command(text)
    if (writes && this.#refusal !== null) {
      const why = `your access does not include ${text.replace(/\(.*/, '')}, which changes large objects`
      this.#record.result(number, { outcome: 'denied', rows: null, code: SQLSTATE.insufficientPrivilege, text: why })
      throw new ProtocolError(why, SQLSTATE.insufficientPrivilege)
    }
    if (this.#isSkipping) {
      this.#record.result(number, { outcome: 'skipped', rows: null })
      return
    }
    this.#outstanding.push({ kind: 'query', number, undo: null, rows: 0, tags: [], error: null, isAnswered: false })
    this.#batchesSent++
  }

  parse(name: string, sql: Buffer | LongBytes): void {
    this.#refuseDuringCopy()
    const number = this.#record.prepare(name, finished(sql))
    this.#judge(number, sql)
    if (!this.#isSkipping) this.#outstanding.push({ kind: 'parse', number, undo: this.#names.prepare(name, number) })
  }

  bind(portal: string, prepared: string, parameters: Buffer | LongBytes): void {
    this.#refuseDuringCopy()
    if (this.#isSkipping) return
    const kept = parameters instanceof LongBytes ? parameters.finish() : Buffer.from(parameters)
    this.#names.bind(portal, prepared, kept, this.#batchesSent)
    this.#outstanding.push(BIND)
  }

  describe(): void {
    this.#refuseDuringCopy()
    if (!this.#isSkipping) this.#outstanding.push(DESCRIBE)
  }

  execute(portal: string): void {
    this.#refuseDuringCopy()
    const bound = this.#names.portal(portal)
    // A portal that SQL has made (DECLARE CURSOR) has a name and nothing else.
    const number = bound
      ? this.#record.execute(bound.prepared, bound.name, bound.parameters)
      : this.#record.execute(null, portal, null)
    if (this.#isSkipping) this.#record.result(number, { outcome: 'skipped', rows: null })
    else this.#outstanding.push({ kind: 'execute', number })
  }

  close(what: 'prepared' | 'portal', name: string): void {
    this.#refuseDuringCopy()
    if (this.#isSkipping) return
    if (what === 'portal') {
      this.#names.closePortal(name)
      this.#outstanding.push(CLOSE_PORTAL)
    } else this.#outstanding.push({ kind: 'close', undo: this.#names.unprepare(name) })
  }

  sync(): void {
    if (this.#sendsData) this.#refuseDuringCopy()
    if (this.#isCopyingIn) {
      this.#syncsInCopy++
      return
    }
    this.#isSkipping = false
    this.#isUnclear = false
    this.#outstanding.push(SYNC)
    this.#batchesSent++
  }

  copyData(): void {
    // Outside of COPY it is ignored: what a server that has failed was still sent.
    if (!this.#isSkipping && this.#outstanding.length > 0) this.#sendsData = true
  }

  copyEnd(): void {
    this.#sendsData = false
    if (this.#isCopyingIn) this.#endCopy()
    else if (!this.#isSkipping) this.#outstanding.push(COPY_END)
  }

  terminate(): void {}

  commandComplete(tag: string, rows: number): void {
    this.#answers++
    const head = this.#answered()
    if (head?.kind !== 'query') {
      this.#executed('ok', rowsOf(tag, rows), tag)
      return
    }
    head.isAnswered = true
    head.rows += rowsOf(tag, rows)
    if (head.tags.length < MOST_TAGS) head.tags.push(tag)
  }

  portalSuspended(rows: number): void {
    this.#executed('suspended', rows, '')
  }

  emptyQuery(): void {
    const head = this.#answered()
    if (head?.kind === 'query') head.isAnswered = true
    else this.#executed('ok', 0, '')
  }

  parseComplete(): void {
    this.#stepDone('parse')
  }

  stepComplete(step: 'bind' | 'describe' | 'close'): void {
    this.#stepDone(step)
  }

  functionResult(): void {
    const head = this.#answered()
    if (head?.kind === 'query') head.isAnswered = true
  }

  error(body: Buffer): void {
    const { code, message, severity } = readErrorFields(body)
    const failure: Failure = { code, text: `${severity}: ${message}` }
    const isUnclear = this.#syncsInCopy > 0
    this.#endCopy()
    const head = this.#outstanding.peek()
    if (head?.kind === 'query') {
      head.error = failure
      head.isAnswered = true
      this.#names.closePortalsUntil(this.#batchesDone)
    } else this.#fail(failure, isUnclear)
  }

  parameterStatus(): void {}

  /** A server that waits for data does not look at the Sync that was sent along with the statement. */
  copyIn(): void {
    const head = this.#answered()
    if (head?.kind !== 'execute' && head?.kind !== 'query') return
    const waiting = this.#outstanding.drain()
    const end = waiting.findIndex(({ kind }) => kind === 'copy_end')
    const next = waiting.findIndex(({ kind }, index) => index > 0 && kind !== 'sync')
    // Whoever asks for more within COPY has it only where COPY failed at once: then each Sync is one.
    if (next > 0 && next !== end) {
      for (const one of waiting) this.#outstanding.push(one)
      return
    }
    this.#isCopyingIn = end < 0
    for (const [index, one] of waiting.entries()) {
      const isLookedAt = index !== end && (one.kind !== 'sync' || (end >= 0 && index > end))
      if (isLookedAt) this.#outstanding.push(one)
      else if (one.kind === 'sync') this.#batchesDone++
    }
  }

  copyBoth(): void {
    this.#isStreaming = true
  }

  ready(status: number): void {
    this.#answers++
    this.#status = String.fromCharCode(status)
    this.#isStreaming = false
    this.#isSkipping = false
    this.#isUnclear = false
    this.#endCopy()
    for (let head = this.#outstanding.peek(); head; head = this.#outstanding.peek()) {
      // Of a Sync that we took for one which the server does not answer.
      if (head.kind === 'query' && !head.isAnswered) break
      this.#outstanding.shift()
      if (head.kind === 'query') this.#finishQuery(head)
      if (head.kind === 'sync') this.#batchesDone++
      if (head.kind === 'query' || head.kind === 'sync') break
    }
    // Portals end with their transaction.
    if (this.#status === 'I') this.#names.closePortalsUntil(this.#batchesDone - 1)
  }

  /** Throws before the text is whole on the server, which is why it is never run. */
  #judge(number: number, sql: Buffer | LongBytes): void {
    if (this.#refusal === null) return
    const text =
      sql instanceof LongBytes ? 'a text so long is not passed on with your access' : this.#refusal(sql.toString())
    if (text === null) return
    this.#record.result(number, { outcome: 'denied', rows: null, code: SQLSTATE.insufficientPrivilege, text })
    throw new ProtocolError(text, SQLSTATE.insufficientPrivilege)
  }

  /** The server ends such a connection; and what it skips and what it runs could not be told apart. */
  #refuseDuringCopy(): void {
    if (this.#sendsData || this.#isCopyingIn || this.#isUnclear)
      throw new ProtocolError('unexpected message during COPY from stdin')
  }

  #endCopy(): void {
    this.#isCopyingIn = false
    this.#sendsData = false
    this.#syncsInCopy = 0
  }

  #stepDone(step: 'parse' | 'bind' | 'describe' | 'close'): void {
    if (this.#outstanding.peek()?.kind !== step) this.#skipSilent()
    if (this.#outstanding.peek()?.kind === step) this.#outstanding.shift()
  }

  /** CopyDone is answered by nothing of its own, and neither is a Sync during COPY. */
  #skipSilent(): void {
    for (let kind = this.#outstanding.peek()?.kind; kind === 'sync' || kind === 'copy_end';) {
      this.#outstanding.shift()
      if (kind === 'sync') this.#batchesDone++
      kind = this.#outstanding.peek()?.kind
    }
  }

  /** What an answer is for. */
  #answered(): Outstanding | undefined {
    this.#skipSilent()
    return this.#outstanding.peek()
  }

  #executed(outcome: 'ok' | 'suspended', rows: number | null, text: string): void {
    const head = this.#answered()
    if (head?.kind !== 'execute') return
    this.#outstanding.shift()
    this.#record.result(head.number, { outcome, rows, text })
  }

  /** An error in the extended protocol: whatever follows until Sync is not looked at, and names are what they were. */
  #fail({ code, text }: Failure, isUnclear: boolean): void {
    const skipped: Outstanding[] = []
    for (let head = this.#outstanding.peek(); head && head.kind !== 'sync'; head = this.#outstanding.peek()) {
      skipped.push(head)
      this.#outstanding.shift()
    }
    this.#isSkipping = skipped.length > 0 && this.#outstanding.length === 0
    this.#isUnclear = this.#isSkipping && isUnclear
    this.#names.closePortalsUntil(this.#batchesDone)
    for (const one of skipped.toReversed()) if ('undo' in one && one.undo) this.#names.takeBack(one.undo)
    // What failed, or what it was for.
    const [first] = skipped
    const failed = first?.kind === 'parse' ? first : skipped.find(({ kind }) => kind === 'execute')
    for (const one of skipped) {
      if (one === failed && 'number' in one)
        this.#record.result(one.number, { outcome: 'error', rows: null, code, text })
      else if (one.kind === 'execute' || one.kind === 'query')
        this.#record.result(one.number, { outcome: 'skipped', rows: null })
    }
  }

  #finishQuery({ number, rows, tags, error }: Query): void {
    this.#batchesDone++
    if (error) this.#record.result(number, { outcome: 'error', rows: null, code: error.code, text: error.text })
    else this.#record.result(number, { outcome: 'ok', rows, text: tags.join('; ') })
  }
}

const finished = (bytes: Buffer | LongBytes): StatementBytes => (bytes instanceof LongBytes ? bytes.finish() : bytes)

/** Of the tag that came last, of whichever session: most end alike, and the text need not be read again */
let counted: { readonly tag: string; readonly count: number | null } = { tag: '', count: null }

/** `UPDATE 3`, `INSERT 0 1`, `COPY 100`: the server's own count where it tells one. */
function rowsOf(tag: string, seen: number): number {
  if (counted.tag !== tag) {
    const count = /^[A-Z ]+(?: \d+)? (\d+)$/.exec(tag)?.[1]
    counted = { tag, count: count === undefined ? null : Number(count) }
  }
  return counted.count ?? seen
}
