import { readdirSync, readlinkSync } from 'node:fs'
import { expect, test } from 'vitest'
import { ManualClock } from '../../test/support/manual-clock.ts'
import { tempFolder } from '../../test/support/temp-folder.ts'
import { playRecords } from './playback.ts'
import { RecordingWriter } from './recording-writer.ts'

const META = { session: 'ses_019aa3c4-0000-7000-8000-00000000000a', user: 'ada', node: 'db-box', login: 'deploy' }
const KEY = Buffer.alloc(32, 3)

function isOpen(path: string): boolean {
  return readdirSync('/proc/self/fd').some((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === path
    } catch {
      return false
    }
  })
}

test('a playing that nobody listens to any more closes its file', async () => {
  using folder = tempFolder('playback')
  const path = folder.file('session.rec')
  const surroundings = { clock: new ManualClock(), onFailure: () => {} }
  const writer = RecordingWriter.create({ path, keyId: 'key-1', key: KEY, mode: 'strict' }, META, surroundings)
  void writer.write({ kind: 'shell', channel: 0 })
  await writer.close('ended')
  const playing = playRecords(path, KEY, false)
  expect((await playing.next()).value).toMatchObject({ kind: 'start', user: 'ada' })
  expect(isOpen(path)).toBe(true)
  await playing.return(undefined)
  expect(isOpen(path)).toBe(false)
})
