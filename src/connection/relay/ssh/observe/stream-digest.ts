import type { StreamName } from '../../../../formats/recording-record.ts'
import type { ChannelObserver, Emit, ObservedChannel } from './observer.ts'
import { type NewHash, newSha256, type RunningHash } from './running-hash.ts'

/** Of each stream without a terminal this much is kept as it was; the rest as length and SHA-256. */
export const KEPT_BYTES = 256 * 1024

interface Progress {
  length: number
  kept: number
  readonly limit: number
  readonly hash: RunningHash
}

/** Streams without a terminal: commands, and whatever else could not be followed. Input is kept only where it is recorded. */
export class StreamDigest implements ChannelObserver {
  readonly #channel: ObservedChannel
  readonly #emit: Emit
  readonly #newHash: NewHash
  readonly #streams = new Map<StreamName, Progress>()

  constructor(channel: ObservedChannel, emit: Emit, newHash: NewHash = newSha256) {
    this.#channel = channel
    this.#emit = emit
    this.#newHash = newHash
  }

  fromClient(bytes: Uint8Array): void {
    const kept = this.#pass('stdin', bytes)
    if (kept.length > 0) this.#emit({ kind: 'input', channel: this.#channel.channel, bytes: kept })
  }

  fromTarget(bytes: Uint8Array, stream: 'stdout' | 'stderr'): void {
    const kept = this.#pass(stream, bytes)
    if (kept.length > 0) this.#emit({ kind: 'output', channel: this.#channel.channel, stream, bytes: kept })
  }

  end(): void {
    for (const [stream, progress] of this.#streams) {
      if (progress.length === progress.kept) {
        progress.hash.drop()
        continue
      }
      this.#emit({
        kind: 'stream',
        channel: this.#channel.channel,
        stream,
        length: progress.length,
        sha256: progress.hash.digest(),
      })
    }
    this.#streams.clear()
  }

  /** Counts the bytes in; the answer is the part that is kept. */
  #pass(stream: StreamName, bytes: Uint8Array): Uint8Array {
    let progress = this.#streams.get(stream)
    if (progress === undefined) {
      const limit = stream === 'stdin' && !this.#channel.recordInput ? 0 : KEPT_BYTES
      progress = { length: 0, kept: 0, limit, hash: this.#newHash() }
      this.#streams.set(stream, progress)
    }
    progress.hash.update(bytes)
    progress.length += bytes.length
    const kept = bytes.subarray(0, progress.limit - progress.kept)
    progress.kept += kept.length
    return kept
  }
}
