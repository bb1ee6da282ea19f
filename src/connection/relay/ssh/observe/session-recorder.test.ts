import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ManualClock } from '../../../../../test/support/manual-clock.ts'
import { ALL_PERMISSIONS, RelayPair, settled } from '../../../../../test/support/relay-pair.ts'
import type { RecordingRecord } from '../../../../formats/recording-record.ts'
import { newId } from '../../../../foundation/ids.ts'
import { systemCalls, type FileCalls } from '../../../../recording/chunk-file.ts'
import { readRecording } from '../../../../recording/recording-reader.ts'
import { RecordingWriter, type RecordingMode } from '../../../../recording/recording-writer.ts'
import { payload } from '../wire/payload.ts'
import { SessionRecorder } from './session-recorder.ts'

let folder: string
const key = new Uint8Array(randomBytes(32))

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-recorder-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** A disk that is full when told. */
class Disk implements FileCalls {
  readonly syncFolder = systemCalls.syncFolder
  isFull = false
  write(fd: number, bytes: Uint8Array): number {
    if (this.isFull) throw new Error('ENOSPC')
    return systemCalls.write(fd, bytes)
  }
  sync(fd: number): Promise<void> {
    return this.isFull ? Promise.reject(new Error('ENOSPC')) : systemCalls.sync(fd)
  }
}

function record(mode: RecordingMode = 'strict', recordInput = false) {
  const disk = new Disk()
  const failures: Error[] = []
  const path = join(folder, 'session.rec')
  const meta = { session: newId('session', 1), user: 'alice', node: 'box', login: 'root' }
  const surroundings = { clock: new ManualClock(), onFailure: (error: Error) => void failures.push(error), calls: disk }
  const writer = RecordingWriter.create({ path, keyId: 'k', key, mode }, meta, surroundings)
  return { disk, failures, recorder: new SessionRecorder(writer, recordInput) }
}

async function played(): Promise<RecordingRecord[]> {
  const records: RecordingRecord[] = []
  for await (const chunk of readRecording(join(folder, 'session.rec'), key)) records.push(...chunk.records)
  return records
}

test('a terminal is kept as it was, without what was typed', async () => {
  const { recorder } = record()
  recorder.channelOpened(0, 'session')
  recorder.pty(0, 'xterm', 80, 24)
  recorder.shell(0)
  recorder.data(0, 'stdin', Buffer.from('secret'))
  recorder.data(0, 'stdout', Buffer.from('$ '))
  recorder.exit(0, 0, null)
  recorder.channelClosed(0)
  expect(await recorder.close('client_left')).toMatchObject({ complete: true })
  const records = await played()
  expect(records.map((one) => one.kind)).toEqual(['start', 'channel', 'pty', 'shell', 'output', 'exit', 'end'])
  expect(recorder.contents).toEqual(['shell'])
})

test('every kind of channel is recorded as what it is', async () => {
  const { recorder } = record()
  const kinds: readonly (readonly [string, (channel: number) => void])[] = [
    ['exec', (channel) => recorder.exec(channel, 'id')],
    ['scp', (channel) => recorder.exec(channel, 'scp -t /tmp/x')],
    ['sftp', (channel) => recorder.sftp(channel)],
    ['port-forward', (channel) => recorder.forward(channel, 'local', 'db:5432')],
  ]
  for (const [channel, [, start]] of kinds.entries()) {
    recorder.channelOpened(channel, 'session')
    start(channel)
    recorder.data(channel, 'stdout', Buffer.from('nonsense'))
  }
  await recorder.close('client_left')
  expect(recorder.contents).toEqual(kinds.map(([name]) => name))
  expect((await played()).at(-1)?.kind).toBe('end')
})

test('data on a forwarded connection is counted and not kept', async () => {
  const { recorder } = record()
  recorder.channelOpened(0, 'local-forward')
  recorder.forward(0, 'local', 'db:5432')
  recorder.data(0, 'stdin', Buffer.from('SELECT secret'))
  await recorder.close('client_left')
  expect((await played()).map((one) => one.kind)).toEqual(['start', 'channel', 'forward', 'end'])
})

test.each(['strict', 'strict_sync'] as const)('%s: nothing passes that a full disk did not take', async (mode) => {
  const { disk, failures, recorder } = record(mode)
  const pair = new RelayPair(ALL_PERMISSIONS, 10, recorder)
  const id = await pair.openStarted('terminal')
  disk.isFull = true
  pair.target.receive(payload(94, id, 'secret'))
  await settled()
  expect(pair.client.take()).toEqual([])
  expect(failures).toHaveLength(1)
  expect(pair.failures[0]?.side).toBeNull()
  expect(await recorder.close('recording_failed')).toMatchObject({ complete: false })
})

test('best_effort: a full disk leaves a gap, and the session goes on', async () => {
  const { disk, failures, recorder } = record('best_effort')
  const pair = new RelayPair(ALL_PERMISSIONS, 10, recorder)
  const id = await pair.openStarted('terminal')
  disk.isFull = true
  for (let i = 0; i < 8; i++) pair.target.receive(payload(94, id, 'x'.repeat(20_000)))
  expect(pair.client.take()).toHaveLength(8)
  disk.isFull = false
  expect(await recorder.close('client_left')).toMatchObject({ complete: false })
  expect(failures).toEqual([])
  expect((await played()).map((one) => one.kind)).toContain('gap')
})

test('the last words are said even when they cannot be recorded', () => {
  const { disk, recorder } = record()
  recorder.channelOpened(0, 'session')
  disk.isFull = true
  expect(() => recorder.notice(0, 'it can no longer be recorded')).not.toThrow()
})
