import type { Clock } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'
import type { SessionFacts } from './authorization.ts'
import type { AuthorizeAnswer, AuthorizeInput, ControlPlane, EndNotice, RecordingHead } from './control-plane.ts'
import { LiveEnd, type EndReason } from './live-end.ts'

/** A recording as the end of its session needs it */
export interface SessionRecorder {
  /** What was recorded, in the words of the session's row: `shell`, `statements` */
  readonly contents: readonly string[]
  head(): RecordingHead
  close(reason: string): Promise<{ readonly head: RecordingHead; readonly complete: boolean }>
}

/** What is different in each protocol. `Told`: what its clients are told besides the text, e.g. an SQLSTATE */
export interface SessionProtocol<Told> {
  /** Tells the client, stops what runs on the target, and closes both connections. Resolves once they are closed. */
  farewell(end: EndReason, told?: Told): Promise<void>
  /** Both connections, at once, in whatever state they are */
  destroy(): void
  /** Its end is stored, or was tried to be. */
  closed(): void
  /** Something is at work without a byte passing. Absent: nothing ever is */
  isBusy?(): boolean
  /** A line for whoever is in the session. Absent: the protocol has no room for one */
  tell?(text: string): void
}

export interface AdmittedSessionParts<Told> {
  readonly control: ControlPlane
  readonly clock: Clock
  readonly log: Log
  readonly protocol: SessionProtocol<Told>
}

/** How a target is connected to. */
export interface UpstreamOpening<Upstream, Told> {
  /** The target's name in the log */
  readonly target: string
  connect(): Promise<Upstream>
  /** The session ended meanwhile. */
  drop(upstream: Upstream): void
  /** Why the session ends when `connect` rejects */
  failed(error: unknown): { readonly end: EndReason; readonly told?: Told }
}

/**
 * A session from authorize()'s yes to its stored end, in every protocol: whatever comes first ends it, once, both connections
 * are closed whatever goes wrong on the way, and its end is stored.
 */
export class AdmittedSession<Facts extends SessionFacts, Recorder extends SessionRecorder, Told = never> {
  readonly facts: Facts
  readonly liveEnd: LiveEnd
  readonly #parts: AdmittedSessionParts<Told>
  #watch: { stop(): void } | null = null
  #recorder: Recorder | null = null
  #isEnding = false

  constructor(facts: Facts, parts: AdmittedSessionParts<Told>) {
    const { clock, control, protocol } = parts
    this.facts = facts
    this.#parts = parts
    const { endsAt, endText, budgetMs, idleMs, offlineGraceMs } = facts
    this.liveEnd = new LiveEnd({
      ...{ clock, endsAt, endText, budgetMs, idleMs, offlineGraceMs },
      silentFor: () => control.silentFor(),
      isBusy: () => protocol.isBusy?.() ?? false,
      onEnd: (reason) => this.end(reason),
    })
  }

  /** From here on it is told of its end; that may be now, so whatever `farewell` needs has to be there. */
  watch(): void {
    this.#watch = this.#parts.control.watchEnd(this.facts.sessionId, (notice) => this.#notice(notice))
    if (this.#isEnding) this.#watch.stop()
  }

  get isEnding(): boolean {
    return this.#isEnding
  }

  /** Null: there is no recording yet */
  get recordingHead(): readonly [string, RecordingHead] | null {
    return this.#recorder && [this.facts.sessionId, this.#recorder.head()]
  }

  /** Null: there is none to be had, and the session ends. */
  openRecorder(open: (onFailure: (error: Error) => void) => Recorder): Recorder | null {
    try {
      this.#recorder = open((error) => this.recordingFailed(error))
      return this.#recorder
    } catch (error) {
      this.#parts.log.error({ err: error }, 'the recording cannot be started')
      this.end({ reason: 'recording_unavailable', text: 'The session cannot be recorded, so it is not started.' })
      return null
    }
  }

  /** Null: there is no connection, and the session ends. */
  async openUpstream<Upstream>(opening: UpstreamOpening<Upstream, Told>): Promise<Upstream | null> {
    try {
      const upstream = await opening.connect()
      if (!this.#isEnding) return upstream
      opening.drop(upstream)
    } catch (error) {
      this.#parts.log.warn({ err: error, target: opening.target }, 'no connection to the target')
      const { end, told } = opening.failed(error)
      this.end(end, told)
    }
    return null
  }

  /** The last look before the first byte passes. False: the session ends. */
  async mayBegin(isStillValid: () => boolean): Promise<boolean> {
    const use = await this.#startUse()
    if (this.#isEnding) return false
    if (!use.ok) this.end({ reason: 'refused_before_use', text: use.text })
    else if (!isStillValid()) this.end(NO_LONGER_VALID)
    return !this.#isEnding
  }

  recordingFailed(error: Error): void {
    this.#parts.log.error({ err: error }, 'the recording failed')
    this.end({ reason: 'recording_failed', text: 'Session ended: it can no longer be recorded.' })
  }

  /** The one way out. The first reason counts. */
  end(end: EndReason, told?: Told): void {
    if (this.#isEnding) return
    // Before anything else: closing the connections calls back here.
    this.#isEnding = true
    void this.#windUp(end, told)
      .catch((error: unknown) => this.#parts.log.error({ err: error }, 'the end of a session was not stored'))
      .then(() => this.#parts.protocol.closed())
  }

  async #windUp(end: EndReason, told: Told | undefined): Promise<void> {
    const { control, log, protocol } = this.#parts
    this.liveEnd.stop()
    this.#watch?.stop()
    try {
      await protocol.farewell(end, told)
    } catch (error) {
      log.error({ err: error }, 'the end of a session failed')
      // Whatever went wrong: nobody works on in a session that is over.
      protocol.destroy()
    }
    const closed = await this.#closeRecording(end.reason)
    await control.endSession(this.facts.sessionId, {
      reason: end.reason,
      head: closed?.head ?? null,
      complete: closed?.complete ?? false,
      contents: [...(this.#recorder?.contents ?? [])],
    })
  }

  async #closeRecording(reason: string): Promise<Awaited<ReturnType<SessionRecorder['close']>> | null> {
    try {
      return (await this.#recorder?.close(reason)) ?? null
    } catch (error) {
      this.#parts.log.error({ err: error }, 'the recording could not be closed')
      return null
    }
  }

  async #startUse(): Promise<{ readonly ok: true } | { readonly ok: false; readonly text: string }> {
    try {
      return await this.#parts.control.startUse(this.facts.sessionId)
    } catch (error) {
      this.#parts.log.error({ err: error }, 'startUse failed')
      return { ok: false, text: UNDECIDED }
    }
  }

  #notice({ kind, text, endsAt, budgetMs, endText }: EndNotice): void {
    if (kind === 'end') {
      this.end({ reason: 'ended', text })
      return
    }
    if (kind === 'move') this.liveEnd.move(endsAt, budgetMs, endText)
    if (text !== '') this.#parts.protocol.tell?.(text)
  }
}

/** Asks for access. That it could not be decided is a refusal. */
export async function askAccess(control: ControlPlane, log: Log, input: AuthorizeInput): Promise<AuthorizeAnswer> {
  try {
    return await control.authorize(input)
  } catch (error) {
    log.error({ err: error }, 'authorize failed')
    return { ok: false, code: 'store_unavailable', lines: [UNDECIDED] }
  }
}

const UNDECIDED = 'Whether you have access cannot be decided at the moment. Try again in a minute.'
export const CLIENT_LEFT = { reason: 'client_left', text: 'the client left' }
export const NO_LONGER_VALID = {
  reason: 'certificate_expired',
  text: 'Your certificate is not valid any more. Run: sally login',
}
export const INTERNAL_ERROR = {
  reason: 'internal_error',
  text: 'Session ended: something went wrong in the proxy.',
}
