// SFTP version 3 packets without file data (draft-ietf-secsh-filexfer-02), in OpenSSH's reading of them. Numbers in brackets
// are types; every packet but INIT and VERSION continues with uint32 id.
//
//   INIT [1]      uint32 version                    OPEN [3]     string path | uint32 pflags | ATTRS
//   CLOSE [4]     string handle                     READ [5]     string handle | uint64 offset | uint32 length
//   SETSTAT [9]   string path | ATTRS               FSETSTAT [10] string handle | ATTRS
//   OPENDIR [11]  string path                       REMOVE [13], MKDIR [14], RMDIR [15]  string path ...
//   RENAME [18]   string old | string new           SYMLINK [20] string target | string link (the draft has them swapped)
//   EXTENDED [200] string name | ...
//   VERSION [2]   uint32 version | ...              STATUS [101] uint32 code | string message | string language
//   HANDLE [102]  string handle                     NAME [104], ATTRS [105], EXTENDED_REPLY [201]  not looked into
import { SftpFields } from './sftp-fields.ts'
import type { PathOperation } from './sftp-files.ts'
import { Undecodable } from './undecodable.ts'

export type Request =
  | { readonly kind: 'init' }
  | { readonly kind: 'other'; readonly id: number }
  | { readonly kind: 'path'; readonly id: number; readonly what: PathOperation }
  | { readonly kind: 'open'; readonly id: number; readonly path: string; readonly forWriting: boolean }
  | { readonly kind: 'opendir'; readonly id: number; readonly path: string }
  | {
      readonly kind: 'read'
      readonly id: number
      readonly handle: string
      readonly offset: number
      readonly length: number
    }
  | { readonly kind: 'close'; readonly id: number; readonly handle: string }
  | { readonly kind: 'setstat'; readonly id: number; readonly handle: string; readonly size: number | null }
  | { readonly kind: 'copy'; readonly id: number; readonly from: string; readonly to: string }

export type Answer =
  | { readonly kind: 'version'; readonly version: number }
  | { readonly kind: 'status'; readonly id: number; readonly error: string | null }
  | { readonly kind: 'handle'; readonly id: number; readonly handle: string }
  | { readonly kind: 'other'; readonly id: number }

const WRITE_FLAG = 2
const HAS_SIZE = 1
/** Asks and changes nothing, or is answered from what is known. LSTAT, FSTAT, READDIR, REALPATH, STAT, READLINK */
const QUERIES: ReadonlySet<number> = new Set([7, 8, 12, 16, 17, 19])
const EXTENDED_QUERIES: ReadonlySet<string> = new Set([
  'statvfs@openssh.com',
  'fstatvfs@openssh.com',
  'fsync@openssh.com',
  'limits@openssh.com',
  'expand-path@openssh.com',
  'home-directory',
  'users-groups-by-id@openssh.com',
  'check-file',
  'space-available',
])
const STATUS_NAMES = [
  'ok',
  'end of file',
  'no such file',
  'permission denied',
  'failure',
  'bad message',
  'no connection',
  'connection lost',
  'operation unsupported',
]

/** Errors: Undecodable. */
export function readRequest(type: number, body: Buffer): Request {
  const from = new SftpFields(body)
  if (type === 1) {
    if (from.uint32() < 3) throw new Undecodable('a version below 3')
    return { kind: 'init' }
  }
  const id = from.uint32()
  const path = (operation: PathOperation['operation']): Request => ({
    kind: 'path',
    id,
    what: { operation, path: from.text() },
  })
  if (QUERIES.has(type)) return { kind: 'other', id }
  switch (type) {
    case 3: {
      const name = from.text()
      return { kind: 'open', id, path: name, forWriting: (from.uint32() & WRITE_FLAG) !== 0 }
    }
    case 4:
      return { kind: 'close', id, handle: from.handle() }
    case 5:
      return { kind: 'read', id, handle: from.handle(), offset: from.uint64(), length: from.uint32() }
    case 9:
      return path('setstat')
    case 10:
      return { kind: 'setstat', id, handle: from.handle(), size: from.uint32() & HAS_SIZE ? from.uint64() : null }
    case 11:
      return { kind: 'opendir', id, path: from.text() }
    case 13:
      return path('remove')
    case 14:
      return path('mkdir')
    case 15:
      return path('rmdir')
    case 18:
      return fromTo('rename', id, from)
    case 20: {
      const to = from.text()
      return { kind: 'path', id, what: { operation: 'symlink', path: from.text(), to } }
    }
    case 200:
      return readExtended(id, from)
    default:
      throw new Undecodable(`a request of type ${type}`)
  }
}

function fromTo(operation: PathOperation['operation'], id: number, from: SftpFields): Request {
  const path = from.text()
  return { kind: 'path', id, what: { operation, path, to: from.text() } }
}

function readExtended(id: number, from: SftpFields): Request {
  const name = from.text(200)
  switch (name) {
    case 'posix-rename@openssh.com':
      return fromTo('rename', id, from)
    case 'hardlink@openssh.com':
      return fromTo('link', id, from)
    case 'lsetstat@openssh.com':
      return { kind: 'path', id, what: { operation: 'setstat', path: from.text() } }
    case 'copy-data': {
      const source = from.handle()
      from.uint64()
      from.uint64()
      return { kind: 'copy', id, from: source, to: from.handle() }
    }
    default:
      if (EXTENDED_QUERIES.has(name)) return { kind: 'other', id }
      return { kind: 'path', id, what: { operation: 'extended', path: name } }
  }
}

/** Errors: Undecodable. */
export function readAnswer(type: number, body: Buffer): Answer {
  const from = new SftpFields(body)
  if (type === 2) return { kind: 'version', version: from.uint32() }
  const id = from.uint32()
  switch (type) {
    case 101: {
      const code = from.uint32()
      if (code === 0) return { kind: 'status', id, error: null }
      const name = STATUS_NAMES[code] ?? `code ${code}`
      const text = code === 1 || from.isAtEnd ? '' : from.text(200)
      return { kind: 'status', id, error: text === '' || text.toLowerCase() === name ? name : `${name}: ${text}` }
    }
    case 102:
      return { kind: 'handle', id, handle: from.handle() }
    case 104:
    case 105:
    case 201:
      return { kind: 'other', id }
    default:
      throw new Undecodable(`an answer of type ${type}`)
  }
}
