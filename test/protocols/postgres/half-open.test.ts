// Peers that fall silent and never close, on either side and in every phase: nothing waits for them for ever.
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { hurriedClock } from '../../support/hurried-clock.ts'
import { PostgresLab } from '../../support/postgres-lab.ts'
import { message, packet, RawPostgresClient, SSL_REQUEST, startup } from '../../support/raw-postgres-client.ts'
import { StallingProxy } from '../../support/stalling-proxy.ts'
import { StubbornClients } from '../../support/stubborn-clients.ts'
import { until } from '../../support/until.ts'

/** Deadlines of 10 and 15 seconds are 2 and 3. */
const HURRY = 5
const SIGN_IN = { user: 'app', database: 'shop' }
const END = { kind: 'end', text: 'your access was revoked by bob', endText: '', endsAt: null, budgetMs: null } as const

let lab: PostgresLab

beforeAll(async () => {
  lab = await PostgresLab.start({ clock: hurriedClock(HURRY) })
  await lab.server.query('shop', 'create table bulk (t text); grant all on bulk to app')
})
afterAll(() => lab?.[Symbol.asyncDispose]())
beforeEach(() => {
  lab.control.change = {}
  lab.control.refusal = null
})

async function nothingIsLeft(): Promise<void> {
  await until('the slots to be given back', () => lab.relay.connections === 0)
  await until('the connections to be closed', async () => (await lab.openSockets()) === 0)
  await until('the backends to go', async () => (await lab.backends()).length === 0)
}

/** The end of the last session, as it was stored; how long after `since`. */
async function storedEnd(since: number): Promise<{ readonly reason: string; readonly after: number }> {
  const { sessionId } = lab.facts
  const end = await until('the end to be stored', () => lab.control.ends.get(sessionId), { every: 5 })
  return { reason: end.reason, after: performance.now() - since }
}

describe('a client that falls silent', () => {
  test('before it is known who it is: it is closed, whatever it has said', async () => {
    using clients = new StubbornClients(lab.port)
    const hello = Buffer.from([0x16, 3, 1, 1, 0, 1, 0])
    await clients.plain('within its SSLRequest', [SSL_REQUEST.subarray(0, 5)])
    await clients.plain('after its SSLRequest', [SSL_REQUEST])
    await clients.plain('within a ClientHello without SSLRequest', [hello])
    await clients.plain('after it was told that TLS is needed', [startup(SIGN_IN)])
    await clients.plain('after something behind SSLRequest', [Buffer.concat([SSL_REQUEST, startup(SIGN_IN)])])
    await clients.plain('after a cancel request of nobody', [packet(80877102, '12345678')])
    await clients.plain('after a length that is none', [packet(3 << 16, '', 7)])
    const { keyPem, certificatePem } = await lab.certificate()
    const tls = { key: keyPem, cert: certificatePem }
    const inTls = (name: string, pieces: readonly Uint8Array[], shown: ConnectionOptions = tls): Promise<void> =>
      clients.secure(name, pieces, { before: SSL_REQUEST, answered: 'first', tls: shown })
    await inTls('behind TLS', [])
    await inTls('within its startup message', [startup(SIGN_IN).subarray(0, 9)])
    await inTls('after it was told that it lacks a certificate', [startup(SIGN_IN)], {})
    await inTls('after a startup message that is none', [packet(2 << 16, 'x'.repeat(20))])
    await inTls('after a cancel request in TLS', [packet(80877102, '12345678')])
    await inTls('after a parameter that is not passed on', [startup({ ...SIGN_IN, role: 'postgres' })])
    await clients.allAreClosed()
    await nothingIsLeft()
  })

  test('after it was refused by the rules is closed', async () => {
    lab.control.refusal = { ok: false, code: 'access_denied', lines: ['no'] }
    using dark = await StallingProxy.start(lab.port)
    using client = await through(dark)
    client.send(startup(SIGN_IN))
    dark.goDark('swallow')
    await nothingIsLeft()
  })

  const PHASES: readonly [string, (client: RawPostgresClient) => Promise<void>][] = [
    ['idle', () => Promise.resolve()],
    ['in a transaction', (client) => saysAnd(client, 'begin', 'C')],
    [
      'in a statement',
      async (client) => {
        client.send(message('Q', 'select pg_sleep(600)\0'))
        await until('it to run', async () => (await lab.backends()).includes('select pg_sleep(600)'))
      },
    ],
    ['in COPY out', (client) => saysAnd(client, `copy (${MANY}) to stdout`, 'd')],
    ['in a large result', (client) => saysAnd(client, MANY, 'D')],
    [
      'in COPY in, within a message',
      async (client) => {
        await saysAnd(client, 'copy bulk from stdin', 'G')
        client.send(message('d', 'x'.repeat(50_000)).subarray(0, 20_000))
      },
    ],
    [
      'between Parse and Sync',
      async (client) => {
        client.send(message('P', '\0select 1\0\0\0'), message('H'))
        await client.gets('1')
      },
    ],
  ]
  describe.each(['swallow', 'hold'] as const)('behind a network that would %s what is sent', (darkness) => {
    test.each(PHASES)(
      '%s: the end of its access is stored within a second, and no backend is left',
      async (_name, get) => {
        using dark = await StallingProxy.start(lab.port)
        using client = await through(dark)
        client.send(startup(SIGN_IN))
        await client.gets('Z')
        await get(client)
        dark.goDark(darkness)
        const since = performance.now()
        lab.control.notify(END)
        const end = await storedEnd(since)
        expect(end.reason).toBe('ended')
        await nothingIsLeft()
      },
    )
  })

  test('idle for longer than it may be: its session ends by itself', async () => {
    lab.control.change = { idleMs: 700 }
    using dark = await StallingProxy.start(lab.port)
    using client = await through(dark)
    client.send(startup(SIGN_IN))
    await client.gets('Z')
    dark.goDark('swallow')
    expect((await storedEnd(performance.now())).reason).toBe('idle')
    await nothingIsLeft()
  })
})

const MANY = "select repeat('x', 100000) from generate_series(1, 100000)"

async function saysAnd(client: RawPostgresClient, sql: string, answer: string): Promise<void> {
  client.send(message('Q', `${sql}\0`))
  await client.gets(answer)
}

/** A client in TLS that has not said who it is. */
async function through(dark: StallingProxy): Promise<RawPostgresClient> {
  const { keyPem, certificatePem } = await lab.certificate()
  return RawPostgresClient.secure(dark.port, { rejectUnauthorized: false, key: keyPem, cert: certificatePem })
}

describe('a server that falls silent', () => {
  const behind = (dark: { readonly port: number }): void => {
    lab.control.change = { database: { id: 'dtb_1', name: 'orders', host: '127.0.0.1', port: dark.port } }
  }

  /** It answers each of the first messages that it is sent, and then nothing. */
  async function answers(...words: readonly (string | Uint8Array)[]): Promise<Disposable & { readonly port: number }> {
    const sockets = new Set<Socket>()
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      sockets.add(socket)
      socket.on('error', () => {})
      let next = 0
      socket.on('data', () => {
        const word = words[next++]
        if (word !== undefined) socket.write(word)
      })
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

  const PHASES: readonly [string, readonly string[]][] = [
    ['before it answers SSLRequest', []],
    ['in the TLS handshake', ['S']],
  ]
  test.each(PHASES)('%s: its client is told after the deadline, and nothing is left', async (_name, words) => {
    using server = await answers(...words)
    behind(server)
    using client = await lab.raw({ signIn: false })
    client.send(startup(SIGN_IN))
    expect((await client.gets('E')).body.toString()).toContain('orders cannot be used: it took too long')
    expect((await storedEnd(0)).reason).toBe('upstream_refused')
    client.socket.destroy()
    await nothingIsLeft()
  })

  test.each(PHASES)('%s: the end of access does not wait for it', async (_name, words) => {
    using server = await answers(...words)
    behind(server)
    using client = await lab.raw({ signIn: false })
    const before = lab.control.facts.size
    client.send(startup(SIGN_IN))
    await until('it to be let in', () => lab.control.facts.size > before)
    const since = performance.now()
    lab.control.notify(END)
    expect((await storedEnd(since)).reason).toBe('ended')
    expect((await client.gets('E')).body.toString()).toContain(END.text)
    await nothingIsLeft()
  })

  test.each(PHASES)('%s: a client that leaves is not waited with', async (_name, words) => {
    using server = await answers(...words)
    behind(server)
    lab.control.change = { ...lab.control.change, idleMs: null }
    using client = await lab.raw({ signIn: false })
    const before = lab.control.facts.size
    client.send(startup(SIGN_IN))
    await until('it to be let in', () => lab.control.facts.size > before)
    client.socket.destroy()
    expect((await storedEnd(0)).reason).toBe('client_left')
    await nothingIsLeft()
  })

  test.each([3000, 5000])('after %i bytes of its sign-in: its client is told after the deadline', async (bytes) => {
    using dark = await StallingProxy.start(lab.server.port)
    dark.goDarkAfter(bytes)
    behind(dark)
    using client = await lab.raw({ signIn: false })
    client.send(startup(SIGN_IN))
    const answer = await until('an answer', () => client.messages().find(({ type }) => 'EZ'.includes(type)))
    if (answer.type === 'E') expect(answer.body.toString()).toContain('orders cannot be used: it took too long')
    client.socket.destroy()
    await until('the slots to be given back', () => lab.relay.connections === 0)
    await until('its connection to be closed', () => dark.open === 0)
  })

  const STATES: readonly [string, string | null, string][] = [
    ['idle', null, 'Z'],
    ['in a statement', 'select pg_sleep(600)', ''],
    ['in COPY out', `copy (${MANY}) to stdout`, 'd'],
    ['in COPY in', 'copy bulk from stdin', 'G'],
  ]
  describe.each(STATES)('%s', (_name, sql, answer) => {
    async function inTheDark(): Promise<Disposable & { dark: StallingProxy; client: RawPostgresClient }> {
      const dark = await StallingProxy.start(lab.server.port)
      behind(dark)
      const client = await lab.raw()
      if (sql !== null) client.send(message('Q', `${sql}\0`))
      if (answer !== '') await client.gets(answer)
      else await until('it to run', async () => (await lab.backends()).includes(sql ?? ''))
      dark.goDark('swallow')
      return {
        dark,
        client,
        [Symbol.dispose]: () => {
          client.socket.destroy()
          dark[Symbol.dispose]()
        },
      }
    }

    test('the end of access is told and stored all the same', async () => {
      using scene = await inTheDark()
      const since = performance.now()
      lab.control.notify(END)
      expect((await storedEnd(since)).reason).toBe('ended')
      await until('the client to be cut off', () => scene.client.ended)
      await until('our connections to it to be closed', () => scene.dark.open === 0)
    })

    test('a client that is gone without a word ends the session', async () => {
      using scene = await inTheDark()
      scene.client.socket.destroy()
      expect((await storedEnd(0)).reason).toBe('client_left')
      await until('our connections to it to be closed', () => scene.dark.open === 0)
    })
  })

  // What runs is the server's to finish, as it is without a proxy; what is done is over.
  test('a client that says goodbye and has nothing running is not kept waiting for it', async () => {
    using dark = await StallingProxy.start(lab.server.port)
    behind(dark)
    using client = await lab.raw()
    dark.goDark('swallow')
    client.send(message('X'))
    client.socket.end()
    expect((await storedEnd(0)).reason).toBe('client_left')
    await until('our connections to it to be closed', () => dark.open === 0)
  })
})
