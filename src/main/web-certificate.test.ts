import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, beforeEach, expect, test } from 'vitest'
import { ManualClock } from '../../test/support/manual-clock.ts'
import { tempFolder } from '../../test/support/temp-folder.ts'
import { TestAuthority, type KeyAndCertificate } from '../../test/support/test-authority.ts'
import { silentLog } from '../foundation/log.ts'
import { readWebCertificate, WebCertificate } from './web-certificate.ts'

let authority: TestAuthority
let first: KeyAndCertificate
let second: KeyAndCertificate
let files: { cert: string; key: string }
let said: string[]
let clock: ManualClock
const log = {
  ...silentLog,
  info: (_fields: object, message: string) => void said.push(message),
  warn: (_fields: object, message: string) => void said.push(message),
  error: (_fields: object, message: string) => void said.push(message),
}

beforeAll(async () => {
  authority = await TestAuthority.make('the world')
  first = await authority.server(['access.test'])
  second = await authority.server(['access.test', 'also.test'])
})
beforeEach(() => {
  const folder = tempFolder('web').path
  files = { cert: join(folder, 'fullchain.pem'), key: join(folder, 'privkey.pem') }
  said = []
  clock = new ManualClock(Date.now())
  put(first)
})

function put({ certificatePem, keyPem }: KeyAndCertificate): void {
  write(files.cert, certificatePem)
  write(files.key, keyPem)
}

/** As those do who renew certificates: another file in the place of the old one. */
function write(path: string, text: string): void {
  writeFileSync(`${path}.new`, text)
  renameSync(`${path}.new`, path)
}

test('files that are replaced are read again; those that stay are not', () => {
  const web = new WebCertificate(files, { clock, log })
  expect(web.current).toEqual({ keyPem: first.keyPem, certificatePem: first.certificatePem })
  expect(web.look()).toBe(false)
  put(second)
  expect(web.look()).toBe(true)
  expect(web.current.certificatePem).toBe(second.certificatePem)
  expect(web.look()).toBe(false)
  put(second)
  expect(web.look()).toBe(false)
  expect(said).toEqual(['the web certificate was replaced'])
})

test('while only one of the two is new, or something is wrong, the last good one stays, and it is said once', () => {
  const web = new WebCertificate(files, { clock, log })
  write(files.cert, second.certificatePem)
  for (let at = 0; at < 3; at++) expect(web.look()).toBe(false)
  rmSync(files.key)
  expect(web.look()).toBe(false)
  expect(web.current.certificatePem).toBe(first.certificatePem)
  expect(said).toHaveLength(2)
  write(files.key, second.keyPem)
  expect(web.look()).toBe(true)
})

test('an end that is near is said each day, and one that is past in other words', () => {
  const web = new WebCertificate(files, { clock, log })
  const days = (count: number): void => clock.advance(count * 86_400_000)
  web.look()
  expect(said).toEqual([])
  days(24)
  for (let at = 0; at < 3; at++) web.look()
  expect(said).toEqual(['the web certificate expires soon'])
  days(10)
  web.look()
  expect(said.at(-1)).toContain('has expired')
})

test.each<[string, () => void, RegExp]>([
  ['a certificate that is not there', () => rmSync(files.cert), /fullchain\.pem cannot be read: ENOENT/],
  ['a key that is not there', () => rmSync(files.key), /privkey\.pem cannot be read: ENOENT/],
  ['the key of another certificate', () => write(files.key, second.keyPem), /is not the key of/],
  ['the two the wrong way round', () => write(files.cert, first.keyPem), /not a certificate in PEM/],
  ['noise for a key', () => write(files.key, 'x'), /not a private key in PEM/],
  ['an authority in place of a leaf', () => write(files.cert, authority.certificatePem), /is not the key of/],
])('%s is refused, and named', (_what, spoil, message) => {
  spoil()
  expect(() => readWebCertificate(files)).toThrow(message)
})
