import { createHash, randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import type { RecordingEntry } from '../../../../formats/recording-record.ts'
import { KEPT_BYTES, StreamDigest } from './stream-digest.ts'

function observed(recordInput = false) {
  const entries: RecordingEntry[] = []
  const observer = new StreamDigest({ channel: 3, recordInput }, (entry) => entries.push(entry))
  return { entries, observer }
}
const lengthOf = (entries: readonly RecordingEntry[], kind: 'output' | 'input'): number =>
  entries.reduce((sum, entry) => sum + (entry.kind === kind ? entry.bytes.length : 0), 0)

test('a short stream is kept whole and needs no digest', () => {
  const { entries, observer } = observed()
  observer.fromTarget(Buffer.from('out'), 'stdout')
  observer.fromTarget(Buffer.from('err'), 'stderr')
  observer.end()
  expect(entries).toMatchObject([
    { kind: 'output', stream: 'stdout' },
    { kind: 'output', stream: 'stderr' },
  ])
})

test('of a long one the first 256 KiB are kept, then length and hash of the whole', () => {
  const { entries, observer } = observed()
  const bytes = randomBytes(KEPT_BYTES + 100_001)
  for (let at = 0; at < bytes.length; at += 32_000) observer.fromTarget(bytes.subarray(at, at + 32_000), 'stdout')
  expect(lengthOf(entries, 'output')).toBe(KEPT_BYTES)
  observer.end()
  expect(entries.at(-1)).toEqual({
    kind: 'stream',
    channel: 3,
    stream: 'stdout',
    length: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
  })
})

test('input is told by length and hash alone, unless input is recorded', () => {
  const closed = observed()
  closed.observer.fromClient(Buffer.from('password\n'))
  closed.observer.end()
  expect(closed.entries).toMatchObject([{ kind: 'stream', stream: 'stdin', length: 9 }])
  const open = observed(true)
  open.observer.fromClient(Buffer.from('text\n'))
  open.observer.end()
  expect(open.entries).toMatchObject([{ kind: 'input', bytes: Buffer.from('text\n') }])
})

test('what the recorder throws reaches the relay', () => {
  const observer = new StreamDigest({ channel: 0, recordInput: false }, () => {
    throw new Error('disk full')
  })
  expect(() => observer.fromTarget(Buffer.from('x'), 'stdout')).toThrow('disk full')
})
