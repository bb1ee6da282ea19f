// Peers that fall silent and never close, on either side and in every phase: nothing waits for them for ever.
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { CAPABILITY, OFFERED } from '../../../src/connection/relay/mysql/wire/capabilities.ts'
import { writeGreeting } from '../../../src/connection/relay/mysql/wire/greeting.ts'
import { writeHandshakeResponse, writeSslRequest } from '../../../src/connection/relay/mysql/wire/handshake-response.ts'
import { framed } from '../../../src/connection/relay/mysql/wire/packets.ts'
import { FakeMysqlServer } from '../../support/fake-mysql-server.ts'
import { hurriedClock } from '../../support/hurried-clock.ts'
import { MysqlLab, PASSWORD } from '../../support/mysql-lab.ts'
import { RawMysqlClient } from '../../support/raw-mysql-client.ts'
import { StallingProxy } from '../../support/stalling-proxy.ts'
import { StubbornClients } from '../../support/stubborn-clients.ts'
import { until } from '../../support/until.ts'

/** Deadlines of 10 and 15 seconds are 2 and 3. */
const HURRY = 5
const QUERY = 3
const END = { kind: 'end', text: 'your access was revoked by bob', endText: '', endsAt: null, budgetMs: null } as const

let lab: MysqlLab

beforeAll(async () => {
  lab = await MysqlLab.start({ clock: hurriedClock(HURRY) })
})
afterAll(() => lab?.[Symbol.asyncDispose]())
beforeEach(() => {
  lab.control.change = {}
  lab.control.refusal = null
})

async function nothingIsLeft(): Promise<void> {
  await until('the slots to be given back', () => lab.relay.connections === 0)
  await until('the connections to be closed', async () => (await lab.openSockets()) === 0)
  await until('the threads to go', async () => (await lab.server.threads('app')).length === 0)
}

/** The end of the last session, as it was stored; how long after `since`. */
async function storedEnd(since = 0): Promise<{ readonly reason: string; readonly after: number }> {
  const { sessionId } = lab.facts
  const end = await until('the end to be stored', () => lab.control.ends.get(sessionId), { every: 5 })
  return { reason: end.reason, after: performance.now() - since }
}

const SSL_REQUEST = framed(1, writeSslRequest(OFFERED, 45))
const responseOf = (method: string): Buffer =>
  writeHandshakeResponse({
    ...{ capabilities: OFFERED, collation: 45, user: 'app', answer: Buffer.alloc(20, 1), database: 'shop', method },
  })
const HELLO = Buffer.from([0x16, 3, 1, 1, 0, 1, 0])

describe('a client that falls silent', () => {
  test('before it is known who it is: it is closed, whatever it has said', async () => {
    using clients = new StubbornClients(lab.port)
    await clients.plain('before the greeting', [])
    await clients.plain('after the greeting', [], true)
    await clients.plain('within its request for TLS', [SSL_REQUEST.subarray(0, 9)], true)
    await clients.plain('after its request for TLS', [SSL_REQUEST], true)
    await clients.plain('within the ClientHello', [SSL_REQUEST, HELLO], true)
    await clients.plain('after it was told that TLS is needed', [framed(1, responseOf('mysql_native_password'))], true)
    await clients.plain('after a packet that is none', [Buffer.from([0xff, 0xff, 0xff, 1])], true)
    const { keyPem, certificatePem } = await lab.certificate()
    const tls = { key: keyPem, cert: certificatePem }
    const inTls = (name: string, pieces: readonly Uint8Array[], shown: ConnectionOptions = tls): Promise<void> =>
      clients.secure(name, pieces, { before: SSL_REQUEST, answered: 'greeting', tls: shown })
    const response = framed(2, responseOf('mysql_native_password'))
    await inTls('behind TLS', [])
    await inTls('within its sign-in', [response.subarray(0, 30)])
    await inTls('after it was told that it lacks a certificate', [response], {})
    await inTls('after a sign-in that is none', [framed(2, Buffer.from('nonsense'))])
    await inTls('when it is asked for another way to sign in', [framed(2, responseOf('something_else'))])
    await clients.allAreClosed()
    await nothingIsLeft()
  })

  test('after it was refused by the rules is closed', async () => {
    lab.control.refusal = { ok: false, code: 'access_denied', lines: ['no'] }
    using dark = await StallingProxy.start(lab.port)
    await expect(through(dark)).rejects.toThrow()
    dark.goDark('swallow')
    await nothingIsLeft()
  })

  const PHASES: readonly [string, (client: RawMysqlClient) => Promise<void>][] = [
    ['idle', () => Promise.resolve()],
    ['in a transaction', (client) => saysAnd(client, 'begin', 7)],
    [
      'in a statement',
      async (client) => {
        client.send(QUERY, 'select sleep(600)')
        await until('it to run', async () => (await lab.server.running('app')).length === 1)
      },
    ],
    ['in a large result', (client) => saysAnd(client, MANY, 200_000)],
    [
      'within a large statement',
      async (client) => {
        const long = framed(0, Buffer.from([QUERY]), Buffer.from(`select '${'x'.repeat(500_000)}'`))
        client.socket.write(long.subarray(0, 300_000))
        await until('it to be on its way', () => client.socket.writableLength === 0)
      },
    ],
  ]
  describe.each(['swallow', 'hold'] as const)('behind a network that would %s what is sent', (darkness) => {
    test.each(PHASES)(
      '%s: the end of its access is stored within a second, and no thread is left',
      async (_name, get) => {
        using dark = await StallingProxy.start(lab.port)
        using client = await through(dark)
        await get(client)
        dark.goDark(darkness)
        const since = performance.now()
        lab.control.notify(END)
        expect((await storedEnd(since)).reason).toBe('ended')
        await nothingIsLeft()
      },
    )
  })

  test('idle for longer than it may be: its session ends by itself', async () => {
    lab.control.change = { idleMs: 700 }
    using dark = await StallingProxy.start(lab.port)
    using client = await through(dark)
    dark.goDark('swallow')
    expect(client.isClosed).toBe(false)
    expect((await storedEnd()).reason).toBe('idle')
    await nothingIsLeft()
  })

  test('whose statement runs for longer than it may be idle is not idle', async () => {
    lab.control.change = { idleMs: 2500 }
    using client = await through(lab)
    client.send(QUERY, 'select sleep(4)')
    await client.bytes(1)
    expect(client.isClosed).toBe(false)
  })

  test('that half closes while a result waits for it has left', async () => {
    using client = await through(lab)
    client.socket.pause()
    client.send(QUERY, MANY)
    await until('it to run', async () => (await lab.server.running('app')).length === 1)
    client.socket.end()
    expect((await storedEnd()).reason).toBe('client_left')
    await nothingIsLeft()
  })
})

const MANY = "select repeat('x', 100000) from seq_1_to_20000"

async function saysAnd(client: RawMysqlClient, sql: string, bytes: number): Promise<void> {
  client.send(QUERY, sql)
  await client.bytes(bytes)
}

async function through({ port }: { readonly port: number }): Promise<RawMysqlClient> {
  return RawMysqlClient.connect({ port, user: 'app', database: 'shop', certificate: await lab.certificate() })
}

describe('a server that falls silent', () => {
  const behind = (dark: { readonly port: number }): void => {
    lab.control.change = { database: { id: 'dtb_1', name: 'orders', host: '127.0.0.1', port: dark.port } }
  }

  /** Says this to whoever connects, and then nothing. */
  async function says(word: Buffer): Promise<Disposable & { readonly port: number }> {
    const sockets = new Set<Socket>()
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.resume()
      socket.write(word)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    return {
      port: (server.address() as AddressInfo).port,
      [Symbol.dispose]: () => {
        server.close()
        for (const socket of sockets) socket.destroy()
      },
    }
  }
  const GREETING = framed(
    0,
    writeGreeting({
      ...{ version: '8.4.0', threadId: 77, scramble: Buffer.alloc(20, 7), capabilities: OFFERED | CAPABILITY.SSL },
      method: 'caching_sha2_password',
    }),
  )
  const PHASES: readonly [string, Buffer][] = [
    ['before its greeting', Buffer.alloc(0)],
    ['within its greeting', GREETING.subarray(0, 20)],
    ['in the TLS handshake', GREETING],
  ]

  test.each(PHASES)('%s: its client is told after the deadline, and nothing is left', async (_name, word) => {
    using server = await says(word)
    behind(server)
    await expect(through(lab)).rejects.toThrow(/sallyport/)
    expect((await storedEnd()).reason).toMatch(/^target_/)
    await nothingIsLeft()
  })

  test.each(PHASES)('%s: the end of access does not wait for it', async (_name, word) => {
    using server = await says(word)
    behind(server)
    const before = lab.control.facts.size
    const opening = through(lab)
    opening.catch(() => {})
    await until('it to be let in', () => lab.control.facts.size > before)
    const since = performance.now()
    lab.control.notify(END)
    expect((await storedEnd(since)).reason).toBe('ended')
    await expect(opening).rejects.toThrow(END.text)
    await nothingIsLeft()
  })

  test.each(PHASES)('%s: a client that leaves is not waited with', async (_name, word) => {
    using server = await says(word)
    behind(server)
    using dark = await StallingProxy.start(lab.port)
    const before = lab.control.facts.size
    const opening = through(dark)
    opening.catch(() => {})
    await until('it to be let in', () => lab.control.facts.size > before)
    dark[Symbol.dispose]()
    expect((await storedEnd()).reason).toBe('client_left')
    await nothingIsLeft()
  })

  const STATES: readonly [string, string | null, number][] = [
    ['idle', null, 0],
    ['in a statement', 'select sleep(600)', 0],
    ['in a large result', MANY, 200_000],
  ]
  describe.each(STATES)('%s', (_name, sql, bytes) => {
    async function inTheDark(): Promise<Disposable & { dark: StallingProxy; client: RawMysqlClient }> {
      const dark = await StallingProxy.start(lab.server.port)
      behind(dark)
      const client = await through(lab)
      const before = (await lab.server.running('app')).length
      if (sql !== null) client.send(QUERY, sql)
      if (bytes > 0) await client.bytes(bytes)
      else if (sql !== null) await until('it to run', async () => (await lab.server.running('app')).length > before)
      dark.goDark('swallow')
      return {
        dark,
        client,
        [Symbol.dispose]: () => {
          client[Symbol.dispose]()
          dark[Symbol.dispose]()
        },
      }
    }

    test('the end of access is told and stored all the same', async () => {
      using scene = await inTheDark()
      const since = performance.now()
      lab.control.notify(END)
      expect((await storedEnd(since)).reason).toBe('ended')
      await until('the client to be cut off', () => scene.client.isClosed)
      await until('our connections to it to be closed', () => scene.dark.open === 0)
    })

    test('a client that is gone without a word ends the session', async () => {
      using scene = await inTheDark()
      scene.client.socket.destroy()
      expect((await storedEnd()).reason).toBe('client_left')
      await until('our connections to it to be closed', () => scene.dark.open === 0)
    })
  })

  test('after it has let in whoever comes to kill a thread: the end is stored all the same', async () => {
    await using server = await FakeMysqlServer.start({
      password: PASSWORD,
      isCached: true,
      answer: () => Buffer.alloc(0),
    })
    lab.control.change = server.facts()
    using client = await through(lab)
    client.send(QUERY, 'select 1')
    await until('it to be asked', () => server.commands.length === 1)
    const since = performance.now()
    lab.control.notify(END)
    expect((await storedEnd(since)).reason).toBe('ended')
    expect(server.commands.map((command) => command.subarray(1).toString())).toContain('KILL CONNECTION 77')
    await client.closed()
  })
})
