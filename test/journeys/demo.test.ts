import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import { run } from '../support/run.ts'
import { tempFolder } from '../support/temp-folder.ts'

const checkout = resolve(import.meta.dirname, '../..')

test('the demo plays the whole story, keeps every promise and leaves nothing running', async () => {
  using folder = tempFolder('demo')
  const env = { SALLYPORT_DEMO_FOLDER: folder.file('demo') }
  const played = await run(resolve(checkout, 'script/demo'), ['--once'], { env, timeout: 110_000 })
  expect(played.stdout + played.stderr).toContain('every promise was kept')
  expect(played.code).toBe(0)
  expect(existsSync(folder.file('demo/pid'))).toBe(false)
})

test('a demo that is asked for something else says what it takes', async () => {
  const asked = await run(resolve(checkout, 'script/demo'), ['dance'])
  expect(asked.code).toBe(2)
  expect(asked.stdout).toContain('usage: script/demo')
})
