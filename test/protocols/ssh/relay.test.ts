import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { NODE, SshLab } from '../../support/ssh-lab.ts'

let lab: SshLab

beforeAll(async () => {
  lab = await SshLab.start()
})
afterAll(() => lab.stop())
beforeEach(() => {
  lab.control.change = {}
  lab.control.events.length = 0
  lab.control.ends.clear()
})

describe('a command', () => {
  test('runs on the target with its output, errors and exit status', async () => {
    const done = await lab.ssh([NODE, 'echo out; echo err >&2; exit 7'])
    expect(done).toMatchObject({ code: 7, stdout: 'out\n', stderr: 'err\n' })
    expect(lab.control.events).toEqual([{ type: 'exec', channel: 0, command: 'echo out; echo err >&2; exit 7' }])
  })

  test('gets its input to the end', async () => {
    const done = await lab.ssh([NODE, 'wc -c; echo done'], 'x'.repeat(3_000_000))
    expect(done).toMatchObject({ code: 0, stdout: '3000000\ndone\n' })
  })
})
