import type { FileEntry } from '../../../../formats/recording-record.ts'
import { ByteRun, HOLD_LIMIT } from './byte-run.ts'
import type { ChannelObserver, Emit, ObservedChannel } from './observer.ts'
import { type NewHash, newFileSha256 } from './running-hash.ts'
import { SftpFields } from './sftp-fields.ts'
import { type OpenFile, type PathOperation, type Pending, SftpFiles } from './sftp-files.ts'
import { DATA, SftpFramer, WRITE } from './sftp-packets.ts'
import { type Answer, readAnswer, readRequest, type Request } from './sftp-messages.ts'
import { StreamDigest } from './stream-digest.ts'
import { Undecodable } from './undecodable.ts'

const UNFINISHED = 'the channel ended before the file was closed'
const UNANSWERED = 'the channel ended before the answer'

/**
 * Follows SFTP version 3 (draft-ietf-secsh-filexfer-02, and OpenSSH's extensions in its PROTOCOL file) in both directions.
 * Each file becomes an `open` record before its first byte moves and a `read` or `write` with size and hash when it is
 * closed; everything that changes a name or attribute becomes a record when it is answered. Queries (stat, readdir) do not.
 * What cannot be followed becomes `unparsed`, and the streams are kept as those of a command.
 */
export class SftpObserver implements ChannelObserver {
  readonly #channel: number
  readonly #emit: Emit
  readonly #newHash: NewHash
  readonly #streams: StreamDigest
  readonly #files = new SftpFiles()
  readonly #budget = { left: HOLD_LIMIT }
  readonly #client: SftpFramer
  readonly #target: SftpFramer
  #run: ByteRun | null = null
  #offset = 0
  #greeted = 0
  #lost = false

  constructor(channel: ObservedChannel, emit: Emit, newHash: NewHash = newFileSha256) {
    this.#channel = channel.channel
    this.#emit = emit
    this.#newHash = newHash
    this.#streams = new StreamDigest(channel, emit, newHash)
    // Two framers, two runs: data of both directions interleave.
    const part = { run: null as ByteRun | null, offset: 0 }
    this.#client = new SftpFramer(WRITE, {
      packet: (type, body) => this.#request(readRequest(type, body)),
      data: (head) => {
        const fields = new SftpFields(head)
        const id = fields.uint32()
        const file = this.#files.file(fields.handle())
        this.#files.ask(id, { kind: 'write', file })
        part.run = file.written
        part.offset = fields.uint64()
      },
      part: (bytes) => {
        part.run?.take(part.offset, bytes)
        part.offset += bytes.length
      },
    })
    this.#target = new SftpFramer(DATA, {
      packet: (type, body) => this.#answer(readAnswer(type, body)),
      data: (head, length) => this.#dataAnswer(new SftpFields(head).uint32(), length),
      part: (bytes) => {
        this.#run?.take(this.#offset, bytes)
        this.#offset += bytes.length
      },
    })
  }

  fromClient(bytes: Uint8Array): void {
    if (this.#lost || !this.#follow(this.#client, bytes)) this.#streams.fromClient(bytes)
  }

  fromTarget(bytes: Uint8Array, stream: 'stdout' | 'stderr'): void {
    if (stream === 'stderr' || this.#lost || !this.#follow(this.#target, bytes)) this.#streams.fromTarget(bytes, stream)
  }

  end(): void {
    this.#abandon()
    this.#streams.end()
  }

  #follow(framer: SftpFramer, bytes: Uint8Array): boolean {
    try {
      framer.push(bytes)
      return true
    } catch (error) {
      if (!(error instanceof Undecodable)) throw error
      this.#lost = true
      this.#emit({ kind: 'unparsed', channel: this.#channel, reason: `sftp: ${error.message}` })
      this.#abandon()
      return false
    }
  }

  #request(request: Request): void {
    const files = this.#files
    if (request.kind === 'init') return this.#greet(1)
    if (this.#greeted === 0) throw new Undecodable('a request before the greeting')
    switch (request.kind) {
      case 'open':
      case 'opendir':
      case 'path':
      case 'other':
        return files.ask(request.id, request)
      case 'read': {
        const file = files.file(request.handle)
        file.wasRead = true
        return files.ask(request.id, { ...request, file })
      }
      case 'setstat': {
        const file = files.find(request.handle)
        const path = file === undefined || file === 'folder' ? '(an open folder)' : file.path
        // What was written is cut or padded: it is no longer what was seen. (The stock client sets the size it has written.)
        if (request.size !== null && file !== undefined && file !== 'folder' && request.size !== file.written.moved) {
          file.written.break()
        }
        return files.ask(request.id, { kind: 'path', what: { operation: 'setstat', path } })
      }
      case 'copy': {
        const [from, to] = [files.file(request.from), files.file(request.to)]
        to.written.break()
        return files.ask(request.id, { kind: 'path', what: { operation: 'copy', path: from.path, to: to.path } })
      }
      case 'close': {
        const file = files.find(request.handle)
        if (file === undefined) return files.ask(request.id, { kind: 'other' })
        if (file !== 'folder') {
          if (file.closing) throw new Undecodable('a handle closed twice')
          file.closing = true
        }
        return files.ask(request.id, { kind: 'close', handle: request.handle, file })
      }
    }
  }

  /** The client's INIT comes first, the target's VERSION 3 second; neither comes again. */
  #greet(step: 1 | 2): void {
    if (this.#greeted !== step - 1) throw new Undecodable('a greeting out of turn')
    this.#greeted = step
  }

  #answer(answer: Answer): void {
    if (answer.kind === 'version') {
      this.#greet(2)
      if (answer.version !== 3) throw new Undecodable(`version ${answer.version}`)
      return
    }
    const request = this.#files.answer(answer.id)
    checkFits(request, answer)
    const error = answer.kind === 'status' ? answer.error : null
    switch (request.kind) {
      case 'other':
        return
      case 'path':
        return this.#tell(request.what, error)
      case 'open':
      case 'opendir': {
        this.#tell({ operation: request.kind === 'open' ? 'open' : 'list', path: request.path }, error)
        if (answer.kind === 'handle') this.#opened(answer.handle, request.kind === 'open' ? request : null)
        return
      }
      case 'read':
        if (error !== null && error !== 'end of file') request.file.readError = error
        return
      case 'write':
        if (error === null) return
        request.file.written.break()
        request.file.writeError = error
        return
      case 'close':
        this.#files.closed(request.handle)
        if (request.file !== 'folder') this.#closed(request.file, error)
    }
  }

  #dataAnswer(id: number, length: number): void {
    const request = this.#files.answer(id)
    this.#run = null
    if (request.kind === 'other') return
    if (request.kind !== 'read' || length > request.length) throw new Undecodable('data that nobody asked for')
    this.#run = request.file.read
    this.#offset = request.offset
  }

  #opened(handle: string, file: { readonly path: string; readonly forWriting: boolean } | null): void {
    if (file === null) return this.#files.opened(handle, 'folder')
    this.#files.opened(handle, {
      path: file.path,
      forWriting: file.forWriting,
      read: new ByteRun(this.#newHash, this.#budget),
      written: new ByteRun(this.#newHash, this.#budget),
      wasRead: false,
      readError: null,
      writeError: null,
      closing: false,
    })
  }

  #closed(file: OpenFile, error: string | null): void {
    if (file.wasRead) this.#moved('read', file, file.read, file.readError ?? error)
    if (file.forWriting) this.#moved('write', file, file.written, file.writeError ?? error)
    file.read.break()
    file.written.break()
  }

  #moved(operation: 'read' | 'write', file: OpenFile, run: ByteRun, error: string | null): void {
    const sizes = { size: run.moved, sha256: run.digest() }
    this.#tell({ operation, path: file.path }, error, sizes)
  }

  #tell(what: PathOperation, error: string | null, sizes: Pick<FileEntry, 'size' | 'sha256'> = {}): void {
    const failure = error === null ? {} : { error }
    this.#emit({ kind: 'file', channel: this.#channel, via: 'sftp', ...what, ...sizes, ok: error === null, ...failure })
  }

  #abandon(): void {
    const { files, asked } = this.#files.abandon()
    for (const file of files) this.#closed(file, UNFINISHED)
    for (const what of asked) this.#tell(what, UNANSWERED)
  }
}

/** Errors: Undecodable when this is no answer to that request. */
function checkFits(request: Pending, answer: Answer): void {
  const isStatus = answer.kind === 'status'
  const opens = request.kind === 'open' || request.kind === 'opendir'
  const isFree = request.kind === 'other' || (request.kind === 'path' && request.what.operation === 'extended')
  if (isFree) return
  if (opens ? answer.kind === 'handle' || (isStatus && answer.error !== null) : isStatus) return
  throw new Undecodable('an answer that does not fit its request')
}
