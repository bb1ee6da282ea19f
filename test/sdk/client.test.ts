// What a program may count on whatever the other side does; the calls themselves are in feed.test.ts and kit.test.ts.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readBusiness } from '../../sdk/examples/business-rules/rules.ts'
import { Sallyport, SallyportError } from '../../sdk/index.ts'
import { SilentServer } from '../support/silent-server.ts'
import type { AccessRequest } from '../../sdk/contract-types.ts'

const PIN = `sha256:${'0'.repeat(64)}`
const TOKEN = `sally_service_${'a'.repeat(43)}`
const REQUEST = {
  id: 'req_1',
  requestDigest: 'r',
  factsDigest: 'f',
  grantedDuration: 1,
  grantedStart: null,
} as AccessRequest
let silent: SilentServer
let address = ''

beforeAll(async () => {
  silent = await SilentServer.start()
  address = `127.0.0.1:${silent.port}`
})
afterAll(() => silent[Symbol.asyncDispose]())

test('every call ends with its signal, also while the proxy has not said who it is', async () => {
  using sallyport = new Sallyport({ address, caPin: PIN, token: TOKEN })
  const calls: ((signal: AbortSignal) => Promise<unknown>)[] = [
    (signal) => sallyport.show('req_1', { signal }),
    (signal) => sallyport.preview('req_1', { signal }),
    (signal) => sallyport.approve(REQUEST, { signal }),
    (signal) => sallyport.deny(REQUEST, { signal }),
    (signal) => sallyport.annotate('req_1', { text: 'x', signal }),
    (signal) => sallyport.list({ signal }).next(),
  ]
  for (const call of calls) {
    const stop = new AbortController()
    const ended = call(stop.signal)
    stop.abort(new Error('enough'))
    await expect(ended).rejects.toThrow('enough')
  }
  const stop = new AbortController()
  const watching = sallyport.watchRequests({ signal: stop.signal }).next()
  stop.abort()
  expect(await watching).toEqual({ done: true, value: undefined })
})

describe('a token', () => {
  test('that is none is refused before anything is sent, and is in no error', async () => {
    expect(() => new Sallyport({ address, caPin: PIN, token: 'sally_invite_x' })).toThrow(SallyportError)
    const asked: string[] = []
    const token = (): Promise<string> => Promise.resolve(asked.push('again') > 1 ? TOKEN : 'half a tok')
    using sallyport = new Sallyport({ address, caPin: PIN, token })
    const refused = sallyport.show('req_1').catch((error: unknown) => error)
    expect(String(await refused)).not.toContain('half')
    expect(await refused).toMatchObject({ code: 'malformed', hint: expect.stringContaining('tokens add') })
    const stop = new AbortController()
    const second = sallyport.show('req_1', { signal: stop.signal })
    stop.abort(new Error('enough'))
    await expect(second).rejects.toThrow('enough')
    expect(asked).toEqual(['again', 'again'])
  })
})

describe('business rules', () => {
  let folder: string
  beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'rules-'))))
  afterAll(() => rmSync(folder, { recursive: true }))

  const rule = { name: 'web', roles: ['web'], longest: 60, ticket: true }
  test.each<[string, object]>([
    ['without a bound', { ...rule, longest: undefined }],
    ['with a bound that is a text', { ...rule, longest: '60' }],
    ['without a word on tickets', { ...rule, ticket: undefined }],
    ['for roles that are one text', { ...rule, roles: 'web' }],
    ['without a name', { ...rule, name: undefined }],
  ])('%s are none: what was forgotten opens nothing', (_what, wrong) => {
    const file = join(folder, 'business.json')
    writeFileSync(file, JSON.stringify({ rules: [rule, wrong], openTickets: [] }))
    expect(() => readBusiness(file)).toThrow('rules are name, roles, longest and ticket')
    writeFileSync(file, JSON.stringify({ rules: [rule], openTickets: ['T-1'] }))
    expect(readBusiness(file).rules).toEqual([rule])
  })
})
