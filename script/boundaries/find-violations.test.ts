import ts from 'typescript'
import { describe, expect, test } from 'vitest'
import { inspect } from './find-violations.ts'
import { ROOMS } from './rooms.ts'

// The part of the libraries that the typed rules look at, so that no planted house needs the real ones.
const LIBRARY = `
declare module 'kysely' {
  export class Kysely { insertInto(t: string): this; updateTable(t: string): this; deleteFrom(t: string): this; transaction(): this }
  export class Transaction extends Kysely { readonly isTransaction: true }
}
interface Array<T> {} interface Boolean {} interface CallableFunction {} interface Function {} interface IArguments {}
interface NewableFunction {} interface Number {} interface Object {} interface RegExp {} interface String {}
interface PromiseLike<T> { then(a: (v: T) => void, b?: (e: unknown) => void): PromiseLike<T> }
interface Promise<T> extends PromiseLike<T> { catch(b: (e: unknown) => void): Promise<T> }
`

function messagesFor(files: Readonly<Record<string, string>>): string[] {
  const texts = new Map(
    Object.entries({ ...files, 'library.d.ts': LIBRARY }).map(([path, text]) => [`/house/${path}`, text]),
  )
  const host: ts.CompilerHost = {
    getSourceFile: (path, options) => {
      const text = texts.get(path)
      return text === undefined ? undefined : ts.createSourceFile(path, text, options, true)
    },
    getDefaultLibFileName: () => '/house/library.d.ts',
    writeFile: () => {},
    getCurrentDirectory: () => '/house',
    getCanonicalFileName: (path) => path,
    useCaseSensitiveFileNames: () => true,
    getNewLine: () => '\n',
    fileExists: (path) => texts.has(path),
    readFile: (path) => texts.get(path),
  }
  const options: ts.CompilerOptions = {
    allowImportingTsExtensions: true,
    noEmit: true,
    strict: true,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    types: [],
  }
  const { violations } = inspect({
    program: ts.createProgram([...texts.keys()], options, host),
    root: '/house',
    production: ['zod', 'kysely', 'commander', 'left-pad'],
    powerTables: ['users', 'grants'],
  })
  return violations.map(({ file, message }) => `${file} ${message}`)
}

/** A file of the given room that imports `target`. */
const importing = (file: string, target: string): Record<string, string> => {
  const up = '../'.repeat(file.split('/').length - 1)
  return { [file]: `import { x } from '${/^(src|test|sdk)\//.test(target) ? up + target : target}'\nx()` }
}

const FORBIDDEN: readonly (readonly [from: string, to: string])[] = [
  ['sdk/a.ts', 'src/foundation/errors.ts'],
  ['sdk/a.ts', 'src/identity/b.ts'],
  ['sdk/a.ts', 'zod'],
  ['sdk/a.ts', 'test/support/b.ts'],
  ['sdk/examples/a.ts', 'sdk/client.ts'],
  ['sdk/examples/a.ts', 'src/contract/b.ts'],
  ['src/contract/a.ts', 'sdk/client.ts'],
  ['src/contract/a.ts', 'src/formats/b.ts'],
  ['src/contract/a.ts', 'src/foundation/errors.ts'],
  ['src/contract/a.ts', 'kysely'],
  ['src/contract/a.ts', 'node:fs'],
  ['src/formats/a.ts', 'src/contract/b.ts'],
  ['src/formats/a.ts', 'src/foundation/clock.ts'],
  ['src/formats/a.ts', 'node:fs'],
  ['src/formats/a.ts', 'zod'],
  ['src/foundation/a.ts', 'src/audit/b.ts'],
  ['src/foundation/a.ts', 'src/main/b.ts'],
  ['src/audit/a.ts', 'src/identity/b.ts'],
  ['src/audit/a.ts', 'src/resources/b.ts'],
  ['src/audit/a.ts', 'src/recording/b.ts'],
  ['src/resources/a.ts', 'src/identity/b.ts'],
  ['src/recording/a.ts', 'src/identity/b.ts'],
  ['src/recording/a.ts', 'src/resources/b.ts'],
  ['src/identity/a.ts', 'src/recording/b.ts'],
  ['src/identity/a.ts', 'src/grants/b.ts'],
  ['src/policies/a.ts', 'src/identity/b.ts'],
  ['src/policies/a.ts', 'src/access/b.ts'],
  ['src/policies/sandbox/a.ts', 'src/foundation/errors.ts'],
  ['src/policies/sandbox/a.ts', 'node:child_process'],
  ['src/grants/a.ts', 'src/access/b.ts'],
  ['src/grants/a.ts', 'src/connection/b.ts'],
  ['src/access/a.ts', 'src/connection/b.ts'],
  ['src/access/a.ts', 'src/http-api/b.ts'],
  ['src/connection/a.ts', 'src/access/b.ts'],
  ['src/connection/a.ts', 'src/http-api/b.ts'],
  ['src/connection/relay/ssh/a.ts', 'src/connection/relay/postgres/b.ts'],
  ['src/connection/relay/ssh/a.ts', 'src/foundation/database/tables.ts'],
  ['src/connection/relay/ssh/a.ts', 'src/foundation/config.ts'],
  ['src/connection/relay/ssh/a.ts', 'src/grants/snapshot.ts'],
  ['src/connection/relay/ssh/a.ts', 'src/identity/sealing.ts'],
  ['src/connection/relay/ssh/a.ts', 'src/connection/authorize.ts'],
  ['src/connection/relay/ssh/a.ts', 'kysely'],
  ['src/connection/relay/ssh/wire/a.ts', 'src/foundation/clock.ts'],
  ['src/connection/relay/ssh/wire/a.ts', 'src/foundation/log.ts'],
  ['src/connection/relay/ssh/wire/a.ts', 'src/contract/errors.ts'],
  ['src/connection/relay/ssh/wire/a.ts', 'src/connection/relay/ssh/session.ts'],
  ['src/connection/relay/ssh/wire/a.ts', 'node:net'],
  ['src/http-api/a.ts', 'src/main/b.ts'],
  ['src/http-api/a.ts', 'src/cli/b.ts'],
  ['src/cli/a.ts', 'src/identity/b.ts'],
  ['src/cli/a.ts', 'src/foundation/database/tables.ts'],
  ['src/cli/a.ts', 'src/foundation/config.ts'],
  ['src/cli/a.ts', 'src/http-api/handler.ts'],
  ['src/notify/a.ts', 'src/access/b.ts'],
  ['src/notify/a.ts', 'src/foundation/database/tables.ts'],
  ['src/main/a.ts', 'test/support/b.ts'],
  ['src/main/a.test.ts', 'test/journeys/b.ts'],
  ['src/main/a.ts', 'vitest'],
  ['src/elsewhere/a.ts', 'src/contract/b.ts'],
]

describe('imports', () => {
  test.each(FORBIDDEN)('%s must not import %s', (from, to) => {
    expect(messagesFor(importing(from, to))).toHaveLength(1)
  })

  test('every room with an arrow that ends has a planted violation here', () => {
    const planted = new Set(FORBIDDEN.map(([from]) => from))
    expect(
      ROOMS.map((room) => room.path).filter((path) => !planted.has(`${path}/a.ts`) && path !== 'src/connection/relay'),
    ).toEqual([])
  })

  const allowed: readonly (readonly [string, string])[] = [
    ['src/contract/a.ts', 'zod'],
    ['sdk/a.ts', 'src/contract/b.ts'],
    ['sdk/a.ts', 'sdk/testing/b.ts'],
    ['sdk/examples/a.ts', '@sallyport/sdk'],
    ['src/formats/a.ts', 'node:crypto'],
    ['src/connection/relay/ssh/wire/a.ts', 'src/foundation/streams/reader.ts'],
    ['src/connection/relay/ssh/wire/a.ts', 'src/connection/relay/ssh/wire/b.ts'],
    ['src/connection/relay/ssh/a.ts', 'src/connection/control-plane.ts'],
    ['src/access/a.ts', 'src/grants/b.ts'],
    ['src/cli/a.ts', 'src/foundation/clock.ts'],
    ['src/cli/a.ts', 'commander'],
    ['src/main/a.ts', 'src/http-api/b.ts'],
    ['src/grants/a.test.ts', 'test/support/b.ts'],
  ]
  test.each(allowed)('%s may import %s', (from, to) => {
    expect(messagesFor(importing(from, to))).toEqual([])
  })

  test.each([
    ['export from', `export { x } from '../connection/b.ts'`],
    ['import type', `import type { X } from '../connection/b.ts'`],
    ['an inline import type', `export type Y = import('../connection/b.ts').X`],
    ['import()', `export const load = () => import('../connection/b.ts')`],
    ['import() of a computed name', `export const load = (name: string) => import(name)`],
    ['require', `declare const require: (m: string) => unknown\nrequire('../connection/b.ts')`],
    ['an import for its side effects', `import '../connection/b.ts'`],
  ])('a forbidden module is found behind %s', (_form, text) => {
    expect(messagesFor({ 'src/access/a.ts': text })).toHaveLength(1)
  })

  test('the pure part of a module that also opens sockets may be used, its sockets may not', () => {
    expect(messagesFor({ 'src/formats/a.ts': `import { isIP } from 'node:net'\nisIP()` })).toEqual([])
    expect(messagesFor({ 'src/formats/a.ts': `import { isIP, connect } from 'node:net'\nconnect(isIP)` })).toHaveLength(
      1,
    )
    expect(messagesFor({ 'src/formats/a.ts': `import * as net from 'node:net'\nnet.x()` })).toHaveLength(1)
  })

  test('a development dependency is not imported by what runs in production', () => {
    expect(messagesFor(importing('src/main/a.ts', 'fast-check'))).toHaveLength(1)
    expect(messagesFor(importing('src/main/a.test.ts', 'fast-check'))).toEqual([])
  })
})

const ELSEWHERE: readonly (readonly [name: string, text: string])[] = [
  ['Authorization.certify', `declare const Authorization: any\nexport const a = Authorization.certify({})`],
  ['certify by index', `declare const Authorization: any\nexport const a = Authorization['certify']({})`],
  ['certify taken out', `declare const Authorization: any\nexport const { certify } = Authorization`],
  ['Date.now', `declare const Date: any\nexport const now = Date.now`],
  ['new Date()', `declare const Date: any\nexport const now = new Date()`],
  ['performance.now', `declare const performance: any\nperformance.now()`],
  ['setTimeout', `declare function setTimeout(f: any, ms: number): void\nsetTimeout(1, 2)`],
  ['globalThis.setInterval', `globalThis.setInterval(1, 2)`],
  ['node:timers', `import { x } from 'node:timers/promises'\nx(2)`],
  ['AbortSignal.timeout', `declare const AbortSignal: any\nAbortSignal.timeout(1)`],
  ['Math.random', `declare const Math: any\nMath.random()`],
  ['randomBytes', `import { randomBytes } from 'node:crypto'\nrandomBytes(2)`],
  ['randomUUID', `declare const crypto: any\ncrypto.randomUUID()`],
  ['event_id', `export const row = { id: 'u', event_id: 'evt_1' }`],
  ['event_id by assignment', `export const bind = (row: any): void => { row.event_id = 'evt_1' }`],
  [
    'the chain',
    `import type { Transaction } from 'kysely'\nexport const f = (tx: Transaction) => tx.insertInto('audit_events')`,
  ],
  ['a transaction', `import type { Kysely } from 'kysely'\nexport const f = (db: Kysely) => db.transaction()`],
  [
    'a power table outside a transaction',
    `import type { Kysely } from 'kysely'\nexport const f = (db: Kysely) => db.updateTable('grants')`,
  ],
  [
    'a power table on what may be a transaction',
    `import type { Kysely } from 'kysely'\nexport const f = (tx: Kysely & { isTransaction: boolean }) => tx.insertInto('users')`,
  ],
  [
    'a computed table outside a transaction',
    `import type { Kysely } from 'kysely'\nexport const f = (db: Kysely, t: string) => db.deleteFrom(t)`,
  ],
  ['a promise nobody waits for', `declare const f: () => Promise<void>\nf()`],
]

describe('deeds that only named files may do', () => {
  test.each(ELSEWHERE)('%s elsewhere is found', (_name, text) => {
    expect(messagesFor({ 'src/access/a.ts': text })).toHaveLength(1)
  })

  test.each([
    ['src/connection/authorize.ts', ELSEWHERE[0]],
    ['src/connection/control-plane-stub.ts', ELSEWHERE[0]],
    ['src/foundation/clock.ts', ELSEWHERE[3]],
    ['src/foundation/ids.ts', ELSEWHERE[11]],
    ['src/audit/commit-deed.ts', ELSEWHERE[13]],
    ['src/audit/chain.ts', ELSEWHERE[15]],
  ])('%s may do its own', (file, planted) => {
    expect(messagesFor({ [file]: planted?.[1] ?? '' })).toEqual([])
  })

  test.each([
    ['a property of that name', `export const clock = { setTimeout: 1 }\nexport const t = clock.setTimeout`],
    ['a date made of a given instant', `declare const Date: any\nexport const at = new Date(0)`],
    ['the blank event id of a new row', `export const row = { id: 'u', event_id: '' }`],
    ['the event id that was read', `export const copy = (row: { event_id: string }) => ({ event_id: row.event_id })`],
    [
      'a power table on a transaction',
      `import type { Transaction } from 'kysely'\nexport const f = (tx: Transaction) => tx.insertInto('users')`,
    ],
    [
      'a power table on what is known as a transaction',
      `import type { Kysely } from 'kysely'\nexport const f = (tx: Kysely & { isTransaction: true }) => tx.insertInto('users')`,
    ],
    [
      'an ordinary table outside a transaction',
      `import type { Kysely } from 'kysely'\nexport const f = (db: Kysely) => db.updateTable('login_seen')`,
    ],
    ['a promise whose failure is handled', `declare const f: () => Promise<void>\nf().catch(() => {})\nvoid f()`],
  ])('%s is nothing to complain about', (_name, text) => {
    expect(messagesFor({ 'src/access/a.ts': text })).toEqual([])
  })
})
