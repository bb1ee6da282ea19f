import { randomBytes } from 'node:crypto'
import { RecordBytes } from '../formats/recording-bytes.ts'
import type { Counters } from '../formats/recording-chunk.ts'
import { encodeRecord, type RecordingEntry } from '../formats/recording-record.ts'
import { ChunkSealer } from '../formats/recording-seal.ts'
import type { Clock, Timer } from '../foundation/clock.ts'
import { Bug, Refused } from '../foundation/errors.ts'
import { ChunkFile, type FileCalls, type RecordingHead, systemCalls } from './chunk-file.ts'

export type { RecordingHead } from './chunk-file.ts'

export type RecordingMode = 'strict' | 'strict_sync' | 'best_effort'

/** The part of the connection's recording order that the file needs. */
export interface RecordingFileOrder {
  /** Absolute path of the file to create, in a folder that exists */
  readonly path: string
  readonly keyId: string
  /** 32 bytes */
  readonly key: Uint8Array
  readonly mode: RecordingMode
}

/** What the first record says. */
export interface RecordingMeta {
  /** `ses_...` */
  readonly session: string
  readonly user: string
  readonly node: string
  readonly login: string
}

export interface WriterSurroundings {
  readonly clock: Clock
  /** Strict modes, once: something could not be stored, the session must end. Called before `write` throws, too. */
  readonly onFailure: (error: Error) => void
  /** best_effort: `bytes` were forwarded that could not be stored. */
  readonly onGap?: (bytes: number, reason: string) => void
  readonly calls?: FileCalls
}

/** How a recording ended, as ControlPlane.endSession wants it. */
export interface RecordingEnd {
  readonly head: RecordingHead
  /** False: the file misses something, or its last chunk */
  readonly complete: boolean
}

/** Thrown by `write` in the strict modes: what was given is not stored and must not be forwarded. */
export class RecordingFailed extends Error {
  override readonly name = 'RecordingFailed'
}

const SYNC_EVERY_MS = 1000
const PREPARE_AFTER_MS = 3
const FLUSH_AFTER_MS = 100
const FLUSH_AT_BYTES = 64 * 1024
/** A buffer that grew beyond this is not kept for the next records. */
const KEPT_BUFFER = 16 * 1024
const LONGEST_PIECE = 256 * 1024
const ROOM_FOR_ONE = 600 * 1024

// Strict chunks are encoded and sealed within one call, so all sessions of a process share this buffer.
const scratch = new RecordBytes(64 * 1024)

/**
 * Writes one session's file.
 *
 * strict: `write` returns after write(2) took the whole chunk (a kill loses nothing), fdatasync each second.
 * strict_sync: `write` answers a promise that resolves after fdatasync; forward then.
 * best_effort: `write` collects up to 64 KiB or 100 ms; what cannot be stored becomes a gap, and the session goes on.
 *
 * Many small records: `gather` each, then `commit` once before their bytes are forwarded.
 */
export class RecordingWriter {
  readonly mode: RecordingMode
  readonly #file: ChunkFile
  readonly #clock: Clock
  readonly #surroundings: WriterSurroundings
  readonly #startedAt: number
  readonly #counters = { bytes: 0, packets: 0, statements: 0, channels: 0 }
  #buffer: RecordBytes | null = null
  #buffered = { bytes: 0, records: 0 }
  #lost = { bytes: 0, records: 0, reason: '' }
  /** strict_sync: stored since the last commit, and not waited for */
  #unwaited = false
  #gap = false
  #dirty = false
  #preparing = false
  #syncTimer: Timer | null = null
  #flushTimer: Timer | null = null
  #failure: RecordingFailed | null = null
  #closing: Promise<RecordingEnd> | null = null

  private constructor(file: ChunkFile, mode: RecordingMode, surroundings: WriterSurroundings) {
    this.#file = file
    this.mode = mode
    this.#surroundings = surroundings
    this.#clock = surroundings.clock
    this.#startedAt = surroundings.clock.monotonic()
  }

  /** Creates the file and stores its first record. Errors: Refused('recording_unavailable'). */
  static create(order: RecordingFileOrder, meta: RecordingMeta, surroundings: WriterSurroundings): RecordingWriter {
    const time = surroundings.clock.now()
    let file: ChunkFile | null = null
    try {
      const sealer = new ChunkSealer({ ...order, session: meta.session, salt: randomBytes(32), time })
      file = new ChunkFile(order.path, sealer, surroundings.calls ?? systemCalls)
      const writer = new RecordingWriter(file, order.mode, surroundings)
      writer.#begin({ kind: 'start', ...meta, time })
      return writer
    } catch (error) {
      void file?.close()
      throw new Refused(
        'recording_unavailable',
        'The recording cannot be started.',
        'Ask an operator: sallyctl status',
        {
          error: reasonOf(error),
        },
      )
    }
  }

  /** Chunks that are in the file, for checkpoints. */
  head(): RecordingHead {
    return this.#file.head
  }

  /** False as soon as something is missing. */
  get complete(): boolean {
    return !this.#gap && this.#failure === null
  }

  /** Counts one message that a stream carried, kept or not: what verifiers compare with what the records tell. */
  seen(bytes: number): void {
    this.#counters.bytes += bytes
    this.#counters.packets += 1
  }

  /**
   * Stores one record, stamped now. undefined: it may be forwarded; a promise: after it has resolved.
   * Errors: RecordingFailed (strict modes; nothing of it may be forwarded), also by the promise.
   */
  write(entry: RecordingEntry): Promise<void> | undefined {
    return this.writeMany([entry])
  }

  /** The same for several records, in one chunk where they fit. */
  writeMany(entries: readonly RecordingEntry[]): Promise<void> | undefined {
    if (this.#closing !== null) throw new Bug('a record after the end of the recording')
    if (this.mode === 'best_effort') {
      for (const entry of entries) this.#collect(entry)
      return undefined
    }
    this.#mustStore(() => this.#store(entries, false))
    this.#prepareSoon()
    return this.#stored()
  }

  /**
   * One record, stamped now, that is stored by the next `commit` or `write`, or 100 ms from now if neither comes.
   * Errors: RecordingFailed (strict modes).
   */
  gather(entry: RecordingEntry): void {
    if (this.#closing !== null) throw new Bug('a record after the end of the recording')
    if (this.mode === 'best_effort') return this.#collect(entry)
    if (this.#failure !== null) throw this.#failure
    this.#count(entry)
    const buffer = (this.#buffer ??= new RecordBytes(1024))
    try {
      encodeRecord(buffer, entry, this.#at())
    } catch (error) {
      throw this.#fail(error)
    }
    if (buffer.length >= FLUSH_AT_BYTES) this.#storeGathered()
    else this.#flushTimer ??= this.#clock.after(FLUSH_AFTER_MS, () => this.#flushGathered())
  }

  /** Stores what was gathered, as one chunk; answers like `write`. */
  commit(): Promise<void> | undefined {
    if (this.mode === 'best_effort') return undefined
    if (this.#buffer !== null && this.#buffer.length > 0) this.#storeGathered()
    else if (this.#failure !== null) throw this.#failure
    if (!this.#unwaited) return undefined
    this.#unwaited = false
    return this.#stored()
  }

  #storeGathered(): void {
    this.#mustStore(() => this.#store([], false))
    this.#unwaited = true
  }

  /** What waits for no bytes: results. A failure reaches the session by onFailure. */
  #flushGathered(): void {
    this.#flushTimer = null
    if (this.#closing !== null || this.#failure !== null || this.#buffer === null) return
    if (this.#buffer.length === 0) {
      this.#buffer = null
      return
    }
    try {
      this.#storeGathered()
      this.#syncSoon()
    } catch {
      return
    }
  }

  #mustStore(work: () => void): void {
    if (this.#failure !== null) throw this.#failure
    try {
      work()
    } catch (error) {
      throw this.#fail(error)
    }
  }

  #stored(): Promise<void> | undefined {
    if (this.mode === 'strict') return this.#syncSoon()
    return this.#file.sync().catch((error: unknown) => {
      throw this.#fail(error)
    })
  }

  /** Writes the last chunk and syncs. Never rejects: what went wrong is in the answer. */
  close(reason: string): Promise<RecordingEnd> {
    return (this.#closing ??= this.#close(reason))
  }

  #begin(start: RecordingEntry): void {
    if (this.mode === 'best_effort') {
      this.#collect(start)
      this.#flush()
    } else {
      this.#store([start], false)
      this.#syncSoon()
    }
  }

  async #close(reason: string): Promise<RecordingEnd> {
    this.#syncTimer?.cancel()
    this.#flushTimer?.cancel()
    let whole = false
    try {
      if (this.#failure === null) {
        if (this.mode === 'best_effort') this.#storeCollected({ kind: 'end', reason })
        else this.#store([{ kind: 'end', reason }], true)
        await this.#file.sync()
        whole = true
      }
    } catch (error) {
      this.#failure ??= failed(error)
    }
    await this.#file.close()
    return { head: this.#file.head, complete: whole && this.complete }
  }

  #at(): number {
    return this.#clock.monotonic() - this.#startedAt
  }

  #count(entry: RecordingEntry): void {
    if (entry.kind === 'channel') this.#counters.channels += 1
    if (isStatement(entry)) this.#counters.statements += 1
  }

  #store(entries: readonly RecordingEntry[], last: boolean): void {
    scratch.truncate(0)
    this.#takeGathered()
    const at = this.#at()
    for (const entry of entries) {
      this.#count(entry)
      for (const piece of pieces(entry)) {
        if (scratch.length > ROOM_FOR_ONE) this.#seal(scratch, false)
        encodeRecord(scratch, piece, at)
      }
    }
    if (scratch.length > 0) this.#seal(scratch, last)
  }

  #takeGathered(): void {
    const buffer = this.#buffer
    if (buffer === null) return
    scratch.rest(buffer.view())
    if (buffer.capacity > KEPT_BUFFER) this.#buffer = null
    else buffer.truncate(0)
  }

  #seal(body: RecordBytes, last: boolean): void {
    const counters: Counters = this.#counters
    this.#file.append(body.view(), counters, this.#clock.now(), { last, gap: this.#gap })
    body.truncate(0)
  }

  /** Behind single records, as keystrokes are. Statements come by `commit`, many at a time over all sessions: nothing is idle then. */
  #prepareSoon(): void {
    if (this.#preparing) return
    this.#preparing = true
    this.#clock.after(PREPARE_AFTER_MS, () => {
      this.#preparing = false
      this.#file.prepare()
    })
  }

  #fail(error: unknown): RecordingFailed {
    if (this.#failure !== null) return this.#failure
    this.#failure = failed(error)
    this.#syncTimer?.cancel()
    this.#surroundings.onFailure(this.#failure)
    return this.#failure
  }

  #syncSoon(): undefined {
    this.#dirty = true
    if (this.#syncTimer !== null) return
    this.#syncTimer = this.#clock.after(SYNC_EVERY_MS, () => void this.#syncDue())
  }

  async #syncDue(): Promise<void> {
    this.#dirty = false
    try {
      await this.#file.sync()
    } catch (error) {
      if (this.#closing === null) this.#syncFailed(error)
    }
    this.#syncTimer = null
    if (this.#dirty && this.#closing === null && this.#failure === null) this.#syncSoon()
    else this.#file.rest()
  }

  #syncFailed(error: unknown): void {
    if (this.mode !== 'best_effort') {
      this.#fail(error)
      return
    }
    // The kernel may have dropped pages that it could not write: nobody knows which.
    this.#lose(0, 0, error)
  }

  #collect(entry: RecordingEntry): void {
    this.#count(entry)
    if (entry.kind === 'output' || entry.kind === 'input') {
      for (const piece of pieces(entry)) this.#collectOne(piece)
    } else this.#collectOne(entry)
    this.#flushTimer ??= this.#clock.after(FLUSH_AFTER_MS, () => this.#flush())
  }

  #collectOne(entry: RecordingEntry): void {
    const buffer = (this.#buffer ??= new RecordBytes(1024))
    const size = sizeOf(entry)
    try {
      encodeRecord(buffer, entry, this.#at())
      this.#buffered.records += 1
      this.#buffered.bytes += size
    } catch (error) {
      this.#lose(size, 1, error)
    }
    if (buffer.length >= FLUSH_AT_BYTES) this.#flush()
  }

  #flush(): void {
    this.#flushTimer?.cancel()
    this.#flushTimer = null
    try {
      this.#storeCollected(null)
      this.#syncSoon()
    } catch (error) {
      const buffer = this.#buffer
      if (buffer !== null && buffer.length >= FLUSH_AT_BYTES) {
        this.#lose(this.#buffered.bytes, this.#buffered.records, error)
        this.#drop()
      }
      this.#flushTimer = this.#clock.after(FLUSH_AFTER_MS, () => this.#flush())
    }
  }

  /** Writes what an earlier attempt left, then the gap and the collected records as one chunk. */
  #storeCollected(end: RecordingEntry | null): void {
    this.#file.flush()
    const body = scratch
    body.truncate(0)
    if (this.#lost.reason !== '') {
      const reason = `${this.#lost.reason} (${this.#lost.records} records lost)`
      encodeRecord(body, { kind: 'gap', bytes: this.#lost.bytes, reason }, this.#at())
    }
    if (this.#buffer !== null) body.rest(this.#buffer.view())
    if (end !== null) encodeRecord(body, end, this.#at())
    if (body.length === 0) return
    // From here on the records are in the pending chunk, which is completed as soon as there is room.
    this.#lost = { bytes: 0, records: 0, reason: '' }
    this.#drop()
    this.#seal(body, end !== null)
  }

  /** The buffer of a busy session is used again; an idle one holds none. */
  #drop(): void {
    const buffer = this.#buffer
    if (buffer !== null && buffer.length >= FLUSH_AT_BYTES) buffer.truncate(0)
    else this.#buffer = null
    this.#buffered = { bytes: 0, records: 0 }
  }

  #lose(bytes: number, records: number, error: unknown): void {
    this.#gap = true
    this.#lost = { bytes: this.#lost.bytes + bytes, records: this.#lost.records + records, reason: reasonOf(error) }
    this.#surroundings.onGap?.(bytes, this.#lost.reason)
  }
}

const STATEMENTS: ReadonlySet<RecordingEntry['kind']> = new Set(['exec', 'shell', 'subsystem', 'file'])

function isStatement(entry: RecordingEntry): boolean {
  return entry.kind === 'statement' ? entry.command !== 'prepare' : STATEMENTS.has(entry.kind)
}

function sizeOf(entry: RecordingEntry): number {
  if (entry.kind === 'statement') return (entry.text?.length ?? 0) + (entry.parameters?.length ?? 0)
  return entry.kind === 'output' || entry.kind === 'input' ? entry.bytes.length : 0
}

/** Long runs of bytes become several records, so that each fits into a chunk. */
function* pieces(entry: RecordingEntry): Generator<RecordingEntry> {
  if ((entry.kind !== 'output' && entry.kind !== 'input') || entry.bytes.length <= LONGEST_PIECE) {
    yield entry
    return
  }
  for (let from = 0; from < entry.bytes.length; from += LONGEST_PIECE) {
    yield { ...entry, bytes: entry.bytes.subarray(from, from + LONGEST_PIECE) }
  }
}

function failed(error: unknown): RecordingFailed {
  return new RecordingFailed(`the recording cannot be stored: ${reasonOf(error)}`, { cause: error })
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
