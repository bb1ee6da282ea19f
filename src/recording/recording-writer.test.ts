import { existsSync, readFileSync, rmSync, statSync, symlinkSync, writeSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ManualClock } from '../../test/support/manual-clock.ts'
import { tempFolder, type TempFolder } from '../../test/support/temp-folder.ts'
import type { RecordingEntry, RecordingRecord } from '../formats/recording-record.ts'
import type { FileCalls } from './chunk-file.ts'
import { readRecording } from './recording-reader.ts'
import { RecordingFailed, type RecordingMode, RecordingWriter } from './recording-writer.ts'
import type { WalkEnd } from './walk-chunks.ts'

const SESSION = 'ses_019aa3c4-0000-7000-8000-00000000000a'
const KEY = Buffer.alloc(32, 3)
const META = { session: SESSION, user: 'ada', node: 'db-box', login: 'deploy' }
const output = (text: string): RecordingEntry => ({
  kind: 'output',
  channel: 0,
  stream: 'stdout',
  bytes: Buffer.from(text),
})

/** A disk that can be full, slow to sync, or take only part of a write. */
class FakeDisk implements FileCalls {
  room = Infinity
  syncError: Error | null = null
  syncs = 0
  running = 0
  overlapped = false
  held: (() => void)[] | null = null

  write(fd: number, bytes: Uint8Array): number {
    const taken = Math.min(bytes.length, this.room)
    if (taken === 0) throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
    this.room -= taken
    return writeSync(fd, bytes.subarray(0, taken))
  }

  async sync(): Promise<void> {
    this.syncs += 1
    this.running += 1
    if (this.running > 1) this.overlapped = true
    const held = this.held
    if (held !== null) await new Promise<void>((resolve) => held.push(resolve))
    this.running -= 1
    if (this.syncError !== null) throw this.syncError
  }

  syncFolder(): Promise<void> {
    return Promise.resolve()
  }
}

// `void writer.write`: in strict and best_effort it answers no promise.
let folder: TempFolder
let clock: ManualClock
let disk: FakeDisk
let failures: Error[]
let gaps: number[]
beforeEach(() => {
  folder = tempFolder('recording')
  clock = new ManualClock()
  disk = new FakeDisk()
  failures = []
  gaps = []
})
afterEach(() => folder[Symbol.dispose]())

const path = (): string => folder.file('session.rec')
function create(mode: RecordingMode): RecordingWriter {
  return RecordingWriter.create({ path: path(), keyId: 'key-1', key: KEY, mode }, META, {
    clock,
    onFailure: (error) => failures.push(error),
    onGap: (bytes) => gaps.push(bytes),
    calls: disk,
  })
}

async function played(): Promise<{ records: RecordingRecord[]; end: WalkEnd }> {
  const records: RecordingRecord[] = []
  const chunks = readRecording(path(), KEY)
  for (;;) {
    const next = await chunks.next()
    if (next.done) return { records, end: next.value }
    records.push(...next.value.records)
  }
}
const texts = (records: readonly RecordingRecord[]): string[] =>
  records.flatMap((record) => (record.kind === 'output' ? [Buffer.from(record.bytes).toString()] : []))

/** Lets promises of the writer settle: its own steps only, no real I/O waits. */
const settle = async (): Promise<void> => {
  for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve))
}

describe('strict', () => {
  test('what write has taken is in the file when it returns', async () => {
    const writer = create('strict')
    expect(writer.write(output('hello'))).toBeUndefined()
    const { records, end } = await played()
    expect(records.map((record) => record.kind)).toEqual(['start', 'output'])
    expect(end).toMatchObject({ closed: false, tornBytes: 0, head: writer.head() })
    await writer.close('done')
  })

  test('begins with who and where, ends with why, and says that it is whole', async () => {
    const writer = create('strict')
    clock.advance(1500)
    void writer.write({ kind: 'channel', channel: 0, type: 'session' })
    const ended = await writer.close('exit')
    const { records, end } = await played()
    expect(records).toEqual([
      { kind: 'start', at: 0, ...META, time: Date.UTC(2026, 0, 1) },
      { kind: 'channel', at: 1500, channel: 0, type: 'session' },
      { kind: 'end', at: 1500, reason: 'exit' },
    ])
    expect(end.closed).toBe(true)
    expect(ended).toEqual({ head: end.head, complete: true })
    expect(statSync(path()).size).toBe(ended.head.bytes)
  })

  test('nothing of the bytes it was given is kept: they may be overwritten at once', async () => {
    const writer = create('strict')
    const bytes = Buffer.from('secret of packet 1')
    void writer.write({ kind: 'output', channel: 0, stream: 'stdout', bytes })
    bytes.fill(0)
    await writer.close('done')
    expect(texts((await played()).records)).toEqual(['secret of packet 1'])
  })

  test('plain text never reaches the file, which only its owner may read', async () => {
    const writer = create('strict')
    void writer.write(output('correct horse battery staple'))
    await writer.close('done')
    expect(readFileSync(path()).includes('horse')).toBe(false)
    expect(statSync(path()).mode & 0o777).toBe(0o600)
  })

  test('several records go into one chunk, stored before writeMany returns', async () => {
    const writer = create('strict')
    const before = writer.head().chunks
    void writer.writeMany([output('a'), output('b'), output('c')])
    expect(writer.head().chunks).toBe(before + 1)
    expect(texts((await played()).records)).toEqual(['a', 'b', 'c'])
    await writer.close('done')
  })

  test('a run of bytes longer than a chunk is split and comes back whole', async () => {
    const writer = create('strict')
    const long = Buffer.alloc(3_000_000, 'sallyport ')
    void writer.write({ kind: 'output', channel: 0, stream: 'stderr', bytes: long })
    await writer.close('done')
    expect(texts((await played()).records).join('')).toBe(long.toString())
  })

  test('a write that the disk takes in pieces is still one whole chunk', async () => {
    const writer = create('strict')
    const write = disk.write.bind(disk)
    disk.write = (fd, bytes) => write(fd, bytes.subarray(0, 7))
    void writer.write(output('in many small pieces'))
    await writer.close('done')
    expect(texts((await played()).records)).toEqual(['in many small pieces'])
  })

  test('a full disk throws, tells once, and nothing is taken any more even when there is room again', async () => {
    const writer = create('strict')
    void writer.write(output('stored'))
    const head = writer.head()
    disk.room = 100
    expect(() => void writer.write(output('lost'))).toThrow(RecordingFailed)
    disk.room = Infinity
    expect(() => void writer.write(output('later'))).toThrow(RecordingFailed)
    expect(failures).toHaveLength(1)
    const ended = await writer.close('recording failed')
    expect(ended).toEqual({ head, complete: false })
    const { records, end } = await played()
    expect(texts(records)).toEqual(['stored'])
    expect(end).toMatchObject({ closed: false, tornBytes: 100 })
  })

  test('a disk that fails to sync ends the session too', async () => {
    const writer = create('strict')
    void writer.write(output('stored'))
    disk.syncError = new Error('EIO: i/o error, fdatasync')
    clock.advance(1000)
    await settle()
    expect(failures.map(String)).toEqual([expect.stringContaining('EIO')])
    expect(() => void writer.write(output('more'))).toThrow(RecordingFailed)
    expect((await writer.close('failed')).complete).toBe(false)
  })

  test('syncs once a second while something is new, never twice at a time, and not when idle', async () => {
    const writer = create('strict')
    clock.advance(1000)
    await settle()
    const first = disk.syncs
    expect(first).toBe(1)
    clock.advance(60_000)
    await settle()
    expect(disk.syncs).toBe(first)
    disk.held = []
    void writer.write(output('a'))
    clock.advance(1000)
    void writer.write(output('b'))
    clock.advance(5000)
    await settle()
    expect(disk.running).toBe(1)
    for (const release of disk.held.splice(0)) release()
    disk.held = null
    await settle()
    clock.advance(1000)
    await settle()
    expect(disk.syncs).toBe(first + 2)
    expect(disk.overlapped).toBe(false)
    await writer.close('done')
  })

  test('a file that is there is never written to, nor one behind a link', () => {
    create('strict')
    const before = readFileSync(path())
    expect(() => create('strict')).toThrow(expect.objectContaining({ code: 'recording_unavailable' }))
    expect(readFileSync(path())).toEqual(before)
    rmSync(path())
    symlinkSync(folder.file('elsewhere'), path())
    expect(() => create('strict')).toThrow(expect.objectContaining({ code: 'recording_unavailable' }))
    expect(existsSync(folder.file('elsewhere'))).toBe(false)
  })

  test('cannot be started where nothing can be stored', () => {
    disk.room = 0
    expect(() => create('strict')).toThrow(expect.objectContaining({ code: 'recording_unavailable' }))
    expect(failures).toEqual([])
    expect(existsSync(path())).toBe(true)
  })

  test('headers count what streams carried, kept or not', async () => {
    const writer = create('strict')
    void writer.write({ kind: 'channel', channel: 0, type: 'session' })
    void writer.write({ kind: 'exec', channel: 0, command: 'true' })
    writer.seen(4000)
    writer.seen(96)
    void writer.write(output('x'))
    await writer.close('done')
    const { walkChunks } = await import('./walk-chunks.ts')
    let counters: unknown
    for await (const chunk of walkChunks(path())) counters = chunk.header.counters
    expect(counters).toEqual({ bytes: 4096, packets: 2, statements: 1, channels: 1 })
  })

  test('closing twice is closing once; a record after it is our bug', async () => {
    const writer = create('strict')
    const [a, b] = await Promise.all([writer.close('done'), writer.close('again')])
    expect(a).toBe(b)
    expect(() => void writer.write(output('late'))).toThrow(/after the end/)
  })
})

describe('strict_sync', () => {
  test('resolves after the sync, which writes made meanwhile share', async () => {
    const writer = create('strict_sync')
    await settle()
    disk.held = []
    const before = disk.syncs
    const order: string[] = []
    const first = Promise.resolve(writer.write(output('a'))).then(() => order.push('a'))
    const second = Promise.resolve(writer.write(output('b'))).then(() => order.push('b'))
    const third = Promise.resolve(writer.write(output('c'))).then(() => order.push('c'))
    await settle()
    expect(order).toEqual([])
    for (const release of disk.held.splice(0)) release()
    await first
    await settle()
    for (const release of disk.held.splice(0)) release()
    await Promise.all([second, third])
    expect(order).toEqual(['a', 'b', 'c'])
    expect(disk.syncs - before).toBe(2)
    disk.held = null
    expect((await writer.close('done')).complete).toBe(true)
  })

  test('rejects when the sync fails, and tells', async () => {
    const writer = create('strict_sync')
    disk.syncError = new Error('EIO')
    await expect(writer.write(output('a'))).rejects.toThrow(RecordingFailed)
    expect(failures).toHaveLength(1)
    await writer.close('failed')
  })
})

describe('best_effort', () => {
  test('collects for 100 ms or 64 KiB', async () => {
    const writer = create('best_effort')
    const chunks = writer.head().chunks
    void writer.write(output('a'))
    void writer.write(output('b'))
    expect(writer.head().chunks).toBe(chunks)
    clock.advance(100)
    expect(writer.head().chunks).toBe(chunks + 1)
    void writer.write({ kind: 'output', channel: 0, stream: 'stdout', bytes: Buffer.alloc(70_000, 'y') })
    expect(writer.head().chunks).toBe(chunks + 2)
    expect((await writer.close('done')).complete).toBe(true)
    expect((await played()).end.closed).toBe(true)
  })

  test('goes on over a full disk and tells the gap where it was', async () => {
    const writer = create('best_effort')
    void writer.write(output('before'))
    clock.advance(100)
    disk.room = 50
    for (let i = 0; i < 40; i++)
      void writer.write({ ...output(''), kind: 'input', channel: 0, bytes: Buffer.alloc(10_000, i) })
    expect(gaps.reduce((sum, bytes) => sum + bytes, 0)).toBeGreaterThan(0)
    expect(writer.complete).toBe(false)
    disk.room = Infinity
    clock.advance(200)
    void writer.write(output('after'))
    const ended = await writer.close('done')
    expect(ended.complete).toBe(false)
    const { records, end } = await played()
    expect(texts(records)).toEqual(['before', 'after'])
    const kept = records.reduce((sum, record) => sum + (record.kind === 'input' ? record.bytes.length : 0), 0)
    const lost = records.reduce((sum, record) => sum + (record.kind === 'gap' ? record.bytes : 0), 0)
    expect(kept + lost).toBe(400_000)
    expect(records.find((record) => record.kind === 'gap')).toMatchObject({ reason: expect.stringMatching(/ENOSPC/) })
    expect(end).toMatchObject({ closed: true, gap: true, tornBytes: 0 })
    expect(failures).toEqual([])
  })

  test('a disk that stays full cuts the file short and says so', async () => {
    const writer = create('best_effort')
    disk.room = 10
    for (let i = 0; i < 20; i++) void writer.write({ kind: 'input', channel: 0, bytes: Buffer.alloc(10_000, i) })
    const ended = await writer.close('done')
    expect(ended.complete).toBe(false)
    expect((await played()).end).toMatchObject({ closed: false, head: ended.head })
  })

  test('a record that cannot be encoded becomes a gap', async () => {
    const writer = create('best_effort')
    void writer.write({ kind: 'exec', channel: 0, command: 'x'.repeat(200_000) })
    await writer.close('done')
    expect((await played()).records.map((record) => record.kind)).toEqual(['start', 'gap', 'end'])
  })
})
