import { createHash, randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { FileEntry } from '../../../src/formats/recording-record.ts'
import { needProgram } from '../../support/need-program.ts'
import { run } from '../../support/run.ts'
import { tempFolder, type TempFolder } from '../../support/temp-folder.ts'

const RELAY = new URL('./observing-server.ts', import.meta.url).pathname
const content = randomBytes(3_000_001)
const sha256 = createHash('sha256').update(content).digest('hex')
const empty = createHash('sha256').digest('hex')

let folder: TempFolder
beforeEach(() => {
  folder = tempFolder('transfers')
  mkdirSync(folder.file('target'))
  writeFileSync(folder.file('big'), content)
  writeFileSync(folder.file('empty'), '')
})
afterEach(() => folder[Symbol.dispose]())

/** A program that puts the observing relay in front of `server`. */
function relayFor(server: string): string {
  const path = folder.file('relay')
  writeFileSync(path, `#!/bin/sh\nexec '${process.execPath}' '${RELAY}' '${folder.file('log')}' '${server}' "$@"\n`)
  chmodSync(path, 0o700)
  return path
}

function told(): Partial<FileEntry>[] {
  const log = folder.file('log')
  const lines = existsSync(log) ? readFileSync(log, 'utf8').trimEnd().split('\n') : []
  return lines.map((line) => JSON.parse(line) as Partial<FileEntry>)
}

test('stock sftp: every transfer has size and hash, every change its name, and nothing is lost on the way', async () => {
  const batch = [
    'put big target/big',
    'get target/big back',
    'put empty target/e',
    'get target/e e-back',
    'mkdir target/d',
    'rename target/e target/d/e',
    'ln -s big target/link',
    'chmod 600 target/big',
    'ls target/d',
    'rm target/d/e',
    'rmdir target/d',
    '-get target/none',
  ]
  const sftp = await run(needProgram('sftp'), ['-b', '-', '-D', relayFor(needProgram('sftp-server'))], {
    cwd: folder.path,
    input: `${batch.join('\n')}\n`,
  })
  expect(sftp.code, sftp.stderr).toBe(0)
  expect(readFileSync(folder.file('back'))).toEqual(content)
  const at = (name: string): string => folder.file(`target/${name}`)
  expect(told().filter((entry) => entry.operation !== 'open')).toMatchObject([
    { operation: 'write', path: at('big'), size: content.length, sha256, ok: true },
    { operation: 'read', path: at('big'), size: content.length, sha256, ok: true },
    { operation: 'write', path: at('e'), size: 0, sha256: empty, ok: true },
    { operation: 'read', path: at('e'), size: 0, sha256: empty, ok: true },
    { operation: 'mkdir', path: at('d'), ok: true },
    { operation: 'rename', path: at('e'), to: at('d/e'), ok: true },
    { operation: 'symlink', path: at('link'), to: 'big', ok: true },
    { operation: 'setstat', path: at('big'), ok: true },
    { operation: 'list', ok: true },
    { operation: 'remove', path: at('d/e'), ok: true },
    { operation: 'rmdir', path: at('d'), ok: true },
  ])
})

test('stock scp over SFTP, both ways', async () => {
  const relay = relayFor(needProgram('sftp-server'))
  const scp = async (...args: string[]) => {
    const { code, stderr } = await run(needProgram('scp'), ['-q', '-D', relay, ...args], { cwd: folder.path })
    expect(code, stderr).toBe(0)
  }
  await scp('big', `x:${folder.file('target/')}`)
  await scp(`x:${folder.file('target/big')}`, 'back')
  expect(readFileSync(folder.file('back'))).toEqual(content)
  expect(told().filter((entry) => entry.sha256 !== undefined)).toMatchObject([
    { operation: 'write', size: content.length, sha256 },
    { operation: 'read', size: content.length, sha256 },
  ])
})

test('stock scp -O, both ways, with folders and refusals', async () => {
  const relay = relayFor('scp')
  const scp = (...args: string[]) => run(needProgram('scp'), ['-q', '-O', '-S', relay, ...args], { cwd: folder.path })
  mkdirSync(folder.file('d/e'), { recursive: true })
  writeFileSync(folder.file('d/e/x'), content.subarray(0, 1000))
  expect((await scp('-rp', 'd', 'big', 'empty', `h:${folder.file('target')}`)).code).toBe(0)
  expect((await scp('-r', `h:${folder.file('target')}`, 'back')).code).toBe(0)
  expect(readFileSync(folder.file('back/big'))).toEqual(content)
  expect((await scp('big', `h:${folder.file('nowhere/at/all')}`)).code).not.toBe(0)
  const entries = told()
  expect(entries.filter((entry) => entry.operation === 'write')).toMatchObject([
    { path: 'd/e/x', to: folder.file('target'), size: 1000, ok: true },
    { path: 'big', size: content.length, sha256, ok: true },
    { path: 'empty', size: 0, sha256: empty, ok: true },
  ])
  expect(entries.filter((entry) => entry.ok !== true)).toMatchObject([
    { operation: 'open', path: 'big', to: folder.file('nowhere/at/all'), ok: false },
  ])
  const downloaded = entries.filter((entry) => entry.operation === 'read')
  expect(downloaded.map((entry) => entry.path).toSorted()).toEqual(
    ['big', 'd/e/x', 'empty'].map((name) => folder.file(`target/${name}`)),
  )
  expect(downloaded.find((entry) => entry.size === content.length)).toMatchObject({ sha256, ok: true })
})
