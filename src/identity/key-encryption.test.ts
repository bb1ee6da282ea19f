import { chmodSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openKeyEncryptionKey } from './key-encryption.ts'
import type { KeyEncryptionOptions } from './key-encryption.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'key-encryption-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const open = (source: string, more: Partial<KeyEncryptionOptions> = {}) =>
  openKeyEncryptionKey({ source, dataDir: folder, sealedRowsExist: false, env: {}, askPassphrase: null, ...more })

function privateFile(name: string, content: string | Uint8Array): string {
  const path = join(folder, name)
  writeFileSync(path, content, { mode: 0o600 })
  return path
}

test('the file is made at the first start, 0600 under any umask, and found again', async () => {
  const path = join(folder, 'key')
  const before = process.umask(0)
  const made = await open(`file:${path}`).finally(() => process.umask(before))
  expect(statSync(path).mode & 0o777).toBe(0o600)
  const found = await open(`file:${path}`, { sealedRowsExist: true })
  expect(found.id).toBe(made.id)
  expect(found.key.equals(made.key)).toBe(true)
})

test('a missing file stops the start once there are sealed rows, and none is made', async () => {
  const path = join(folder, 'key')
  await expect(open(`file:${path}`, { sealedRowsExist: true })).rejects.toThrow(/missing/)
  expect(() => statSync(path)).toThrow('ENOENT')
})

test('a file open to others, a link, or one of the wrong length is refused', async () => {
  const path = privateFile('key', Buffer.alloc(32, 1))
  chmodSync(path, 0o640)
  await expect(open(`file:${path}`)).rejects.toThrow('chmod 600')
  chmodSync(path, 0o600)
  symlinkSync(path, join(folder, 'link'))
  await expect(open(`file:${join(folder, 'link')}`)).rejects.toThrow('ELOOP')
  for (const content of ['', 'x', Buffer.alloc(31), Buffer.alloc(33), 'a'.repeat(63), 'a'.repeat(2000)])
    await expect(open(`file:${privateFile('bad', content)}`)).rejects.toThrow(/bytes/)
})

test('raw, base64 and hex name the same key', async () => {
  const key = Buffer.alloc(32, 7)
  const opened = await Promise.all(
    [key, `${key.toString('base64')}\n`, key.toString('hex')].map((content, index) =>
      open(`file:${privateFile(`key${index}`, content)}`),
    ),
  )
  expect(new Set(opened.map((k) => k.id)).size).toBe(1)
})

test('a systemd credential is read from its folder and never made', async () => {
  privateFile('kek', Buffer.alloc(32, 3))
  const env = { CREDENTIALS_DIRECTORY: folder }
  expect((await open('credential:kek', { env })).id).toMatch(/^[0-9a-f]{16}$/)
  await expect(open('credential:kek')).rejects.toThrow('CREDENTIALS_DIRECTORY')
  await expect(open('credential:none', { env })).rejects.toThrow('missing')
  await expect(open('credential:../kek', { env })).rejects.toThrow('no name')
})

test('a passphrase gives the same key again, and a wrong one is told at once', async () => {
  const ask = (text: string) => ({ askPassphrase: async () => text })
  await expect(open('passphrase', ask('short'))).rejects.toThrow('12 characters')
  const made = await open('passphrase', ask('correct horse battery'))
  const file = privateFile('phrase', 'correct horse battery\n')
  const again = await open('passphrase', { env: { SALLYPORT_PASSPHRASE_FILE: file }, sealedRowsExist: true })
  expect(again.id).toBe(made.id)
  await expect(open('passphrase', ask('incorrect horse battery'))).rejects.toThrow('wrong passphrase')
  await expect(open('passphrase')).rejects.toThrow('SALLYPORT_PASSPHRASE_FILE')
  rmSync(join(folder, 'passphrase.json'))
  await expect(open('passphrase', { ...ask('correct horse battery'), sealedRowsExist: true })).rejects.toThrow(
    'missing',
  )
})

test('an unknown source is refused', async () => {
  await expect(open('kms:alias')).rejects.toThrow('none of')
})
