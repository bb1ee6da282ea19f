import { LongBytes, LongParameters, type StatementBytes, type StatementRecorder } from '../../../statement-recorder.ts'
import type { ClientSink } from '../wire/client-frames.ts'
import { FROM_CLIENT, SQLSTATE } from '../wire/codes.ts'
import { ProtocolError } from '../wire/protocol-error.ts'
import type { ServerSink } from '../wire/server-frames.ts'
import { readErrorFields } from '../wire/server-messages.ts'
import { Queue } from './queue.ts'

/** What the observer does with a recorder. */
export type Statements = Pick<StatementRecorder, 'query' | 'prepare' | 'execute' | 'result'>

/** Of parameters that were bound and whose portal is still open, of one connection */
const MOST_BOUND = 4 * 1024 * 1024
const MOST_PORTALS = 4096
/** Prepared statements whose number is kept; a client that prepares more is recorded with their names alone */
const MOST_PREPARED = 16_384
/** Command tags of one simple query that are shown one by one */
const MOST_TAGS = 8

/** What the server still has to answer, in the order in which it will. */
type Outstanding =
  | { readonly kind: 'query'; readonly number: number; rows: number; readonly tags: string[]; error: Failure | null }
  | { readonly kind: 'parse'; readonly number: number }
  | { readonly kind: 'execute'; readonly number: number }
  | { readonly kind: 'sync' }
  | { readonly kind: 'copy_end' }

interface Failure {
  readonly code: string
  readonly text: string
}

interface Portal {
  readonly prepared: number | null
  readonly name: string
  readonly parameters: StatementBytes
  readonly bytes: number
}

/**
 * Tells a recorder each statement before it is passed on, and what came of it, by matching the server's answers with what was
 * asked: in order, and after an error nothing until Sync. Holds no texts.
 */
export class StatementObserver implements ClientSink<LongBytes>, ServerSink {
  readonly #record: Statements
  readonly #refusal: ((sql: string) => string | null) | null
  readonly #outstanding = new Queue<Outstanding>()
  readonly #prepared = new Map<string, number>()
  readonly #portals = new Map<string, Portal>()
  #boundBytes = 0
  /** The server takes COPY data, for which it was asked by Execute: Sync says nothing to it until that ends */
  #isCopyingIn = false
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

  /** Transaction status as the server said it last: I, T or E */
  get status(): string {
    return this.#status
  }

  long(type: number): LongBytes {
    return type === FROM_CLIENT.bind ? new LongParameters() : new LongBytes()
  }

  query(sql: Buffer | LongBytes): void {
    const number = this.#record.query(finished(sql))
    this.#judge(number, sql)
    this.#outstanding.push({ kind: 'query', number, rows: 0, tags: [], error: null })
    // The unnamed statement and portal do not outlive a simple query.
    this.#prepared.delete('')
    this.#unbind('')
  }

  parse(name: string, sql: Buffer | LongBytes): void {
    const number = this.#record.prepare(name, finished(sql))
    this.#judge(number, sql)
    if (this.#prepared.size < MOST_PREPARED || this.#prepared.has(name)) this.#prepared.set(name, number)
    this.#outstanding.push({ kind: 'parse', number })
  }

  bind(portal: string, prepared: string, parameters: Buffer | LongBytes): void {
    const kept = parameters instanceof LongBytes ? parameters.finish() : Buffer.from(parameters)
    const bytes = kept instanceof Uint8Array ? kept.length : kept.bytes.length
    this.#unbind(portal)
    this.#boundBytes += bytes
    const number = this.#prepared.get(prepared) ?? null
    this.#portals.set(portal, { prepared: number, name: prepared, parameters: kept, bytes })
    if (this.#boundBytes > MOST_BOUND || this.#portals.size > MOST_PORTALS) {
      throw new ProtocolError('too many portals are open', '53400')
    }
  }

  execute(portal: string): void {
    const bound = this.#portals.get(portal)
    // A portal that SQL has made (DECLARE CURSOR) has a name and nothing else.
    const number = bound
      ? this.#record.execute(bound.prepared, bound.name, bound.parameters)
      : this.#record.execute(null, portal, null)
    this.#outstanding.push({ kind: 'execute', number })
  }

  close(what: 'prepared' | 'portal', name: string): void {
    if (what === 'prepared') this.#prepared.delete(name)
    else this.#unbind(name)
  }

  sync(): void {
    if (!this.#isCopyingIn) this.#outstanding.push({ kind: 'sync' })
  }

  copyEnd(): void {
    if (this.#isCopyingIn) this.#isCopyingIn = false
    else this.#outstanding.push({ kind: 'copy_end' })
  }

  terminate(): void {}

  commandComplete(tag: string, rows: number): void {
    this.#answers++
    const head = this.#answered()
    if (head?.kind !== 'query') {
      this.#executed('ok', rowsOf(tag, rows), tag)
      return
    }
    head.rows += rowsOf(tag, rows)
    if (head.tags.length < MOST_TAGS) head.tags.push(tag)
  }

  portalSuspended(rows: number): void {
    this.#executed('suspended', rows, '')
  }

  emptyQuery(): void {
    if (this.#answered()?.kind !== 'query') this.#executed('ok', 0, '')
  }

  parseComplete(): void {
    if (this.#answered()?.kind === 'parse') this.#outstanding.shift()
  }

  error(body: Buffer): void {
    const { code, message, severity } = readErrorFields(body)
    const failure: Failure = { code, text: `${severity}: ${message}` }
    this.#isCopyingIn = false
    const head = this.#outstanding.peek()
    if (head?.kind === 'query') head.error = failure
    else this.#fail(failure)
  }

  parameterStatus(): void {}

  /** A server that waits for data does not look at the Sync that was sent along with the statement. */
  copyIn(): void {
    if (this.#answered()?.kind !== 'execute') return
    const waiting = this.#outstanding.drain()
    const end = waiting.findIndex(({ kind }) => kind === 'copy_end')
    this.#isCopyingIn = end < 0
    for (const [index, one] of waiting.entries()) {
      const isLookedAt = one.kind !== 'copy_end' && (one.kind !== 'sync' || (end >= 0 && index > end))
      if (isLookedAt) this.#outstanding.push(one)
    }
  }

  copyBoth(): void {}

  ready(status: number): void {
    this.#answers++
    this.#status = String.fromCharCode(status)
    this.#isCopyingIn = false
    for (let head = this.#outstanding.shift(); head; head = this.#outstanding.shift()) {
      if (head.kind === 'query') this.#finishQuery(head)
      if (head.kind === 'query' || head.kind === 'sync') break
    }
    // Portals end with their transaction.
    if (this.#portals.size > 0 && this.#status === 'I' && this.#outstanding.length === 0) {
      this.#portals.clear()
      this.#boundBytes = 0
    }
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

  /** What an answer is for. CopyDone is answered by nothing of its own, and so is a Sync during COPY. */
  #answered(): Outstanding | undefined {
    let head = this.#outstanding.peek()
    while (head && (head.kind === 'sync' || head.kind === 'copy_end')) {
      this.#outstanding.shift()
      head = this.#outstanding.peek()
    }
    return head
  }

  #executed(outcome: 'ok' | 'suspended', rows: number | null, text: string): void {
    const head = this.#answered()
    if (head?.kind !== 'execute') return
    this.#outstanding.shift()
    this.#record.result(head.number, { outcome, rows, text })
  }

  /** An error in the extended protocol: whatever follows until Sync is not looked at. */
  #fail({ code, text }: Failure): void {
    let isFirst = true
    for (let head = this.#outstanding.peek(); head && head.kind !== 'sync'; head = this.#outstanding.peek()) {
      this.#outstanding.shift()
      if (head.kind === 'copy_end') continue
      if (isFirst) this.#record.result(head.number, { outcome: 'error', rows: null, code, text })
      else if (head.kind !== 'parse') this.#record.result(head.number, { outcome: 'skipped', rows: null })
      isFirst = false
    }
  }

  #finishQuery({ number, rows, tags, error }: Extract<Outstanding, { kind: 'query' }>): void {
    if (error) this.#record.result(number, { outcome: 'error', rows: null, code: error.code, text: error.text })
    else this.#record.result(number, { outcome: 'ok', rows, text: tags.join('; ') })
  }

  #unbind(portal: string): void {
    const bound = this.#portals.get(portal)
    if (!bound) return
    this.#boundBytes -= bound.bytes
    this.#portals.delete(portal)
  }
}

const finished = (bytes: Buffer | LongBytes): StatementBytes => (bytes instanceof LongBytes ? bytes.finish() : bytes)

/** `UPDATE 3`, `INSERT 0 1`, `COPY 100`: the server's own count where it tells one. */
function rowsOf(tag: string, seen: number): number {
  const count = /^[A-Z ]+(?: \d+)? (\d+)$/.exec(tag)?.[1]
  return count === undefined ? seen : Number(count)
}
