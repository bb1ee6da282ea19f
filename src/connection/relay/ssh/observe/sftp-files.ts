import type { FileOperation } from '../../../../formats/recording-record.ts'
import type { ByteRun } from './byte-run.ts'
import { Undecodable } from './undecodable.ts'

/** More than a stock server lets one session open. */
const MAX_HANDLES = 1024
/** Requests under way; the stock client has 64. */
const MAX_PENDING = 2048
/** Characters of paths in requests under way and open files, together. */
const MAX_TEXT = 2 * 1024 * 1024

export interface OpenFile {
  readonly path: string
  readonly forWriting: boolean
  readonly read: ByteRun
  readonly written: ByteRun
  /** A READ was sent: a file that is empty was read, too. */
  wasRead: boolean
  readError: string | null
  writeError: string | null
  closing: boolean
}

export interface PathOperation {
  readonly operation: FileOperation
  readonly path: string
  readonly to?: string
}

export type Pending =
  | { readonly kind: 'other' }
  | { readonly kind: 'path'; readonly what: PathOperation }
  | { readonly kind: 'open'; readonly path: string; readonly forWriting: boolean }
  | { readonly kind: 'opendir'; readonly path: string }
  | { readonly kind: 'read'; readonly file: OpenFile; readonly offset: number; readonly length: number }
  | { readonly kind: 'write'; readonly file: OpenFile }
  | { readonly kind: 'close'; readonly handle: string; readonly file: OpenFile | 'folder' }

/** Requests under way and open handles of one SFTP channel, bounded. Errors: Undecodable at a limit or a contradiction. */
export class SftpFiles {
  readonly #pending = new Map<number, Pending>()
  readonly #handles = new Map<string, OpenFile | 'folder'>()
  #text = 0

  ask(id: number, request: Pending): void {
    // Two requests of one id: nobody could tell whose answer comes.
    if (this.#pending.has(id)) throw new Undecodable(`request id ${id} used again before its answer`)
    if (this.#pending.size >= MAX_PENDING) throw new Undecodable('too many requests at once')
    this.#charge(textIn(request))
    this.#pending.set(id, request)
  }

  answer(id: number): Pending {
    const request = this.#pending.get(id)
    if (request === undefined) throw new Undecodable(`an answer to request ${id}, which nobody sent`)
    this.#pending.delete(id)
    this.#text -= textIn(request)
    return request
  }

  opened(handle: string, file: OpenFile | 'folder'): void {
    if (this.#handles.has(handle)) throw new Undecodable('a handle given twice')
    if (this.#handles.size >= MAX_HANDLES) throw new Undecodable('too many open files')
    this.#charge(file === 'folder' ? 0 : file.path.length)
    this.#handles.set(handle, file)
  }

  /** The file to be read or written. */
  file(handle: string): OpenFile {
    const file = this.#handles.get(handle)
    if (file === undefined || file === 'folder') throw new Undecodable('a handle that is not open')
    // The server may give the same handle to the next file: whose bytes come cannot be told.
    if (file.closing) throw new Undecodable('a handle used after its close was asked for')
    return file
  }

  find(handle: string): OpenFile | 'folder' | undefined {
    return this.#handles.get(handle)
  }

  closed(handle: string): void {
    const file = this.#handles.get(handle)
    if (file !== undefined && file !== 'folder') this.#text -= file.path.length
    this.#handles.delete(handle)
  }

  /** Empties both; what was there. */
  abandon(): { readonly files: OpenFile[]; readonly asked: PathOperation[] } {
    const files = [...this.#handles.values()].filter((file) => file !== 'folder')
    const asked = [...this.#pending.values()].flatMap((request) => unanswered(request))
    this.#handles.clear()
    this.#pending.clear()
    this.#text = 0
    return { files, asked }
  }

  #charge(text: number): void {
    if (this.#text + text > MAX_TEXT) throw new Undecodable('too much text in paths')
    this.#text += text
  }
}

function textIn(request: Pending): number {
  if (request.kind === 'path') return request.what.path.length + (request.what.to?.length ?? 0)
  return 'path' in request ? request.path.length : 0
}

function unanswered(request: Pending): PathOperation[] {
  if (request.kind === 'path') return [request.what]
  if (request.kind === 'open') return [{ operation: 'open', path: request.path }]
  if (request.kind === 'opendir') return [{ operation: 'list', path: request.path }]
  return []
}
