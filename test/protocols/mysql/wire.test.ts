// Bytes that no stock client or server sends, and the same bytes to the server directly and through the proxy.
import { once } from 'node:events'
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CAPABILITY } from '../../../src/connection/relay/mysql/wire/capabilities.ts'
import { writeSslRequest } from '../../../src/connection/relay/mysql/wire/handshake-response.ts'
import { u16, u32 } from '../../../src/connection/relay/mysql/wire/mysql-bytes.ts'
import { framed } from '../../../src/connection/relay/mysql/wire/packets.ts'
import { FakeMysqlServer } from '../../support/fake-mysql-server.ts'
import { MysqlLab, PASSWORD } from '../../support/mysql-lab.ts'
import { RawMysqlClient } from '../../support/raw-mysql-client.ts'
import { until } from '../../support/until.ts'

const { DEPRECATE_EOF } = CAPABILITY
let lab: MysqlLab

beforeAll(async () => {
  lab = await MysqlLab.start()
  await lab.server.sql(`create table shop.things (id int primary key, name varchar(50));
    insert into shop.things values (1, 'bread'), (2, 'cheese'), (3, null);`)
  await lab.server.sql(
    'delimiter //\ncreate procedure shop.both_of() begin select 1 as a; select name from shop.things; end//\n',
  )
})

afterAll(async () => {
  await lab?.[Symbol.asyncDispose]()
})

const through = async (more: Partial<Parameters<typeof RawMysqlClient.connect>[0]> = {}): Promise<RawMysqlClient> =>
  RawMysqlClient.connect({
    port: lab.port,
    user: 'app',
    database: 'shop',
    certificate: await lab.certificate(),
    ...more,
  })
const direct = (capabilities: number): Promise<RawMysqlClient> =>
  RawMysqlClient.connect({ port: lab.server.port, user: 'app', password: PASSWORD, database: 'shop', capabilities })

const QUERY = 3
const PING = 14
const execute = (cursor: number): Buffer => Buffer.concat([u32(1), Buffer.from([cursor]), u32(1)])

/** Statements ids count from 1 in each connection, so the bytes are the same. */
const TALKS: readonly [string, readonly (readonly [number, Buffer | string])[]][] = [
  [
    'rows, none, an error',
    [
      [QUERY, 'select * from things'],
      [QUERY, 'select 1 from things where 0'],
      [QUERY, 'select nonsense'],
    ],
  ],
  [
    'several statements in one, the last one wrong',
    [[QUERY, 'select 1; select name from things; do 0; select nonsense; select 5']],
  ],
  ['a procedure with two results', [[QUERY, 'call both_of()']]],
  [
    'changes',
    [
      [QUERY, "insert into things values (9, 'nine')"],
      [QUERY, 'delete from things where id = 9'],
    ],
  ],
  [
    'a prepared statement: run twice, reset, closed, and run again',
    [
      [0x16, 'select name from things'],
      [0x17, execute(0)],
      [0x17, execute(0)],
      [0x1a, u32(1)],
      [0x19, u32(1)],
      [0x17, execute(0)],
    ],
  ],
  [
    'a cursor: opened, fetched in two steps, and once too often',
    [
      [0x16, 'select id from things'],
      [0x17, execute(1)],
      [0x1c, Buffer.concat([u32(1), u32(2)])],
      [0x1c, Buffer.concat([u32(1), u32(2)])],
      [0x1c, Buffer.concat([u32(1), u32(2)])],
    ],
  ],
  [
    'a statement that cannot be prepared',
    [
      [0x16, 'select nonsense'],
      [0x16, 'do 0'],
    ],
  ],
  [
    'another database, fields, options, a reset',
    [
      [2, 'shop'],
      [2, 'nowhere'],
      [4, 'things\0%'],
      [0x1b, u16(1)],
      [0x1b, u16(0)],
      [0x1f, ''],
    ],
  ],
  ['a text of 70,000 bytes', [[QUERY, `select '${'y'.repeat(70_000)}' = ''`]]],
  [
    'nothing at all',
    [
      [QUERY, ''],
      [QUERY, ' ; '],
    ],
  ],
]

describe('the same bytes to the server, directly and through the proxy, have the same answer', () => {
  const cases = TALKS.flatMap(([name, talk]) => [
    [name, 'with EOF', 0, talk] as const,
    [name, 'without EOF', DEPRECATE_EOF, talk] as const,
  ])
  test.each(cases)('%s, %s', async (_name, _how, capabilities, talk) => {
    using one = await direct(capabilities)
    using other = await through({ capabilities })
    // The ping behind each command shows that its answer has ended.
    for (const client of [one, other])
      for (const [command, body] of talk) {
        const before = client.received.length
        client.send(command, body)
        client.send(PING)
        await until('the ping is answered', () => client.received.length > before && endsWithOkay(client.received))
      }
    expect(other.received.toString('hex')).toBe(one.received.toString('hex'))
  })
})

/** An OK packet with sequence id 1 and nothing affected. */
const endsWithOkay = (bytes: Buffer): boolean => {
  const last = bytes.subarray(-11)
  return last.subarray(0, 7).equals(Buffer.from([7, 0, 0, 1, 0, 0, 0]))
}

describe('commands that do not pass', () => {
  test.each([
    ['COM_CHANGE_USER', 0x11, 'root\0\0mysql\0'],
    ['COM_BINLOG_DUMP', 0x12, Buffer.alloc(10)],
    ['COM_BINLOG_DUMP_GTID', 0x1e, Buffer.alloc(10)],
    ['COM_REGISTER_SLAVE', 0x15, Buffer.alloc(18)],
    ['COM_SHUTDOWN', 0x08, Buffer.alloc(1)],
    ['COM_DEBUG', 0x0d, ''],
    ['COM_DROP_DB', 0x06, 'shop'],
    ['COM_STMT_BULK_EXECUTE', 0xfa, Buffer.alloc(10)],
    ['a command that there is not', 0x77, 'x'],
  ])('%s is answered by ERR 1227, and the session goes on', async (_name, command, body) => {
    using client = await through()
    client.send(command, body)
    await until('the refusal', () => client.received.length > 20)
    expect(client.received.readUInt16LE(5)).toBe(1227)
    expect(client.received[3]).toBe(1)
    const before = client.received.length
    client.send(PING)
    await until('the ping is answered', () => client.received.length === before + 11)
  })

  test('a KILL of an id of ours that is not the same person’s is an unknown thread', async () => {
    using victim = await through()
    using other = await through()
    other.send(QUERY, `KILL ${String(victim.threadId)}`)
    await until('the answer', () => other.received.length > 10)
    expect(other.received.readUInt16LE(5)).toBe(1094)
    expect(victim.isClosed).toBe(false)
  })

  test('COM_PROCESS_KILL of one of the same person ends that session', async () => {
    const certificate = await lab.certificate({ userId: 'usr_same' })
    using victim = await through({ certificate })
    using other = await through({ certificate })
    other.send(0x0c, u32(victim.threadId))
    await victim.closed()
    await until('the answer', () => other.received.length > 0)
    expect(other.received[4]).toBe(0)
  })
})

describe('hostile clients', () => {
  test.each([
    ['an empty command', framed(0), 1835],
    ['a command that starts with another number', framed(7, Buffer.from([PING])), 1156],
  ])('%s ends the session with an error', async (_name, bytes, code) => {
    using client = await through()
    client.socket.write(bytes)
    const received = await client.closed()
    expect(received[4]).toBe(0xff)
    expect(received.readUInt16LE(5)).toBe(code)
    expect(await reasonOfLast()).toBe('client_protocol_error')
  })

  test('a ClientHello in the same segment as the request for TLS is part of TLS', async () => {
    const socket = connect(lab.port, '127.0.0.1')
    await once(socket, 'data')
    socket.cork()
    socket.write(framed(1, writeSslRequest(CAPABILITY.PROTOCOL_41, 45)))
    const { keyPem, certificatePem } = await lab.certificate()
    const secure = connectTls({ socket, rejectUnauthorized: false, key: keyPem, cert: certificatePem })
    socket.uncork()
    await once(secure, 'secureConnect')
    expect(secure.isSessionReused()).toBe(false)
    secure.destroy()
  })

  test('no ticket is given, and a session that is offered again is not resumed', async () => {
    const certificate = await lab.certificate()
    let session: Buffer | undefined
    for (const round of [1, 2]) {
      const socket = connect(lab.port, '127.0.0.1')
      await once(socket, 'data')
      socket.write(framed(1, writeSslRequest(CAPABILITY.PROTOCOL_41, 45)))
      const tls = {
        rejectUnauthorized: false,
        key: certificate.keyPem,
        cert: certificate.certificatePem,
        maxVersion: 'TLSv1.2',
      } as const
      const secure = connectTls({ socket, ...tls, ...(session ? { session } : {}) })
      secure.on('error', () => {})
      await once(secure, 'secureConnect')
      expect({ round, reused: secure.isSessionReused() }).toEqual({ round, reused: false })
      session = secure.getSession()
      secure.destroy()
    }
  })

  test('a reader that stalls costs no memory: the server waits', async () => {
    using client = await through()
    client.socket.pause()
    client.send(QUERY, "select repeat('x', 100000) from seq_1_to_4000")
    await until(
      'the server waits to write',
      async () =>
        (
          await lab.server.sql(
            "select state from information_schema.processlist where user = 'app' and info is not null;",
          )
        ).match(/Writing to net|Sending data/) !== null,
    )
    const before = process.memoryUsage().rss
    let last = -1
    await until(
      'nothing moves any more',
      () => {
        const now = client.socket.bytesRead
        const stands = now === last
        last = now
        return stands
      },
      { every: 200 },
    )
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024)
    lab.control.notify({ kind: 'end', text: 'over', endText: '', endsAt: null, budgetMs: null })
    await until('no thread remains', async () => (await lab.server.threads('app')).length === 0)
  })
})

describe('a server that is not MariaDB', () => {
  const fakeWith = async (options: Parameters<typeof FakeMysqlServer.start>[0], mode?: 'insecure-disable') => {
    const server = await FakeMysqlServer.start({ password: PASSWORD, ...options, ...(mode ? { tls: false } : {}) })
    lab.control.change = server.facts(mode)
    return server
  }
  const ask = async (statement = 'select 1') => {
    const finished = await lab.mysql(['-e', statement])
    lab.control.change = {}
    return finished
  }

  test('caching_sha2_password with a password that it knows is signed in by the scramble', async () => {
    await using server = await fakeWith({ isCached: true })
    expect(await ask('do 0')).toMatchObject({ code: 0, stderr: '' })
    expect(server.passwordsTold).toEqual([])
    expect(server.commands.map(String)).toContain('\x03do 0')
  })

  test('caching_sha2_password with one that it does not know is told it in full, over TLS', async () => {
    await using server = await fakeWith({ isCached: false })
    expect(await ask('do 0')).toMatchObject({ code: 0, stderr: '' })
    expect(server.passwordsTold).toEqual([`${PASSWORD}\0`])
  })

  test('without TLS the password is told to nobody', async () => {
    await using server = await fakeWith({ isCached: false }, 'insecure-disable')
    const { stderr } = await ask()
    expect(stderr).toContain('sallyport: the server asks for the password itself, which is given over TLS only')
    expect(server.passwordsTold).toEqual([])
  })

  test('a server without TLS is not spoken to where TLS is asked for', async () => {
    await using server = await FakeMysqlServer.start({ password: PASSWORD, tls: false })
    lab.control.change = server.facts('verify-full')
    expect((await ask()).stderr).toContain('the server offers no TLS, which its entry asks for')
  })

  const method = (name: string, data = Buffer.alloc(21, 7)): Buffer =>
    Buffer.concat([Buffer.from([0xfe]), Buffer.from(`${name}\0`), data])
  test.each<[string, Parameters<typeof FakeMysqlServer.start>[0], RegExp]>([
    [
      'it asks for the password in clear',
      { signIn: [method('mysql_clear_password')] },
      /mysql_clear_password, which is refused/,
    ],
    ['it asks for the password with PAM', { signIn: [method('dialog')] }, /dialog, which is refused/],
    ['it asks for it with RSA', { signIn: [method('sha256_password')] }, /sha256_password, which is refused/],
    ['it asks for Kerberos', { signIn: [method('auth_gssapi_client')] }, /auth_gssapi_client, which is refused/],
    ['its scramble is cut short', { signIn: [method('mysql_native_password', Buffer.alloc(5, 7))] }, /too short/],
    ['it wants more after a scramble', { signIn: [Buffer.from([1, 9])] }, /something unknown to sign in/],
    ['a packet of its sign-in is too long', { signIn: [Buffer.alloc(20_000, 1)] }, /wrong length/],
    [
      'it announces 70,000 columns',
      { isCached: true, answer: () => framed(1, Buffer.from([0xfd, 0x70, 0x11, 1])) },
      /too many columns/,
    ],
    ['it sends an empty packet', { isCached: true, answer: () => framed(1) }, /empty packet/],
    ['it asks for the hash from before 4.1', { signIn: [Buffer.from([0xfe])] }, /before 4\.1, which is refused/],
    [
      'it switches for ever',
      { signIn: Array.from({ length: 20 }, () => method('mysql_native_password')) },
      /comes to no end/,
    ],
    ['its greeting is none', { greeting: Buffer.from('SSH-2.0-hello') }, /protocol 10/],
    [
      'it has too many connections',
      { greeting: Buffer.from('\xff\x10\x04Too many connections', 'latin1') },
      /refuses connections: Too many connections/,
    ],
    [
      'it asks for a file of the client',
      { isCached: true, answer: () => framed(1, Buffer.from('\xfb/etc/passwd', 'latin1')) },
      /LOAD DATA LOCAL/,
    ],
    [
      'it answers twice',
      {
        isCached: true,
        answer: () =>
          Buffer.concat([framed(1, Buffer.from([0, 0, 0, 2, 0, 0, 0])), framed(1, Buffer.from([0, 0, 0, 2, 0, 0, 0]))]),
      },
      /Unknown|Lost connection|gone away|sallyport|^$/,
    ],
  ])('%s', async (_name, options, why) => {
    await using server = await fakeWith(options)
    const { stderr } = await ask()
    expect(stderr).toMatch(why)
    await until('the end is stored', () => lab.control.ends.has(lab.facts.sessionId))
    expect(await reasonOfLast()).toMatch(/^target_/)
    expect(server.passwordsTold).toEqual([])
  })
})

async function reasonOfLast(): Promise<string | undefined> {
  await until('the end is stored', () => lab.control.ends.has(lab.facts.sessionId))
  return lab.control.ends.get(lab.facts.sessionId)?.reason
}
