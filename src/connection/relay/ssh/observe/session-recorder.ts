import type { RecordingEntry } from '../../../../formats/recording-record.ts'
import type { Clock } from '../../../../foundation/clock.ts'
import { RecordingWriter, type RecordingEnd, type RecordingHead } from '../../../../recording/recording-writer.ts'
import type { SshFacts } from '../../../authorization.ts'
import type { ChannelKind } from '../channel.ts'
import type { SessionObserver, Stream } from '../relay-host.ts'
import type { ChannelObserver } from './observer.ts'
import { scpCommand } from './scp-command.ts'
import { ScpObserver } from './scp-observer.ts'
import { SftpObserver } from './sftp-observer.ts'
import { StreamDigest } from './stream-digest.ts'

/** A terminal is kept as it was; a forwarded connection is counted only; everything else has an observer. */
interface Observed {
  terminal: boolean
  observer: ChannelObserver | null
}

/** Writes what a session does, each channel as what it is, into the session's recording. */
export class SessionRecorder implements SessionObserver {
  readonly #writer: RecordingWriter
  readonly #recordInput: boolean
  readonly #channels = new Map<number, Observed>()
  readonly #contents = new Set<string>()
  /** Of the records that the message at hand made: when they are stored (strict_sync). */
  #storing: Promise<void> | undefined

  constructor(writer: RecordingWriter, recordInput: boolean) {
    this.#writer = writer
    this.#recordInput = recordInput
  }

  /** Errors: Refused('recording_unavailable'). `onFailure`: strict, and something could not be stored. */
  static open(facts: SshFacts, clock: Clock, onFailure: (error: Error) => void): SessionRecorder {
    const meta = { session: facts.sessionId, user: facts.user.name, node: facts.node.name, login: facts.login }
    const writer = RecordingWriter.create(facts.recording, meta, { clock, onFailure })
    return new SessionRecorder(writer, facts.recording.recordInput)
  }

  /** What it holds: shell, exec, sftp, scp, port-forward. */
  get contents(): readonly string[] {
    return [...this.#contents]
  }

  head(): RecordingHead {
    return this.#writer.head()
  }

  async close(reason: string): Promise<RecordingEnd> {
    try {
      for (const channel of [...this.#channels.keys()]) this.channelClosed(channel)
    } catch {
      // The writer has said so by onFailure; what could be stored is stored.
    }
    return await this.#writer.close(reason)
  }

  channelOpened(channel: number, kind: ChannelKind): void {
    this.#channels.set(channel, { terminal: false, observer: null })
    this.#write({ kind: 'channel', channel, type: kind })
  }

  pty(channel: number, term: string, columns: number, rows: number): void {
    this.#of(channel).terminal = true
    this.#write({ kind: 'pty', channel, term, columns, rows })
  }

  resize(channel: number, columns: number, rows: number): void {
    this.#write({ kind: 'resize', channel, columns, rows })
  }

  shell(channel: number): void {
    this.#contents.add('shell')
    this.#write({ kind: 'shell', channel })
    this.#watchStreams(channel)
  }

  exec(channel: number, command: string): void {
    const scp = scpCommand(command)
    this.#contents.add(scp ? 'scp' : 'exec')
    this.#write({ kind: 'exec', channel, command })
    const observed = this.#of(channel)
    if (!scp || observed.terminal) this.#watchStreams(channel)
    else observed.observer = new ScpObserver(this.#observedChannel(channel), scp, this.#emit)
  }

  sftp(channel: number): void {
    this.#contents.add('sftp')
    this.#write({ kind: 'subsystem', channel, name: 'sftp' })
    this.#of(channel).observer = new SftpObserver(this.#observedChannel(channel), this.#emit)
  }

  forward(channel: number, direction: 'local' | 'remote', target: string): void {
    this.#contents.add('port-forward')
    this.#write({ kind: 'forward', channel, direction, target })
  }

  data(channel: number, stream: Stream, bytes: Buffer): Promise<void> | undefined {
    this.#writer.seen(bytes.length)
    const observed = this.#channels.get(channel)
    if (!observed) return undefined
    if (observed.terminal) {
      if (stream !== 'stdin') return this.#writer.write({ kind: 'output', channel, stream, bytes })
      return this.#recordInput ? this.#writer.write({ kind: 'input', channel, bytes }) : undefined
    }
    if (!observed.observer) return undefined
    this.#storing = undefined
    if (stream === 'stdin') observed.observer.fromClient(bytes)
    else observed.observer.fromTarget(bytes, stream)
    return this.#storing
  }

  exit(channel: number, status: number | null, signal: string | null): void {
    this.#write({ kind: 'exit', channel, status, signal })
  }

  /** Said at the end, too, when the recording has failed: then it is said without being recorded. */
  notice(channel: number, text: string): void {
    try {
      this.#write({ kind: 'notice', channel, text })
    } catch {
      // The writer has said so by onFailure.
    }
  }

  channelClosed(channel: number): void {
    const observed = this.#channels.get(channel)
    this.#channels.delete(channel)
    observed?.observer?.end()
  }

  #watchStreams(channel: number): void {
    const observed = this.#of(channel)
    if (!observed.terminal) observed.observer = new StreamDigest(this.#observedChannel(channel), this.#emit)
  }

  #observedChannel(channel: number): { readonly channel: number; readonly recordInput: boolean } {
    return { channel, recordInput: this.#recordInput }
  }

  #of(channel: number): Observed {
    let observed = this.#channels.get(channel)
    if (!observed) this.#channels.set(channel, (observed = { terminal: false, observer: null }))
    return observed
  }

  readonly #emit = (entry: RecordingEntry): void => {
    const stored = this.#writer.write(entry)
    if (!stored) return
    // A later sync covers an earlier record, so only the last one is waited for; all are told of a failure.
    stored.catch(() => undefined)
    this.#storing = stored
  }

  /** For records that no byte waits for. A failure of a promise has reached the session by onFailure. */
  #write(entry: RecordingEntry): void {
    this.#writer.write(entry)?.catch(() => undefined)
  }
}
