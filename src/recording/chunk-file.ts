import { closeSync, constants, fdatasync, openSync, writeSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import type { Counters } from '../formats/recording-chunk.ts'
import type { ChunkSealer } from '../formats/recording-seal.ts'

export interface RecordingHead {
  readonly chunks: number
  /** Length of the file up to and with its last whole chunk */
  readonly bytes: number
  /** Hex SHA-256 of the last chunk; of the file header when there is none */
  readonly digest: string
}

/** The calls that may fail, so that a test can let them. */
export interface FileCalls {
  /** write(2): how many bytes were taken */
  write(fd: number, bytes: Uint8Array): number
  sync(fd: number): Promise<void>
  /** Without it a power cut may leave the data and forget the file's name. */
  syncFolder(folder: string): Promise<void>
}

export const systemCalls: FileCalls = {
  write: (fd, bytes) => writeSync(fd, bytes),
  sync: promisify(fdatasync),
  async syncFolder(path) {
    await using folder = await open(path, 'r')
    await folder.sync()
  },
}

const NOTHING = new Uint8Array(0)

/**
 * A recording's file, open for appending. A chunk that could only be written in part stays pending: its rest is written
 * before anything else, and it is never sealed anew (recording-chunk.ts says why).
 */
export class ChunkFile {
  readonly #path: string
  readonly #fd: number
  readonly #sealer: ChunkSealer
  readonly #calls: FileCalls
  #pending: Uint8Array
  #pendingChunks = 0
  #pendingBytes: number
  #stored = { chunks: 0, bytes: 0 }
  /** Characters are bytes */
  #digest: string
  #syncing: Promise<void> | null = null
  #nextSync: Promise<void> | null = null
  #folderSynced = false
  #closed = false

  /** Creates the file, 0600. Errors: those of open(2); EEXIST when it is there, whatever it is. */
  constructor(path: string, sealer: ChunkSealer, calls: FileCalls) {
    this.#path = path
    this.#sealer = sealer
    this.#calls = calls
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_APPEND
    this.#fd = openSync(path, flags, 0o600)
    this.#pending = sealer.fileHeader
    this.#pendingBytes = sealer.fileHeader.length
    this.#digest = sealer.digest
  }

  /** What is in the file for sure: whole chunks. */
  get head(): RecordingHead {
    if (this.#pending.length === 0) this.#digest = this.#sealer.digest
    return { ...this.#stored, digest: Buffer.from(this.#digest, 'latin1').toString('hex') }
  }

  get hasPending(): boolean {
    return this.#pending.length > 0
  }

  /** Seals `body` and writes it. Errors: those of write(2); what is left is pending then. */
  append(
    body: Buffer,
    counters: Counters,
    time: number,
    flags: { readonly last: boolean; readonly gap: boolean },
  ): void {
    if (this.#pending.length === 0) this.#digest = this.#sealer.digest
    const chunk = this.#sealer.seal(body, counters, time, flags)
    this.#pending = this.#pending.length > 0 ? Buffer.concat([this.#pending, chunk]) : chunk
    this.#pendingBytes += chunk.length
    this.#pendingChunks += 1
    this.flush()
  }

  /** For a moment in which nothing waits: the next chunk is then sealed faster. */
  prepare(): void {
    this.#sealer.prepare()
  }

  rest(): void {
    this.#sealer.rest()
  }

  /** Writes what is pending. Errors: those of write(2). */
  flush(): void {
    while (this.#pending.length > 0) {
      const written = this.#calls.write(this.#fd, this.#pending)
      if (written === 0) throw Object.assign(new Error('write(2) takes nothing'), { code: 'EIO' })
      this.#pending = this.#pending.subarray(written)
    }
    // An empty part of a chunk would keep the memory of the whole.
    this.#pending = NOTHING
    if (this.#pendingBytes === 0) return
    this.#stored = {
      chunks: this.#stored.chunks + this.#pendingChunks,
      bytes: this.#stored.bytes + this.#pendingBytes,
    }
    this.#pendingBytes = 0
    this.#pendingChunks = 0
  }

  /**
   * Resolves when what was written before the call is on the disk. One fdatasync(2) runs at a time; calls that come
   * meanwhile share the next one.
   */
  sync(): Promise<void> {
    if (this.#syncing === null) return (this.#syncing = this.#syncNow().finally(() => (this.#syncing = null)))
    if (this.#nextSync === null) {
      const again = (): Promise<void> => {
        this.#nextSync = null
        return this.sync()
      }
      this.#nextSync = this.#syncing.then(again, again)
    }
    return this.#nextSync
  }

  async #syncNow(): Promise<void> {
    await this.#calls.sync(this.#fd)
    if (this.#folderSynced) return
    await this.#calls.syncFolder(dirname(this.#path))
    this.#folderSynced = true
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await Promise.allSettled([this.#syncing, this.#nextSync])
    closeSync(this.#fd)
  }
}
