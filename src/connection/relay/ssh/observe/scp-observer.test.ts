import { createHash, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { RecordingEntry } from '../../../../formats/recording-record.ts'
import { copied, fileEntries } from './observed-entries.ts'
import { scpCommand } from './scp-command.ts'
import { ScpObserver } from './scp-observer.ts'

const OK = '\0'
type Said = ['source' | 'sink', string | Buffer]
const bytesOf = (said: string | Buffer): Buffer => (typeof said === 'string' ? Buffer.from(said, 'latin1') : said)

function told(command: string, conversation: readonly Said[], piece = Infinity): RecordingEntry[] {
  const parsed = scpCommand(command)
  if (parsed === null) throw new Error('no scp command')
  const entries: RecordingEntry[] = []
  const observer = new ScpObserver({ channel: 1, recordInput: false }, parsed, (entry) => entries.push(copied(entry)))
  const source = parsed.direction === 'upload' ? 'client' : 'target'
  for (const [from, said] of conversation) {
    const bytes = bytesOf(said)
    for (let at = 0; at < bytes.length; at += piece) {
      const part = Buffer.from(bytes.subarray(at, at + piece))
      if ((from === 'source') === (source === 'client')) observer.fromClient(part)
      else observer.fromTarget(part, 'stdout')
      part.fill(0xee)
    }
  }
  observer.end()
  return entries
}

const content = randomBytes(70_000)
const sha256 = createHash('sha256').update(content).digest('hex')
const one: Said[] = [
  ['sink', OK],
  ['source', 'T1700000000 0 1700000000 0\n'],
  ['sink', OK],
  ['source', 'C0644 70000 a b.txt\n'],
  ['sink', OK],
  ['source', content],
  ['source', OK],
  ['sink', OK],
]

describe('scp', () => {
  test.each([1, 13, 32_768, Infinity])('a file is told in both directions, in pieces of %d bytes', (piece) => {
    expect(fileEntries(told('scp -p -t /tmp', one, piece))).toEqual([
      { operation: 'open', path: 'a b.txt', to: '/tmp', size: 70_000, ok: true },
      { operation: 'write', path: 'a b.txt', to: '/tmp', size: 70_000, sha256, ok: true },
    ])
    expect(fileEntries(told('scp -p -f /etc/a*', one, piece))).toEqual([
      { operation: 'open', path: '/etc/a b.txt', size: 70_000, ok: true },
      { operation: 'read', path: '/etc/a b.txt', size: 70_000, sha256, ok: true },
    ])
  })

  test('folders give their names to what is in them', () => {
    const conversation: Said[] = [
      ['sink', OK],
      ['source', 'D0755 0 d\n'],
      ['sink', OK],
      ['source', 'D0755 0 e\n'],
      ['sink', OK],
      ['source', 'C0600 0 empty\n'],
      ['sink', OK],
      ['source', OK],
      ['sink', OK],
      ['source', 'E\n'],
      ['sink', OK],
      ['source', 'C0600 0 x\n'],
      ['sink', '\x01scp: d/x: Permission denied\n'],
      ['source', 'E\n'],
      ['sink', OK],
    ]
    expect(
      fileEntries(told('scp -r -t up', conversation)).map(({ operation, path, ok }) => [operation, path, ok]),
    ).toEqual([
      ['mkdir', 'd', true],
      ['mkdir', 'd/e', true],
      ['open', 'd/e/empty', true],
      ['write', 'd/e/empty', true],
      ['open', 'd/x', false],
    ])
  })

  test.each([
    [
      'the sink refuses at once',
      [['sink', '\x01scp: /nope: No such file or directory\n']],
      { operation: 'write', ok: false },
    ],
    [
      'the source has no such file',
      [
        ['sink', OK],
        ['source', '\x01scp: x: No such file\n'],
      ],
      { path: '/tmp', ok: false, error: 'scp: x: No such file' },
    ],
    [
      'the source cannot read on',
      [...one.slice(0, 6), ['source', '\x01scp: read error\n'], ['sink', OK]],
      { operation: 'write', error: 'scp: read error' },
    ],
    [
      'the sink cannot write on and says so early',
      [
        ...one.slice(0, 5),
        ['source', content.subarray(0, 9)],
        ['sink', '\x01disk full\n'],
        ['source', content.subarray(9)],
        ['source', OK],
      ],
      { operation: 'write', error: 'disk full' },
    ],
    [
      'the channel ends in the middle',
      [...one.slice(0, 5), ['source', content.subarray(0, 9)]],
      { operation: 'write', size: 9, sha256: null, ok: false },
    ],
  ] as [string, Said[], object][])('%s', (_what, conversation, last) => {
    const entries = told('scp -t /tmp', conversation)
    expect(entries.at(-1)).toMatchObject(last)
    expect(entries.filter((entry) => entry.kind !== 'file')).toEqual([])
  })

  test('a source that does not wait for the sink is followed all the same', () => {
    const hasty: Said[] = [
      ['source', Buffer.concat(one.filter(([from]) => from === 'source').map(([, said]) => bytesOf(said)))],
    ]
    const entries = told('scp -p -t /tmp', [...hasty, ['sink', OK], ['sink', OK], ['sink', OK], ['sink', OK]])
    expect(fileEntries(entries).at(-1)).toMatchObject({ operation: 'write', size: 70_000, sha256 })
  })

  test.each([
    ['a shell prompt instead of a status', [['sink', 'Welcome to Linux\n']]],
    [
      'an unknown control line',
      [
        ['sink', OK],
        ['source', 'X1\n'],
      ],
    ],
    [
      'a size that is none',
      [
        ['sink', OK],
        ['source', 'C0644 -1 x\n'],
      ],
    ],
    [
      'a size with 16 digits',
      [
        ['sink', OK],
        ['source', 'C0644 9999999999999999 x\n'],
      ],
    ],
    [
      'a name that is missing',
      [
        ['sink', OK],
        ['source', 'C0644 1 \n'],
      ],
    ],
    [
      'an end without a folder',
      [
        ['sink', OK],
        ['source', 'E\n'],
      ],
    ],
    [
      'a line without end',
      [
        ['sink', OK],
        ['source', 'C'.repeat(9000)],
      ],
    ],
    ['a source far ahead', [['source', Buffer.alloc(300_000)]]],
    [
      'a status that nothing asked for',
      [
        ['sink', OK],
        ['sink', OK],
      ],
    ],
    [
      'folders without end',
      [
        ['sink', OK],
        ...Array.from({ length: 257 }, () => [
          ['source', 'D0755 0 d\n'],
          ['sink', OK],
        ]).flat(),
      ],
    ],
  ] as [string, Said[]][])('%s is said to be not followed, and the streams are kept', (_what, conversation) => {
    const entries = told('scp -t /tmp', [...conversation, ['sink', 'then text']])
    expect(entries.filter((entry) => entry.kind === 'unparsed')).toHaveLength(1)
    expect(entries).toContainEqual({ kind: 'output', channel: 1, stream: 'stdout', bytes: Buffer.from('then text') })
  })

  test('whatever comes, it never throws and tells the same however it is split', () => {
    const some = fc.oneof(
      fc.constantFrom(OK, 'C0644 3 x\n', 'abc', 'D0755 0 d\n', 'E\n', 'T1 0 1 0\n', '\x01no\n', '\x02no\n'),
      fc.uint8Array({ maxLength: 20 }).map((b) => Buffer.from(b).toString('latin1')),
    )
    const conversation = fc.array(fc.tuple(fc.constantFrom('source' as const, 'sink' as const), some), {
      maxLength: 25,
    })
    fc.assert(
      fc.property(conversation, fc.integer({ min: 1, max: 9 }), (said, piece) => {
        const whole = told('scp -t x', said).filter((entry) => entry.kind === 'file')
        expect(told('scp -t x', said, piece).filter((entry) => entry.kind === 'file')).toEqual(whole)
      }),
      { numRuns: 300 },
    )
  })
})

describe('the command of scp -O', () => {
  test.each([
    ['scp -t /tmp', { direction: 'upload', path: '/tmp' }],
    ['scp -r -p -d -t -- a b', { direction: 'upload', path: 'a b' }],
    ['/usr/bin/scp -pf *.txt', { direction: 'download', path: '*.txt' }],
    ["scp -v -f '~/x y'", { direction: 'download', path: "'~/x y'" }],
  ])('%s', (command, expected) => expect(scpCommand(command)).toEqual(expected))

  test.each([
    'scp -t /tmp; sh',
    'scp -f $(id)',
    'scp -f `id`',
    'scp -t x && sh',
    'scp -t x | sh',
    'scp -t x > y',
    'scp -t x\nsh',
    'scp -t',
    'scp a b',
    'scp -t -f x',
    'sh -c scp -t x',
    'notscp -t x',
    '',
  ])('%j is a command like any other', (command) => expect(scpCommand(command)).toBeNull())
})
