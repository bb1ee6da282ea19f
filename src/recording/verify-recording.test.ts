import { readFileSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ManualClock } from '../../test/support/manual-clock.ts'
import { tempFolder, type TempFolder } from '../../test/support/temp-folder.ts'
import { type RecordingHead, RecordingWriter } from './recording-writer.ts'
import { prepareRecordingsFolder, recordingFile, recordingPath } from './recordings-folder.ts'
import { repairRecording } from './repair.ts'
import { type ExpectedRecording, verifyRecording } from './verify-recording.ts'
import { walkChunks } from './walk-chunks.ts'

const SESSION = 'ses_019aa3c4-0000-7000-8000-00000000000a'
const OTHER = 'ses_019aa3c4-0000-7000-8000-00000000000b'
let folder: TempFolder
let heads: RecordingHead[]
beforeEach(() => {
  folder = tempFolder('verify')
})
afterEach(() => folder[Symbol.dispose]())

/** Five chunks; `heads[n]` is the head after n + 1 of them. */
async function record(session = SESSION): Promise<string> {
  const path = folder.file(recordingFile(session))
  const meta = { session, user: 'ada', node: 'db-box', login: 'deploy' }
  const order = { path, keyId: 'key_1', key: Buffer.alloc(32, 1), mode: 'strict' as const }
  const writer = RecordingWriter.create(order, meta, { clock: new ManualClock(), onFailure: () => {} })
  heads = [writer.head()]
  for (const text of ['one', 'two', 'three']) {
    void writer.write({ kind: 'notice', channel: 0, text })
    heads.push(writer.head())
  }
  heads.push((await writer.close('done')).head)
  return path
}

const expected = (changes: Partial<ExpectedRecording> = {}): ExpectedRecording => ({
  session: SESSION,
  state: 'complete',
  end: heads[4] ?? null,
  checkpoints: heads.slice(1, 3),
  ...changes,
})
const kinds = async (path: string, what = expected()): Promise<[string, number | null][]> =>
  (await verifyRecording(path, what)).problems.map((problem) => [problem.kind, problem.chunk])

async function chunkEnds(path: string): Promise<number[]> {
  const ends: number[] = []
  for await (const chunk of walkChunks(path)) ends.push(chunk.end)
  return ends
}

describe('verifying without a key', () => {
  test('finds nothing wrong with what was written', async () => {
    const path = await record()
    expect(await verifyRecording(path, expected())).toEqual({ problems: [], head: heads[4] })
  })

  test('names the first chunk that was altered', async () => {
    const path = await record()
    const bytes = readFileSync(path)
    const [, second = 0] = await chunkEnds(path)
    bytes[second + 130] = (bytes[second + 130] ?? 0) ^ 1
    writeFileSync(path, bytes)
    // The chain itself shows it one chunk later; a checkpoint that covers the chunk shows it there.
    expect(await kinds(path)).toEqual([['altered', 3]])
  })

  test('a chain that was made anew is found by the head that is known', async () => {
    await record()
    const known = expected()
    folder[Symbol.dispose]()
    folder = tempFolder('verify')
    const path = await record()
    expect(await kinds(path, known)).toEqual([['altered', 1]])
    expect(await kinds(path, { ...known, checkpoints: [] })).toEqual([['altered', 4]])
    expect(await kinds(path, { ...known, checkpoints: [], end: null, state: 'open' })).toEqual([])
  })

  test('a cut file, a longer one, a foreign one and a missing one are told apart', async () => {
    const path = await record()
    const whole = readFileSync(path)
    const ends = await chunkEnds(path)
    writeFileSync(path, whole.subarray(0, ends[3]))
    expect(await kinds(path)).toEqual([['cut', 4]])
    expect(await kinds(path, expected({ end: null, state: 'complete' }))).toEqual([['cut', 4]])
    writeFileSync(path, whole)
    expect(await kinds(path, expected({ end: heads[3] ?? null, state: 'cut_short' }))).toEqual([['longer', 4]])
    const known = expected()
    expect(await kinds(await record(OTHER), known)).toEqual([['foreign', null]])
    expect(await kinds(folder.file('none'))).toEqual([['missing', null]])
    expect(await kinds(folder.file('none'), expected({ state: 'missing', end: null }))).toEqual([])
  })

  test('what a crash tore off at the end of a file that was cut short is no problem', async () => {
    const path = await record()
    const ends = await chunkEnds(path)
    writeFileSync(path, readFileSync(path).subarray(0, (ends[3] ?? 0) + 50))
    expect(await repairRecording(path)).toEqual({ state: 'cut_short', head: heads[3], tornBytes: 50, altered: null })
    expect(await kinds(path, expected({ state: 'cut_short', end: heads[3] ?? null }))).toEqual([])
  })
})

describe('repair', () => {
  test('of a whole file, an altered one, an empty one and none', async () => {
    const path = await record()
    expect(await repairRecording(path)).toMatchObject({ state: 'complete', head: heads[4] })
    const bytes = readFileSync(path)
    const ends = await chunkEnds(path)
    bytes[(ends[1] ?? 0) + 2] = 0
    writeFileSync(path, bytes)
    expect(await repairRecording(path)).toEqual({ state: 'cut_short', head: heads[1], tornBytes: 0, altered: 2 })
    writeFileSync(path, '')
    expect(await repairRecording(path)).toMatchObject({ state: 'cut_short', head: null })
    expect(await repairRecording(folder.file('none'))).toMatchObject({ state: 'missing', head: null })
  })
})

describe('the folder', () => {
  test('is made for its owner alone, and refused when others may enter', async () => {
    const path = folder.file('recordings')
    await prepareRecordingsFolder(path)
    await prepareRecordingsFolder(path)
    const { chmodSync, statSync } = await import('node:fs')
    expect(statSync(path).mode & 0o777).toBe(0o700)
    chmodSync(path, 0o750)
    await expect(prepareRecordingsFolder(path)).rejects.toMatchObject({ code: 'recording_unavailable' })
  })

  test.each(['../x.rec', 'x', `${SESSION}.rec/..`, `a/${SESSION}.rec`, ''])('%j is no file of ours', (file) => {
    expect(() => recordingPath('/r', file)).toThrow(expect.objectContaining({ code: 'recording_unavailable' }))
  })
})
