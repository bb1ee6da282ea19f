import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { eventually } from '../../support/run-program.ts'
import { NODE, SshLab } from '../../support/ssh-lab.ts'

let lab: SshLab
let count = 0

beforeAll(async () => {
  lab = await SshLab.start()
})
afterAll(() => lab.stop())
afterEach(() => eventually('every connection has ended', () => lab.relay.connections === 0))

function record(mode: 'strict' | 'strict_sync' | 'best_effort', recordInput = false): void {
  const path = join(lab.folder, 'recordings', `mode-${count++}.rec`)
  lab.control.change = { recording: { path, keyId: 'k', key: new Uint8Array(randomBytes(32)), mode, recordInput } }
}

const played = async (kind: 'output' | 'input'): Promise<string> => {
  const records = await lab.recording()
  return records.map((record) => (record.kind === kind ? Buffer.from(record.bytes).toString() : '')).join('')
}

test.each(['strict', 'strict_sync', 'best_effort'] as const)(
  '%s: the replay has what the terminal showed',
  async (mode) => {
    record(mode)
    const shell = lab.terminal(['-tt', NODE, 'for i in $(seq 1 500); do echo line $i of many; done; exit 4'])
    const done = await shell.finished
    expect(done.code).toBe(4)
    await eventually('the session has ended', () => lab.relay.connections === 0)
    const replay = await played('output')
    expect(replay.match(/line \d+ of many/g)).toHaveLength(500)
    expect(done.stdout).toContain(replay.trimEnd())
  },
)

test.each(['strict', 'strict_sync'] as const)(
  '%s: a long stream keeps its start, its length and its hash',
  async (mode) => {
    record(mode)
    const done = await lab.ssh([NODE, 'head -c 3000000 /dev/zero'])
    expect(done.bytes.length).toBe(3_000_000)
    await eventually('the session has ended', () => lab.relay.connections === 0)
    expect(await lab.recording()).toContainEqual(
      expect.objectContaining({ kind: 'stream', stream: 'stdout', length: 3_000_000 }),
    )
    expect((await played('output')).length).toBe(256 * 1024)
  },
)

test('input is recorded only where the role says so', async () => {
  for (const recordInput of [false, true]) {
    record('strict', recordInput)
    const shell = lab.terminal(['-tt', NODE, 'stty -echo; echo REA""DY; read secret; echo thanks'])
    await shell.until(/READY/)
    shell.write('hunter2\n')
    await shell.finished
    await eventually('the session has ended', () => lab.relay.connections === 0)
    expect((await played('input')).includes('hunter2')).toBe(recordInput)
    expect(await played('output')).not.toContain('hunter2')
  }
})
