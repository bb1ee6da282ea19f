import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Refused } from '../../src/foundation/errors.ts'
import { systemClock } from '../../src/foundation/clock.ts'
import { silentLog } from '../../src/foundation/log.ts'
import type { CallContext } from '../../src/http-api/handler.ts'
import { createApi } from '../../src/http-api/server.ts'
import type { Api, ApiOptions } from '../../src/http-api/server.ts'
import { rawCall } from './raw-call.ts'

let folder: string
let api: Api
let open: string
let admin: string
const TOKEN = 'sally_login_alice'

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'api-'))
  open = join(folder, 'api.sock')
  admin = join(folder, 'admin', 'admin.sock')
})
afterEach(async () => {
  await api?.close(200)
  rmSync(folder, { recursive: true })
})

async function start(options: Partial<ApiOptions> = {}): Promise<void> {
  api = createApi({
    handlers: {},
    authenticate: async (token) => {
      if (token !== TOKEN) throw new Refused('not_signed_in', 'unknown token')
      return { loginId: 'lgn_1', user: { id: 'usr_1', name: 'alice' }, secondFactorAt: null, hasSecondFactor: false }
    },
    mayOperate: async () => false,
    reportRefused: () => {},
    checkStepUp: async () => {
      throw new Refused('step_up_required', 'no')
    },
    origins: ['https://sallyport.example:3022'],
    notReady: async () => [],
    metrics: async () => ({ contentType: 'text/plain; version=0.0.4', text: 'up 1\n' }),
    clock: systemClock,
    log: silentLog,
    ...options,
  })
  await api.serve(open)
  await api.serveAdmin(admin)
}

const me = { method: 'GET', path: '/v1/me' }
const seen = (contexts: CallContext[]): ApiOptions['handlers'] => ({
  listLogins: async (context) => {
    contexts.push(context)
    return { items: [] }
  },
  signIn: async (context) => {
    contexts.push(context)
    throw new Refused('bad_credentials', 'wrong name, password or code', 'run: sally login', { tries: 4 })
  },
})
const SIGN_IN = { method: 'POST', path: '/v1/logins' }
const CREDENTIALS = { user: 'a', password: 'b', device: 'd', sshPublicKey: 'k' }

describe('who calls', () => {
  test('the caller’s address is what the relay worker says, never a header', async () => {
    const contexts: CallContext[] = []
    await start({ handlers: seen(contexts) })
    const headers = {
      'x-forwarded-for': '10.9.9.9',
      forwarded: 'for=10.9.9.9',
      'x-real-ip': '10.9.9.9',
      'x-forwarded-host': 'evil.example',
    }
    const call = { path: '/v1/logins', token: TOKEN, headers }
    expect((await rawCall(open, { ...call, peer: 'PEER 2001:db8::1 5\n' })).status).toBe(200)
    expect((await rawCall(open, { ...call, peer: 'PEER ::ffff:192.0.2.7 5\n' })).status).toBe(200)
    expect(contexts.map((context) => context.address)).toEqual(['2001:db8::1', '192.0.2.7'])
  })

  test.each([
    ['none', 'GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n'],
    ['a host name', 'PEER localhost 1\n'],
    ['a port too high', 'PEER 192.0.2.1 65536\n'],
    ['a zone', 'PEER fe80::1%eth0 1\n'],
    ['no port', 'PEER 192.0.2.1\n'],
    ['a carriage return', 'PEER 192.0.2.1 1\r\n'],
    ['two blanks', 'PEER  192.0.2.1 1\n'],
    ['lower case', 'peer 192.0.2.1 1\n'],
    ['no end', `PEER 192.0.2.1 ${'1'.repeat(100)}`],
    ['a cut', 'PEER 192.'],
    ['an empty line', '\n'],
    ['a NUL', 'PEER 192.0.2.1\0 1\n'],
  ])('a connection whose PEER line has %s is closed without an answer', async (_what, line) => {
    await start()
    const answer = await new Promise<string>((resolve) => {
      const socket = connect(open)
      let text = ''
      socket.on('data', (chunk) => (text += chunk.toString()))
      socket.on('error', () => {})
      socket.on('close', () => resolve(text))
      socket.write(line)
      socket.write('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n')
    })
    expect(answer).toBe('')
  })

  test('a PEER line and the call behind it may arrive byte by byte', async () => {
    await start()
    const socket = connect(open)
    const answered = new Promise<string>((resolve) => socket.once('data', (chunk) => resolve(chunk.toString())))
    for (const byte of Buffer.from('PEER 192.0.2.1 1\nGET /healthz HTTP/1.1\r\nhost: x\r\n\r\n')) {
      socket.write(Buffer.from([byte]))
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(await answered).toContain('HTTP/1.1 200')
    socket.destroy()
  })

  test('who is signed in and calls what only operators may is refused and told of, and others are not', async () => {
    const told: string[] = []
    await start({
      reportRefused: (caller, route) => void told.push(`${caller.kind === 'user' ? caller.loginId : ''} ${route}`),
    })
    expect((await rawCall(open, { path: '/v1/users', token: TOKEN })).status).toBe(403)
    expect((await rawCall(open, { path: '/v1/users' })).status).toBe(401)
    expect((await rawCall(open, { path: '/v1/users', token: 'unknown' })).status).toBe(401)
    expect(told).toEqual(['lgn_1 listUsers'])
  })

  test('on the admin socket everybody is the local admin and a token changes nothing', async () => {
    const contexts: CallContext[] = []
    await start({ handlers: { ...seen(contexts), endLogin: async (context) => (contexts.push(context), {}) } })
    const call = { method: 'DELETE', path: '/v1/logins/lgn_2', peer: null, token: TOKEN }
    expect((await rawCall(admin, call)).status).toBe(200)
    expect(contexts[0]).toMatchObject({ actor: { kind: 'local-admin', id: null }, login: null, local: true })
    // What is for people alone stays so.
    const refused = await rawCall(admin, { path: '/v1/logins', peer: null, token: TOKEN })
    expect(refused.json.error?.code).toBe('not_allowed')
  })

  test.each([
    ['no header', undefined],
    ['an empty header', ''],
    ['another scheme', 'Basic YTpi'],
    ['no token', 'Bearer '],
    ['two tokens', `Bearer ${TOKEN} ${TOKEN}`],
    ['a token in a list', `Bearer ${TOKEN}, Bearer ${TOKEN}`],
    ['a huge token', `Bearer ${'a'.repeat(5000)}`],
    ['another token', 'Bearer sally_login_bob'],
  ])('a signed-in route with %s is refused with 401', async (_what, authorization) => {
    await start({ handlers: seen([]) })
    const headers = authorization === undefined ? {} : { authorization }
    const answer = await rawCall(open, { path: '/v1/logins', headers })
    expect([answer.status, answer.json.error?.code]).toEqual([401, 'not_signed_in'])
    expect(answer.headers['www-authenticate']).toBe('Bearer')
  })

  test('a failure inside authentication lets nobody in and tells nothing', async () => {
    await start({
      handlers: seen([]),
      authenticate: async () => {
        throw new Error('secret table is missing')
      },
    })
    const answer = await rawCall(open, { path: '/v1/logins', token: TOKEN })
    expect(answer.status).toBe(500)
    expect(answer.text).not.toContain('secret')
    expect(answer.json.error?.id).toMatch(/^[0-9a-f]{16}$/)
  })
})

test('whose sign-in ends while the body is still on its way is not let in', async () => {
  const asked: string[] = []
  let calls = 0
  await start({
    handlers: {
      stepUp: async () => {
        asked.push('stepUp')
        return { token: 't' }
      },
    },
    authenticate: async () => {
      if (++calls > 1) throw new Refused('login_ended', 'this sign-in has ended')
      return { loginId: 'lgn_1', user: { id: 'usr_1', name: 'alice' }, secondFactorAt: null, hasSecondFactor: false }
    },
  })
  const body = { action: 'a'.repeat(64), code: '123456' }
  const answer = await rawCall(open, { method: 'POST', path: '/v1/step-up', token: TOKEN, body })
  expect([answer.json.error?.code, asked]).toEqual(['login_ended', []])
})

describe('what is sent', () => {
  test('a refusal tells code, text, hint and details', async () => {
    await start({ handlers: seen([]) })
    const answer = await rawCall(open, { ...SIGN_IN, body: CREDENTIALS })
    expect(answer.status).toBe(401)
    expect(answer.json.error).toEqual({
      code: 'bad_credentials',
      message: 'wrong name, password or code',
      hint: 'run: sally login',
      details: { tries: 4 },
    })
  })

  const text = (body: string) => new TextEncoder().encode(body)
  test.each<[string, unknown, number]>([
    ['nothing', undefined, 400],
    ['null', null, 400],
    ['an array', [CREDENTIALS], 400],
    ['a number', 5, 400],
    ['text', 'x', 400],
    ['an unknown key', { ...CREDENTIALS, admin: true }, 400],
    ['a key __proto__', text('{"user":"a","password":"b","device":"d","sshPublicKey":"k","__proto__":{"x":1}}'), 400],
    ['cut JSON', text('{"user":"a"'), 400],
    ['bytes that are no UTF-8', Buffer.from([0x22, 0xff, 0x22]), 400],
    ['100 000 brackets', text('['.repeat(100_000)), 400],
    ['33 levels', text('['.repeat(33) + ']'.repeat(33)), 400],
    ['more than 1 MiB', text(`"${'a'.repeat(1_048_576)}"`), 413],
    ['1 MiB of text in a field', { ...CREDENTIALS, password: 'a'.repeat(1_000_000) }, 400],
  ])('a body of %s is refused and no handler runs', async (_what, body, status) => {
    const contexts: CallContext[] = []
    await start({ handlers: seen(contexts) })
    const answer = await rawCall(open, { ...SIGN_IN, body })
    expect(answer.status).toBe(status)
    expect(['malformed', 'too_large']).toContain(answer.json.error?.code)
    expect(contexts).toEqual([])
  })

  test.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data', 'application/jsonp'])(
    'a body of type %s is refused',
    async (type) => {
      await start({ handlers: seen([]) })
      const answer = await rawCall(open, { ...SIGN_IN, body: CREDENTIALS, headers: { 'content-type': type } })
      expect([answer.status, answer.json.error?.code]).toEqual([400, 'malformed'])
    },
  )

  test('an unknown query key, and one given twice, are refused', async () => {
    await start({ handlers: { listRequests: async () => ({ items: [], next: null }), ...seen([]) } })
    for (const path of ['/v1/logins?x=1', '/v1/requests?scope=mine&scope=all', '/v1/requests?nope=1']) {
      expect((await rawCall(open, { path, token: TOKEN })).json.error?.code).toBe('malformed')
    }
    expect((await rawCall(open, { path: '/v1/requests?scope=mine', token: TOKEN })).status).toBe(200)
  })

  test.each(['https://evil.example', 'null', 'https://sallyport.example', 'http://sallyport.example:3022', ''])(
    'a mutating call from the origin "%s" is refused',
    async (origin) => {
      await start({ handlers: seen([]) })
      const answer = await rawCall(open, { ...SIGN_IN, body: CREDENTIALS, headers: { origin } })
      expect([answer.status, answer.json.error?.code]).toEqual([403, 'not_allowed'])
    },
  )

  test('our own origin may call', async () => {
    await start({ handlers: seen([]) })
    const headers = { origin: 'https://sallyport.example:3022' }
    expect((await rawCall(open, { ...SIGN_IN, body: CREDENTIALS, headers })).json.error?.code).toBe('bad_credentials')
  })

  test('one contract version apart works, two do not, and a mutating call must name its own', async () => {
    await start({ handlers: seen([]) })
    const code = async (version: string) =>
      (await rawCall(open, { ...SIGN_IN, body: CREDENTIALS, headers: { 'sallyport-contract': version } })).json.error
        ?.code
    expect(await code('2')).toBe('bad_credentials')
    expect(await code('0')).toBe('bad_credentials')
    for (const wrong of ['3', '-1', 'x', '1.5']) expect(await code(wrong)).toBe('version_mismatch')
    expect(await code('')).toBe('version_mismatch')
  })

  test('what the answer’s schema does not name is left out', async () => {
    await start({
      handlers: { listFactors: async () => ({ items: [], secret: 'canary' }) as { items: never[] } },
    })
    expect((await rawCall(open, { path: '/v1/factors', token: TOKEN })).text).toBe('{"items":[]}')
  })

  test('every answer forbids caching, sniffing and framing', async () => {
    await start()
    for (const path of ['/healthz', '/readyz', '/v1/me', '/nothing', '/%ff']) {
      const { headers } = await rawCall(open, { path })
      expect(headers).toMatchObject({
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
        'sallyport-contract': '1',
      })
    }
  })
})

describe('streams, deadlines and the end', () => {
  test('lines are sent as they come, and a failure in the middle cuts the answer', async () => {
    await start({
      handlers: {
        playSession: async () => ({
          lines: (async function* () {
            yield { at: 1 }
            yield { at: 2 }
          })(),
        }),
        listNodes: async () => ({
          lines: (async function* () {
            yield { at: 1 }
            throw new Error('disk')
          })(),
        }),
      },
    })
    const played = await rawCall(open, { path: '/v1/sessions/ses_1/recording', token: TOKEN })
    expect(played.headers['content-type']).toBe('application/x-ndjson')
    expect(played.text).toBe('{"at":1}\n{"at":2}\n')
    await expect(rawCall(open, { path: '/v1/nodes', token: TOKEN })).rejects.toThrow()
  })

  test('a reader that stops holds the source', async () => {
    let made = 0
    await start({
      handlers: {
        playSession: async () => ({
          lines: (async function* () {
            for (; made < 100_000; made++) yield { at: made, bytes: 'x'.repeat(10_000) }
          })(),
        }),
      },
    })
    const socket = connect(open)
    socket.write(
      `PEER 192.0.2.1 1\nGET /v1/sessions/s/recording HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${TOKEN}\r\n\r\n`,
    )
    await new Promise<void>((resolve) => socket.once('readable', resolve))
    let before = -1
    while (before !== made) {
      before = made
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    expect(made).toBeLessThan(5000)
    socket.destroy()
  })

  test('an answer that does not begin in time is given up', async () => {
    await start({ deadlineMs: 50, handlers: { listFactors: () => new Promise(() => {}) } })
    const answer = await rawCall(open, { path: '/v1/factors', token: TOKEN })
    expect([answer.status, answer.json.error?.code]).toEqual([503, 'store_unavailable'])
  })

  test('a caller who hangs up aborts the call', async () => {
    const { promise: running, resolve: runs } = Promise.withResolvers<void>()
    const { promise: aborted, resolve: aborts } = Promise.withResolvers<void>()
    await start({
      handlers: {
        listFactors: async ({ signal }) => {
          signal.addEventListener('abort', () => aborts())
          runs()
          await aborted
          return { items: [] }
        },
      },
    })
    const socket = connect(open)
    socket.write(`PEER 192.0.2.1 1\nGET /v1/factors HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${TOKEN}\r\n\r\n`)
    await running
    socket.destroy()
    await aborted
  })

  test('closing lets a running call finish and tells waiting ones', async () => {
    const { promise: running, resolve: runs } = Promise.withResolvers<void>()
    let isAborted = false
    await start({
      handlers: {
        listFactors: async ({ signal }) => {
          runs()
          await new Promise<void>((done) => signal.addEventListener('abort', () => done()))
          isAborted = true
          return { items: [] }
        },
      },
    })
    const answer = rawCall(open, { path: '/v1/factors', token: TOKEN })
    await running
    await api.close(5000)
    expect((await answer).status).toBe(200)
    expect(isAborted).toBe(true)
    await expect(rawCall(open, { path: '/healthz' })).rejects.toThrow()
  })

  test('metrics are given on the admin socket alone', async () => {
    await start({ notReady: async () => ['the store does not answer'] })
    expect((await rawCall(open, { path: '/metrics' })).status).toBe(404)
    expect((await rawCall(admin, { path: '/metrics', peer: null })).text).toBe('up 1\n')
    expect((await rawCall(open, { path: '/healthz' })).status).toBe(200)
    const open503 = await rawCall(open, { path: '/readyz' })
    expect([open503.status, open503.json]).toEqual([503, { ok: false }])
    expect((await rawCall(admin, { path: '/readyz', peer: null })).text).toContain('the store')
  })
})

describe('the admin socket’s folder', () => {
  test('a folder open to others, a link and a foreign file at the socket’s path are refused', async () => {
    await start()
    chmodSync(join(folder, 'admin'), 0o750)
    await expect(api.serveAdmin(admin)).rejects.toThrow('chmod 700')
    chmodSync(join(folder, 'admin'), 0o700)
    symlinkSync(join(folder, 'admin'), join(folder, 'link'))
    await expect(api.serveAdmin(join(folder, 'link', 'x.sock'))).rejects.toThrow('no link')
    writeFileSync(join(folder, 'admin', 'file'), '')
    await expect(api.serveAdmin(join(folder, 'admin', 'file'))).rejects.toThrow('no socket')
  })

  test('a second daemon does not take a living socket over', async () => {
    await start()
    await expect(api.serve(open)).rejects.toThrow('another daemon')
  })
})

test('a call to a path with a trailing slash, another case or another method is no route', async () => {
  await start()
  for (const call of [
    { ...me, path: '/v1/me/' },
    { ...me, path: '/V1/me' },
    { ...me, path: '//v1/me' },
    { ...me, method: 'PATCH' },
    { ...me, method: 'HEAD' },
  ])
    expect((await rawCall(open, { ...call, token: TOKEN })).status).toBe(404)
  const override = { path: '/v1/me', token: TOKEN, headers: { 'x-http-method-override': 'DELETE' } }
  expect((await rawCall(open, override)).status).toBe(404)
})
