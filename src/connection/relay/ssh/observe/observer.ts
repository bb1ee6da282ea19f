import type { RecordingEntry } from '../../../../formats/recording-record.ts'

/** Takes a record. It must be stored (or have thrown) when this returns: bytes in it are views of the caller's packet. */
export type Emit = (entry: RecordingEntry) => void

/**
 * Sees what one channel carries, in the order in which the relay passes it on, before it is passed on. Pure: no I/O, no
 * clock. Never throws for what it sees, only what `emit` throws. Nothing is kept of the bytes it is given.
 */
export interface ChannelObserver {
  /** Channel data from the person's client */
  fromClient(bytes: Uint8Array): void
  fromTarget(bytes: Uint8Array, stream: 'stdout' | 'stderr'): void
  /** Once, when the channel is closed: says what was still open and how long the streams were. */
  end(): void
}

export interface ObservedChannel {
  readonly channel: number
  readonly recordInput: boolean
}
