import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { sleep, type Clock, type Timer } from '../../../foundation/clock.ts'
import type { LongBytes, StatementRecorder } from '../../statement-recorder.ts'
import { turns, writeAll, type HeldBack } from '../../turns.ts'
import { StatementObserver } from './observe/statement-observer.ts'
import type { Upstream } from './upstream-side.ts'
import { ClientFrames } from './wire/client-frames.ts'
import { TERMINATE } from './wire/client-messages.ts'
import { ServerFrames } from './wire/server-frames.ts'
import { complaint } from './wire/server-messages.ts'

/** A client that asks for so much at once is not read until the server has caught up. */
const MOST_OUTSTANDING = 20_000
/** What a server half sent when the end came is waited for so long; then the client just loses the connection. */
const BOUNDARY_MS = 200
/** A statement that a cancel request came too early for is hit by the next. */
const CANCEL_AGAIN_MS = 250
const CANCELS = 3
/** How often a statement's time is looked at */
const WATCH_MS = 250
/** A server that was told to end its backend */
const LEAVE_MS = 1_000

export interface RelayHost {
  /** Somebody or something is at work: restarts the idle time. */
  active(): void
  clientLeft(): void
  serverLeft(): void
  /** `side`: whose fault it is, null: ours. */
  fail(error: Error, side: 'client' | 'server' | null): void
}

/** As much of an Upstream as is relayed to. */
export interface RelayedServer extends Pick<Upstream, 'ready' | 'cancel'> {
  readonly socket: Duplex
  readonly tcp: Pick<Socket, 'resetAndDestroy'>
}

export interface QueryRelayParts {
  readonly client: Duplex
  readonly upstream: RelayedServer
  readonly recorder: Pick<StatementRecorder, 'query' | 'prepare' | 'execute' | 'command' | 'result' | 'commit' | 'seen'>
  readonly host: RelayHost
  readonly clock: Clock
  /** Why a text is not passed on; null: every text is */
  readonly refusal: ((sql: string) => string | null) | null
  /** ms after which a statement is cancelled; null: never */
  readonly statementTimeoutMs: number | null
}

/**
 * Bytes both ways as they come, their headers walked: one read, one write. Statements are recorded before the bytes that complete
 * them go on. Each side is read only as fast as the other takes it.
 */
export class QueryRelay implements HeldBack {
  readonly #client: Duplex
  readonly #upstream: RelayedServer
  readonly #server: Duplex
  readonly #recorder: QueryRelayParts['recorder']
  readonly #host: RelayHost
  readonly #clock: Clock
  readonly #observer: StatementObserver
  readonly #fromClient: ClientFrames<LongBytes>
  readonly #fromServer: ServerFrames
  readonly #notices: Buffer[] = []
  readonly #timeoutMs: number | null
  #watch: Timer | null = null
  #isRelaying = false
  #isStoring = false
  /** Read in this turn, looked at, and not passed on */
  #toServer: Buffer[] = []
  #toClient: Buffer[] = []
  /** Stored, and passed on when the others of this turn are, too */
  #stored: readonly Buffer[] = []
  #isHeld = false
  #serverIsFull = false
  #serverIsBehind = false
  /** Called when a message that was half passed on is whole */
  #onBoundary: (() => void) | null = null

  constructor({ client, upstream, recorder, host, clock, refusal, statementTimeoutMs }: QueryRelayParts) {
    this.#client = client
    this.#upstream = upstream
    this.#server = upstream.socket
    this.#recorder = recorder
    this.#host = host
    this.#clock = clock
    this.#observer = new StatementObserver(recorder, refusal)
    this.#fromClient = new ClientFrames(this.#observer)
    this.#fromServer = new ServerFrames(this.#observer)
    this.#timeoutMs = statementTimeoutMs
  }

  /** The server has something to do that it has not answered. */
  get isBusy(): boolean {
    return this.#observer.outstanding > 0
  }

  /** `sentAhead`: what the client sent behind its startup message, `ready`: what the server sent from ReadyForQuery on. */
  start(sentAhead: Buffer): void {
    this.#isRelaying = true
    this.#client.on('data', (chunk: Buffer) => this.#onClientData(chunk))
    this.#client.on('drain', () => this.#server.resume())
    this.#client.once('end', () => this.#onClientGone())
    this.#client.once('close', () => this.#onClientGone())
    this.#server.on('data', (chunk: Buffer) => this.#onServerData(chunk))
    this.#server.on('drain', () => {
      this.#serverIsFull = false
      this.#resumeClient()
    })
    this.#server.once('close', () => this.#onServerGone())
    this.#server.once('end', () => this.#onServerGone())
    this.#onServerData(this.#upstream.ready)
    if (this.#timeoutMs !== null) this.#watchStatements(this.#timeoutMs, this.#clock.monotonic(), 0)
    if (sentAhead.length > 0) this.#onClientData(sentAhead)
    this.#server.resume()
    this.#resumeClient()
  }

  /** Shown as a notice, as soon as no message of the server is half passed on. */
  tell(text: string): void {
    if (!this.#isRelaying) return
    this.#notices.push(complaint({ severity: 'NOTICE', code: '01000', message: text }))
    this.#flushNotices()
  }

  /** What the client asked for by a cancel request. */
  async cancel(): Promise<void> {
    if (this.isBusy) await this.#upstream.cancel()
  }

  /**
   * Nothing goes on from here. The server stops what it does, the client is told the last words where it can understand them.
   * Resolves when both have been told; leaves the client's socket open.
   */
  async windUp(words: { readonly code: string; readonly text: string } | null): Promise<void> {
    this.#isRelaying = false
    this.#passBack()
    this.#watch?.cancel()
    this.#client.resume()
    const wasBusy = this.isBusy
    if (wasBusy) void this.#upstream.cancel()
    if (words !== null && !this.#client.destroyed && (await this.#atBoundary())) {
      this.#client.write(complaint({ severity: 'FATAL', code: words.code, message: words.text }))
    }
    if (wasBusy) this.#killBackend()
    else this.#leaveServer()
  }

  /** The server has the same limit from us, and a client can lift that: this one it cannot. */
  #watchStatements(limit: number, since: number, answers: number): void {
    this.#watch = this.#clock.after(Math.min(limit, WATCH_MS), () => {
      if (!this.#isRelaying) return
      const now = this.#clock.monotonic()
      const stands = this.isBusy && !this.#observer.isStreaming && this.#observer.answers === answers
      // A little later than the server, so that its own error is what is seen.
      const isLate = stands && now - since > limit + WATCH_MS
      if (isLate) {
        this.tell(`a statement was cancelled: your access limits them to ${limit} ms`)
        void this.#upstream.cancel()
      }
      this.#watchStatements(limit, stands && !isLate ? since : now, this.#observer.answers)
    })
  }

  #onClientData(chunk: Buffer): void {
    if (!this.#isRelaying || this.#fromClient.isTerminated) return
    this.#host.active()
    let passed: number
    try {
      passed = this.#fromClient.feed(chunk)
    } catch (error) {
      // What came before it has been found good.
      this.#goOn()
      this.#host.fail(error as Error, isRecordingFailure(error) ? null : 'client')
      return
    }
    this.#toServer.push(passed === chunk.length ? chunk : chunk.subarray(0, passed))
    this.#hold()
  }

  /** At once, where the end of the turn is too late. */
  #goOn(): void {
    this.store()
    this.forward()
  }

  #hold(): void {
    if (this.#isHeld) return
    this.#isHeld = true
    turns.hold(this)
  }

  /** Called at the end of a turn, for all connections before any of them is forwarded. */
  store(): void {
    const bytes = this.#toServer
    if (!this.#isRelaying || bytes.length === 0) return
    this.#toServer = []
    let stored: Promise<void> | undefined
    try {
      for (const { length } of bytes) this.#recorder.seen(length)
      stored = this.#recorder.commit()
    } catch (error) {
      this.#host.fail(error as Error, null)
      return
    }
    if (stored === undefined) {
      this.#stored = bytes
      return
    }
    this.#isStoring = true
    this.#client.pause()
    stored.then(
      () => {
        this.#isStoring = false
        this.#pass(bytes)
        this.#resumeClient()
      },
      // The recorder has told of it.
      () => undefined,
    )
  }

  forward(): void {
    this.#isHeld = false
    const stored = this.#stored
    this.#stored = []
    if (stored.length > 0) this.#pass(stored)
    this.#passBack()
  }

  #pass(bytes: readonly Buffer[]): void {
    if (!this.#isRelaying || this.#server.destroyed) return
    if (!writeAll(this.#server, bytes)) this.#serverIsFull = true
    if (this.#observer.outstanding > MOST_OUTSTANDING) this.#serverIsBehind = true
    if (this.#serverIsFull || this.#serverIsBehind) this.#client.pause()
    if (this.#fromClient.isTerminated) this.#server.end()
  }

  #passBack(): void {
    const bytes = this.#toClient
    if (bytes.length === 0) return
    this.#toClient = []
    if (!this.#client.destroyed && !writeAll(this.#client, bytes)) this.#server.pause()
  }

  #resumeClient(): void {
    if (!this.#isStoring && !this.#serverIsFull && !this.#serverIsBehind) this.#client.resume()
  }

  #onServerData(chunk: Buffer): void {
    if (!this.#isRelaying) {
      this.#finishMessage(chunk)
      return
    }
    this.#host.active()
    try {
      this.#fromServer.feed(chunk)
    } catch (error) {
      this.#goOn()
      this.#host.fail(error as Error, isRecordingFailure(error) ? null : 'server')
      return
    }
    this.#toClient.push(chunk)
    this.#hold()
    if (this.#notices.length > 0) this.#flushNotices()
    if (this.#serverIsBehind && this.#observer.outstanding < MOST_OUTSTANDING / 2) {
      this.#serverIsBehind = false
      this.#resumeClient()
    }
  }

  #flushNotices(): void {
    if (!this.#fromServer.atBoundary || this.#client.destroyed) return
    this.#passBack()
    for (const notice of this.#notices.splice(0)) this.#client.write(notice)
  }

  /** After the end has begun: what belongs to the message that is half passed on, and nothing else. */
  #finishMessage(chunk: Buffer): void {
    if (this.#onBoundary === null || this.#client.destroyed) return
    try {
      const bytes = this.#fromServer.feedToBoundary(chunk)
      if (bytes > 0 && !this.#client.write(chunk.subarray(0, bytes))) this.#server.pause()
    } catch {
      return
    }
    if (this.#fromServer.atBoundary) this.#onBoundary()
  }

  /** False: the client reads the middle of a message, and could not make sense of ours. */
  async #atBoundary(): Promise<boolean> {
    if (this.#fromServer.atBoundary) return true
    const reached = new Promise<void>((resolve) => {
      this.#onBoundary = resolve
    })
    this.#server.resume()
    const late = new AbortController()
    await Promise.race([reached, sleep(this.#clock, BOUNDARY_MS, late.signal).catch(() => undefined)])
    late.abort()
    this.#onBoundary = null
    return this.#fromServer.atBoundary
  }

  /**
   * Closing a connection stops no statement. The reset makes the server's next write fail, so that it does not go on to whatever
   * was sent ahead; the cancel requests make that write come.
   */
  #killBackend(): void {
    this.#upstream.tcp.resetAndDestroy()
    this.#server.destroy()
    void this.#cancelAgain()
  }

  async #cancelAgain(): Promise<void> {
    for (let sent = 0; sent < CANCELS; sent++) {
      await this.#upstream.cancel()
      await sleep(this.#clock, CANCEL_AGAIN_MS)
    }
  }

  #leaveServer(): void {
    if (this.#server.destroyed) return
    this.#server.resume()
    if (!this.#server.writableEnded) this.#server.end(TERMINATE)
    const late = this.#clock.after(LEAVE_MS, () => this.#server.destroy())
    this.#server.once('close', () => late.cancel())
  }

  /** A client that has said goodbye may have left work behind: the session goes on until the server is done with it. */
  #onClientGone(): void {
    if (!this.#isRelaying) return
    this.#goOn()
    if (this.#fromClient.isTerminated) {
      this.#server.resume()
      this.#leaveWhenDone()
    } else this.#host.clientLeft()
  }

  /** A server that is not heard of any more closes nothing. */
  #leaveWhenDone(): void {
    this.#clock.after(LEAVE_MS, () => {
      if (!this.#isRelaying) return
      if (this.isBusy) this.#leaveWhenDone()
      else this.#host.clientLeft()
    })
  }

  #onServerGone(): void {
    if (this.#isRelaying) {
      if (this.#fromClient.isTerminated) this.#host.clientLeft()
      else this.#host.serverLeft()
    }
    this.#onBoundary?.()
  }
}

const isRecordingFailure = (error: unknown): boolean => error instanceof Error && error.name === 'RecordingFailed'
