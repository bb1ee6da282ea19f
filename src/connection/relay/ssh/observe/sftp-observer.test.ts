import { createHash, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { RecordingEntry } from '../../../../formats/recording-record.ts'
import { copied, fileEntries } from './observed-entries.ts'
import { SftpObserver } from './sftp-observer.ts'

const u32 = (n: number): Buffer => {
  const b = Buffer.alloc(4)
  b.writeUInt32BE(n >>> 0)
  return b
}
const u64 = (n: number): Buffer => Buffer.concat([u32(Math.floor(n / 2 ** 32)), u32(n % 2 ** 32)])
const str = (s: string | Buffer): Buffer => {
  const b = Buffer.from(s as string)
  return Buffer.concat([u32(b.length), b])
}
const packet = (type: number, ...fields: Buffer[]): Buffer => {
  const body = Buffer.concat([Buffer.of(type), ...fields])
  return Buffer.concat([u32(body.length), body])
}
const INIT = packet(1, u32(3))
const VERSION = packet(2, u32(3), str('posix-rename@openssh.com'), str('1'))
const NO_ATTRS = u32(0)
const open = (id: number, path: string | Buffer, flags = 1): Buffer =>
  packet(3, u32(id), str(path), u32(flags), NO_ATTRS)
const close = (id: number, handle: string): Buffer => packet(4, u32(id), str(handle))
const read = (id: number, handle: string, offset: number, length: number): Buffer =>
  packet(5, u32(id), str(handle), u64(offset), u32(length))
const write = (id: number, handle: string, offset: number, data: Buffer): Buffer =>
  packet(6, u32(id), str(handle), u64(offset), str(data))
const status = (id: number, code = 0, text = ''): Buffer => packet(101, u32(id), u32(code), str(text), str(''))
const handle = (id: number, name: string): Buffer => packet(102, u32(id), str(name))
const data = (id: number, bytes: Buffer): Buffer => packet(103, u32(id), str(bytes))
const WRITING = 0x1a
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

type Said = ['client' | 'target', Buffer]
const c = (bytes: Buffer): Said => ['client', bytes]
const t = (bytes: Buffer): Said => ['target', bytes]
const GREETING: Said[] = [c(INIT), t(VERSION)]

/** What an observer tells of a conversation that comes in pieces of `piece` bytes. */
function told(conversation: readonly Said[], piece = Infinity, ended = true): RecordingEntry[] {
  const entries: RecordingEntry[] = []
  const observer = new SftpObserver({ channel: 2, recordInput: false }, (entry) => entries.push(copied(entry)))
  for (const [from, bytes] of conversation) {
    for (let at = 0; at < bytes.length; at += piece) {
      const part = Buffer.from(bytes.subarray(at, at + piece))
      if (from === 'client') observer.fromClient(part)
      else observer.fromTarget(part, 'stdout')
      // The relay encrypts its packets in place: whatever is kept must have been copied.
      part.fill(0xee)
    }
  }
  if (ended) observer.end()
  return entries
}

const content = randomBytes(150_000)
const blocks = Array.from({ length: 5 }, (_, i) => ({
  offset: i * 30_000,
  bytes: content.subarray(i * 30_000, (i + 1) * 30_000),
}))

describe('a file', () => {
  const download: Said[] = [
    ...GREETING,
    c(open(1, '/etc/big')),
    t(handle(1, 'h')),
    ...blocks.map(({ offset }, i) => c(read(10 + i, 'h', offset, 30_000))),
    c(read(20, 'h', 150_000, 30_000)),
    ...blocks.map(({ bytes }, i) => t(data(10 + i, bytes))),
    t(status(20, 1)),
    c(close(21, 'h')),
    t(status(21)),
  ]
  const upload: Said[] = [
    ...GREETING,
    c(open(1, '/tmp/new', WRITING)),
    t(handle(1, 'h')),
    ...blocks.map(({ offset, bytes }, i) => c(write(10 + i, 'h', offset, bytes))),
    ...blocks.map((_, i) => t(status(10 + i))),
    c(close(21, 'h')),
    t(status(21)),
  ]
  test.each([1, 7, 4096, 32_768, Infinity])('is told with size and hash, in pieces of %d bytes', (piece) => {
    expect(fileEntries(told(download, piece))).toEqual([
      { operation: 'open', path: '/etc/big', ok: true },
      { operation: 'read', path: '/etc/big', size: 150_000, sha256: sha256(content), ok: true },
    ])
    expect(fileEntries(told(upload, piece))).toEqual([
      { operation: 'open', path: '/tmp/new', ok: true },
      { operation: 'write', path: '/tmp/new', size: 150_000, sha256: sha256(content), ok: true },
    ])
  })

  test('answers out of order are put in order', () => {
    const conversation = download.filter(([from, bytes]) => from === 'client' || bytes[4] !== 103)
    const answers = blocks.map(({ bytes }, i) => t(data(10 + i, bytes)))
    const at = conversation.findIndex(([from, bytes]) => from === 'target' && bytes[4] === 101)
    fc.assert(
      fc.property(fc.shuffledSubarray(answers, { minLength: 5 }), (order) => {
        const entries = told([...conversation.slice(0, at), ...order, ...conversation.slice(at)], 5000)
        expect(fileEntries(entries)[1]).toMatchObject({ size: 150_000, sha256: sha256(content) })
      }),
      { numRuns: 20 },
    )
  })

  test('that is read in short answers and asked again for the rest has its hash', () => {
    const entries = told([
      ...GREETING,
      c(open(1, 'f')),
      t(handle(1, 'h')),
      c(read(2, 'h', 0, 1000)),
      c(read(3, 'h', 1000, 1000)),
      t(data(2, content.subarray(0, 600))),
      t(data(3, content.subarray(1000, 2000))),
      c(read(4, 'h', 600, 400)),
      t(data(4, content.subarray(600, 1000))),
      c(close(5, 'h')),
      t(status(5)),
    ])
    expect(fileEntries(entries)[1]).toMatchObject({ size: 2000, sha256: sha256(content.subarray(0, 2000)) })
  })

  test.each([
    ['begins behind its start', [[500, 1000]]],
    [
      'has a hole',
      [
        [0, 500],
        [600, 1000],
      ],
    ],
    [
      'is written twice in one place',
      [
        [0, 500],
        [400, 1000],
      ],
    ],
  ])('that %s has a size and no hash', (_what, runs) => {
    const writes = runs.map(([from = 0, to = 0], i) => [
      c(write(10 + i, 'h', from, content.subarray(from, to))),
      t(status(10 + i)),
    ])
    const entries = told([
      ...GREETING,
      c(open(1, 'f', WRITING)),
      t(handle(1, 'h')),
      ...writes.flat(),
      c(close(5, 'h')),
      t(status(5)),
    ] as Said[])
    const size = runs.reduce((sum, [from = 0, to = 0]) => sum + to - from, 0)
    expect(fileEntries(entries)[1]).toMatchObject({ operation: 'write', size, sha256: null })
  })

  test('that could not be written, or was cut afterwards, has no hash', () => {
    const start = [...GREETING, c(open(1, 'f', WRITING)), t(handle(1, 'h')), c(write(2, 'h', 0, content))]
    const end = [c(close(5, 'h')), t(status(5))]
    const failed = told([...start, t(status(2, 4, 'Failure')), ...end])
    expect(fileEntries(failed)[1]).toMatchObject({ ok: false, error: 'failure', sha256: null })
    const cut = told([...start, t(status(2)), c(packet(10, u32(3), str('h'), u32(1), u64(3))), t(status(3)), ...end])
    expect(fileEntries(cut).slice(1)).toMatchObject([
      { operation: 'setstat', path: 'f' },
      { operation: 'write', sha256: null },
    ])
  })

  test('that is empty is told, too', () => {
    const entries = told([
      ...GREETING,
      c(open(1, 'a')),
      t(handle(1, 'h')),
      c(read(2, 'h', 0, 100)),
      t(status(2, 1)),
      c(close(3, 'h')),
      t(status(3)),
    ])
    expect(fileEntries(entries)[1]).toEqual({
      operation: 'read',
      path: 'a',
      size: 0,
      sha256: sha256(Buffer.alloc(0)),
      ok: true,
    })
  })

  test('that is open when the channel ends is told with what had moved', () => {
    const conversation = [
      ...GREETING,
      c(open(1, 'f')),
      t(handle(1, 'h')),
      c(read(2, 'h', 0, 10)),
      t(data(2, content.subarray(0, 10))),
    ]
    expect(fileEntries(told(conversation))[1]).toMatchObject({ operation: 'read', size: 10, ok: false })
    expect(told(conversation, Infinity, false)).toHaveLength(1)
  })

  test('that may not be opened is told with the reason', () => {
    const entries = told([...GREETING, c(open(1, '/etc/shadow')), t(status(1, 3, 'Permission denied'))])
    expect(fileEntries(entries)).toEqual([
      { operation: 'open', path: '/etc/shadow', ok: false, error: 'permission denied' },
    ])
  })

  test('whose name is not UTF-8 keeps its bytes readable', () => {
    const entries = told([...GREETING, c(open(1, Buffer.from('caf\xe9\n', 'latin1'))), t(status(1, 2))])
    expect(fileEntries(entries)[0]).toMatchObject({ path: 'caf\\xe9\n' })
  })
})

describe('names', () => {
  test.each([
    ['remove', packet(13, u32(1), str('a')), { operation: 'remove', path: 'a' }],
    ['mkdir', packet(14, u32(1), str('a'), NO_ATTRS), { operation: 'mkdir', path: 'a' }],
    ['rmdir', packet(15, u32(1), str('a')), { operation: 'rmdir', path: 'a' }],
    ['rename', packet(18, u32(1), str('a'), str('b')), { operation: 'rename', path: 'a', to: 'b' }],
    [
      'posix-rename',
      packet(200, u32(1), str('posix-rename@openssh.com'), str('a'), str('b')),
      { operation: 'rename', path: 'a', to: 'b' },
    ],
    [
      'hardlink',
      packet(200, u32(1), str('hardlink@openssh.com'), str('a'), str('b')),
      { operation: 'link', path: 'a', to: 'b' },
    ],
    ['symlink', packet(20, u32(1), str('target'), str('link')), { operation: 'symlink', path: 'link', to: 'target' }],
    ['setstat', packet(9, u32(1), str('a'), NO_ATTRS), { operation: 'setstat', path: 'a' }],
    [
      'lsetstat',
      packet(200, u32(1), str('lsetstat@openssh.com'), str('a'), NO_ATTRS),
      { operation: 'setstat', path: 'a' },
    ],
    [
      'an extension nobody knows',
      packet(200, u32(1), str('rm-rf@evil'), str('/')),
      { operation: 'extended', path: 'rm-rf@evil' },
    ],
  ])('%s is told when it is answered, with the answer', (_what, request, expected) => {
    expect(fileEntries(told([...GREETING, c(request), t(status(1))]))).toEqual([{ ...expected, ok: true }])
    expect(fileEntries(told([...GREETING, c(request), t(status(1, 2))]))).toEqual([
      { ...expected, ok: false, error: 'no such file' },
    ])
    expect(fileEntries(told([...GREETING, c(request)]))[0]).toMatchObject({ ...expected, ok: false })
  })

  test('folders that are read are told once, queries never', () => {
    const entries = told([
      ...GREETING,
      c(packet(11, u32(1), str('/home'))),
      t(handle(1, 'd')),
      c(packet(12, u32(2), str('d'))),
      t(packet(104, u32(2), u32(0))),
      c(packet(17, u32(3), str('/home/x'))),
      t(packet(105, u32(3), NO_ATTRS)),
      c(close(4, 'd')),
      t(status(4)),
    ])
    expect(fileEntries(entries)).toEqual([{ operation: 'list', path: '/home', ok: true }])
  })
})

describe('what cannot be followed is said once, and its streams are kept', () => {
  const opened: Said[] = [...GREETING, c(open(1, 'f')), t(handle(1, 'h'))]
  test.each([
    ['an empty packet', [...GREETING, c(u32(0))]],
    ['a packet of 4 GiB', [...GREETING, c(u32(0xffffffff))]],
    ['a packet over 256 KiB', [...GREETING, t(u32(256 * 1024 + 1))]],
    ['another protocol', [c(Buffer.from('GET / HTTP/1.1\r\n\r\n'))]],
    ['a request before the greeting', [c(open(1, 'f'))]],
    ['a second greeting', [...GREETING, c(INIT)]],
    ['an older version', [c(packet(1, u32(2)))]],
    ['another version of the target', [c(INIT), t(packet(2, u32(6)))]],
    ['an unknown request', [...GREETING, c(packet(99, u32(1)))]],
    ['an unknown answer', [...GREETING, t(packet(99, u32(1)))]],
    ['an answer to nothing', [...GREETING, t(status(5))]],
    ['an id used twice at once', [...GREETING, c(open(1, 'a')), c(open(1, 'b'))]],
    ['data for a file that nobody opened', [...GREETING, c(write(1, 'x', 0, content))]],
    ['data that nobody asked for', [...opened, c(packet(13, u32(2), str('x'))), t(data(2, content))]],
    ['more data than was asked for', [...opened, c(read(2, 'h', 0, 10)), t(data(2, content.subarray(0, 11)))]],
    [
      'data that is shorter than its packet',
      [...opened, c(Buffer.concat([u32(30), Buffer.of(6), u32(2), str('h'), u64(0), u32(3), Buffer.alloc(8)]))],
    ],
    ['a handle of a megabyte', [...GREETING, c(Buffer.concat([u32(1000), Buffer.of(6), u32(2), u32(1_000_000)]))]],
    ['a handle given twice', [...opened, c(open(2, 'g')), t(handle(2, 'h'))]],
    ['an opened file without a handle', [...GREETING, c(open(1, 'f')), t(status(1, 0))]],
    ['a file read after its close was asked for', [...opened, c(close(2, 'h')), c(read(3, 'h', 0, 1))]],
    ['a string that ends outside its packet', [...GREETING, c(packet(18, u32(1), u32(50), Buffer.from('a')))]],
    [
      'too many requests at once',
      [...GREETING, ...Array.from({ length: 2049 }, (_, i) => c(packet(17, u32(i), str('x'))))],
    ],
    [
      'too many open files',
      [...GREETING, ...Array.from({ length: 1025 }, (_, i) => [c(open(i, 'f')), t(handle(i, `h${i}`))]).flat()],
    ],
    [
      'too much text in paths',
      [...GREETING, ...Array.from({ length: 600 }, (_, i) => c(packet(13, u32(i), str('x'.repeat(4000)))))],
    ],
  ] satisfies [string, Said[]][])('%s', (_what, conversation) => {
    const entries = told([...conversation, t(Buffer.from('then text'))])
    expect(entries.filter((entry) => entry.kind === 'unparsed')).toHaveLength(1)
    expect(entries).toContainEqual({ kind: 'output', channel: 2, stream: 'stdout', bytes: Buffer.from('then text') })
  })

  test('files that were open then are told as unfinished', () => {
    const entries = told([...opened, c(u32(0))])
    expect(entries.map((entry) => entry.kind)).toEqual(['file', 'unparsed', 'stream'])
  })

  test('a path of 100 KiB is cut and says so', () => {
    const entries = told([...GREETING, c(packet(13, u32(1), str('x'.repeat(100_000)))), t(status(1, 2))])
    expect(JSON.stringify(entries)).toContain('more bytes)')
    expect(JSON.stringify(entries).length).toBeLessThan(5000)
  })

  test('stderr of the subsystem is kept as output', () => {
    const entries: RecordingEntry[] = []
    const observer = new SftpObserver({ channel: 0, recordInput: false }, (entry) => entries.push(entry))
    observer.fromTarget(Buffer.from('warning'), 'stderr')
    expect(entries).toMatchObject([{ kind: 'output', stream: 'stderr' }])
  })
})

describe('of anything at all', () => {
  const some = fc.oneof(
    fc.uint8Array({ maxLength: 60 }).map((b) => Buffer.from(b)),
    fc
      .record({ type: fc.nat(255), body: fc.uint8Array({ maxLength: 40 }) })
      .map((p) => packet(p.type, Buffer.from(p.body))),
    fc.constantFrom(
      INIT,
      VERSION,
      open(1, 'a'),
      handle(1, 'h'),
      read(2, 'h', 0, 9),
      data(2, Buffer.alloc(9)),
      close(3, 'h'),
      status(3),
    ),
  )
  const conversation = fc.array(fc.tuple(fc.constantFrom('client' as const, 'target' as const), some), {
    maxLength: 20,
  })

  test('it never throws, and tells the same however the bytes are split', () => {
    fc.assert(
      fc.property(conversation, fc.integer({ min: 1, max: 50 }), (said, piece) => {
        const whole = told(said).filter((entry) => entry.kind === 'file')
        expect(told(said, piece).filter((entry) => entry.kind === 'file')).toEqual(whole)
      }),
      { numRuns: 300 },
    )
  })
})
