// The protocol of rcp and `scp -O` (OpenSSH scp.c, source() and sink()). One side, the source, sends control lines and data;
// the other, the sink, answers each with one status. Both wait for each other, so there is one answer open at a time.
//
//   sink:    00                                                         go on (once at the start, then one for each of:)
//   source:  'C' mode SP size SP name LF   a file; after its status: `size` bytes, then a status byte of the source
//            'D' mode SP 0 SP name LF      a folder begins
//            'E' LF                        it ends
//            'T' mtime SP 0 SP atime SP 0 LF
//            01 text LF                    something went wrong; the sink does not answer
//   status:  00 good | 01 text LF warning | 02 text LF fatal
import type { FileEntry } from '../../../../formats/recording-record.ts'
import type { ChannelObserver, Emit, ObservedChannel } from './observer.ts'
import { type NewHash, newFileSha256, type RunningHash } from './running-hash.ts'
import type { ScpCommand } from './scp-command.ts'
import { LineOrZero } from './scp-lines.ts'
import { StreamDigest } from './stream-digest.ts'
import { textOfBytes } from './text-of-bytes.ts'
import { Undecodable } from './undecodable.ts'

const MAX_DEPTH = 256
/** Of a source that does not wait for the sink's status */
const MAX_HELD = 256 * 1024
const CONTROL = /^[CD]([0-7]{4}) ([0-9]{1,15}) ([^\n]+)$/s

interface Transfer {
  readonly path: string
  readonly size: number
  left: number
  hash: RunningHash | null
  error: string | null
}

/** What the sink's next status is about. */
type Awaited = 'start' | 'times' | 'folder' | 'folder end' | 'file' | 'data'

/** Follows one `scp -t` or `scp -f`. What cannot be followed becomes `unparsed`, and the streams are kept as a command's. */
export class ScpObserver implements ChannelObserver {
  readonly #channel: number
  readonly #command: ScpCommand
  readonly #emit: Emit
  readonly #newHash: NewHash
  readonly #streams: StreamDigest
  readonly #folders: string[] = []
  readonly #sourceLine = new LineOrZero()
  readonly #sinkLine = new LineOrZero()
  #awaited: Awaited | null = 'start'
  #early: { readonly error: string | null } | null = null
  #held: Buffer[] = []
  #heldBytes = 0
  #transfer: Transfer | null = null
  #lost = false

  constructor(channel: ObservedChannel, command: ScpCommand, emit: Emit, newHash: NewHash = newFileSha256) {
    this.#channel = channel.channel
    this.#command = command
    this.#emit = emit
    this.#newHash = newHash
    this.#streams = new StreamDigest(channel, emit, newHash)
  }

  fromClient(bytes: Uint8Array): void {
    if (this.#lost || !this.#follow(bytes, this.#command.direction === 'upload')) this.#streams.fromClient(bytes)
  }

  fromTarget(bytes: Uint8Array, stream: 'stdout' | 'stderr'): void {
    const followed = stream === 'stdout' && !this.#lost && this.#follow(bytes, this.#command.direction === 'download')
    if (!followed) this.#streams.fromTarget(bytes, stream)
  }

  end(): void {
    this.#abandon()
    this.#streams.end()
  }

  #follow(bytes: Uint8Array, isSource: boolean): boolean {
    try {
      if (isSource) this.#source(bytes)
      else this.#sink(bytes)
      return true
    } catch (error) {
      if (!(error instanceof Undecodable)) throw error
      this.#lost = true
      this.#emit({ kind: 'unparsed', channel: this.#channel, reason: `scp: ${error.message}` })
      this.#abandon()
      return false
    }
  }

  #source(bytes: Uint8Array): void {
    let rest = bytes
    while (rest.length > 0) {
      if (this.#awaited !== null) return this.#hold(rest)
      const transfer = this.#transfer
      if (transfer !== null && transfer.left > 0) {
        const part = rest.subarray(0, transfer.left)
        transfer.hash ??= this.#newHash()
        transfer.hash.update(part)
        transfer.left -= part.length
        rest = rest.subarray(part.length)
        continue
      }
      const taken = this.#sourceLine.push(rest)
      rest = rest.subarray(taken)
      const line = this.#sourceLine.take()
      if (line !== null && transfer !== null) this.#sourceStatus(line)
      else if (line !== null) this.#control(line)
    }
  }

  #hold(bytes: Uint8Array): void {
    this.#heldBytes += bytes.length
    if (this.#heldBytes > MAX_HELD) throw new Undecodable('the source does not wait for the sink')
    this.#held.push(Buffer.from(bytes))
  }

  /** Behind a file's data the source says whether it could read all of it. */
  #sourceStatus(line: Buffer): void {
    const error = statusError(line)
    if (this.#transfer !== null && error !== null) this.#transfer.error = error
    this.#await('data')
  }

  #control(line: Buffer): void {
    switch (line[0]) {
      case 0x43:
      case 0x44:
        return this.#entry(line)
      case 0x45:
        if (line.length !== 1 || this.#folders.length === 0)
          throw new Undecodable('the end of a folder that never began')
        return this.#await('folder end')
      case 0x54:
        return this.#await('times')
      case 1:
      case 2:
        return this.#tell(this.#operation(), { path: this.#command.path }, statusError(line))
      default:
        throw new Undecodable('an unknown control line')
    }
  }

  #entry(line: Buffer): void {
    const [, , size = '', name = ''] = CONTROL.exec(line.toString('latin1')) ?? []
    if (name === '') throw new Undecodable('a malformed control line')
    const text = textOfBytes(Buffer.from(name, 'latin1'))
    if (line[0] === 0x44) {
      if (this.#folders.length >= MAX_DEPTH) throw new Undecodable('folders too deep')
      this.#folders.push(text)
      return this.#await('folder')
    }
    const path = [...this.#folders, text].join('/')
    this.#transfer = { path, size: Number(size), left: Number(size), hash: null, error: null }
    this.#await('file')
  }

  #await(what: Awaited): void {
    this.#awaited = what
    const early = this.#early
    this.#early = null
    if (early !== null) this.#status(early.error)
  }

  #sink(bytes: Uint8Array): void {
    let rest = bytes
    while (rest.length > 0) {
      rest = rest.subarray(this.#sinkLine.push(rest))
      const line = this.#sinkLine.take()
      if (line === null) continue
      const error = statusError(line)
      if (this.#awaited !== null) this.#status(error)
      // A sink that cannot write says so at once; the source reads it when it has sent the file.
      else if (error !== null && this.#early === null) this.#early = { error }
      else throw new Undecodable('a status that nothing asked for')
    }
  }

  #status(error: string | null): void {
    const about = this.#awaited
    this.#awaited = null
    if (about === 'start' && error !== null) this.#tell(this.#operation(), { path: this.#command.path }, error)
    if (about === 'folder') this.#folderStatus(error)
    if (about === 'folder end') this.#folders.pop()
    if (about === 'file') this.#fileStatus(error)
    if (about === 'data') this.#finish(error)
    const held = this.#held
    this.#held = []
    this.#heldBytes = 0
    for (const bytes of held) this.#source(bytes)
  }

  #folderStatus(error: string | null): void {
    if (this.#command.direction === 'upload') this.#tell('mkdir', this.#place(this.#folders.join('/')), error)
    if (error !== null) this.#folders.pop()
  }

  #fileStatus(error: string | null): void {
    const transfer = this.#transfer
    if (transfer === null) return
    this.#tell('open', { ...this.#place(transfer.path), size: transfer.size }, error)
    if (error !== null) this.#transfer = null
  }

  #finish(error: string | null): void {
    const transfer = this.#transfer
    this.#transfer = null
    if (transfer === null) return
    const moved = transfer.size - transfer.left
    const sha256 = transfer.left === 0 ? (transfer.hash ?? this.#newHash()).digest() : null
    if (sha256 === null) transfer.hash?.drop()
    this.#tell(this.#operation(), { ...this.#place(transfer.path), size: moved, sha256 }, transfer.error ?? error)
  }

  #operation(): 'read' | 'write' {
    return this.#command.direction === 'upload' ? 'write' : 'read'
  }

  /**
   * Uploads: the name as sent, and in `to` the path that the command named, which is a file or a folder, only the target
   * knows. Downloads: the name beside the path that the command named.
   */
  #place(name: string): Pick<FileEntry, 'path' | 'to'> {
    if (this.#command.direction === 'upload') return { path: name, to: this.#command.path }
    const folder = this.#command.path.slice(0, this.#command.path.replace(/\/+$/, '').lastIndexOf('/') + 1)
    return { path: folder + name }
  }

  #tell(
    operation: FileEntry['operation'],
    what: Pick<FileEntry, 'path' | 'to' | 'size' | 'sha256'>,
    error: string | null,
  ): void {
    const failure = error === null ? {} : { error }
    this.#emit({
      kind: 'file',
      channel: this.#channel,
      via: 'scp',
      operation,
      ...what,
      ok: error === null,
      ...failure,
    })
  }

  #abandon(): void {
    this.#held = []
    if (this.#transfer !== null && this.#awaited !== 'file') this.#finish('the channel ended before the file did')
    this.#transfer = null
  }
}

/** null: good. Errors: Undecodable when it is no status. */
function statusError(line: Buffer): string | null {
  if (line[0] === 0) return null
  if (line[0] !== 1 && line[0] !== 2) throw new Undecodable('a malformed status')
  return textOfBytes(line.subarray(1), 500) || 'unknown error'
}
