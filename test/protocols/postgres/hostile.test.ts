// Clients and servers that do what no stock one does.
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { once } from 'node:events'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { PASSWORD, PostgresLab } from '../../support/postgres-lab.ts'
import {
  fieldsOf,
  GSS_REQUEST,
  message,
  packet,
  RawPostgresClient,
  SSL_REQUEST,
  startup,
} from '../../support/raw-postgres-client.ts'
import { TestAuthority } from '../../support/test-authority.ts'
import { until } from '../../support/until.ts'

let lab: PostgresLab

beforeAll(async () => {
  lab = await PostgresLab.start()
})
afterAll(() => lab?.[Symbol.asyncDispose]())
beforeEach(() => {
  lab.control.change = {}
})

const SIGN_IN = { user: 'app', database: 'shop' }

test.each<[string, readonly Uint8Array[], RegExp | null]>([
  ['a startup message in clear', [startup(SIGN_IN)], /28000.*TLS only/],
  ['something in clear behind SSLRequest', [SSL_REQUEST, startup(SIGN_IN)], /08P01.*unencrypted data/],
  ['something behind GSSENCRequest', [GSS_REQUEST, SSL_REQUEST], /08P01.*unencrypted data/],
  ['an SSLRequest of nine bytes', [packet(80877103, 'x')], /08P01/],
  ['a length of 7', [packet(3 << 16, '', 7)], /08P01/],
  ['a length of 2^31 - 1', [packet(3 << 16, '', 0x7fffffff)], /08P01/],
  ['protocol 2', [packet(2 << 16, 'x'.repeat(288))], /0A000/],
  ['a cancel request with a key of nobody', [packet(80877102, '12345678')], null],
])('before TLS: %s', async (_name, bytes, told) => {
  using client = await RawPostgresClient.plain(lab.port)
  client.send(...bytes)
  await client.closes()
  const [error] = client.messages()
  if (told === null) expect(client.bytes.length).toBe(0)
  else expect(JSON.stringify(error && fieldsOf(error))).toMatch(told)
})

test('a client may ask for Kerberos first, and take a byte at a time for it', async () => {
  using client = await RawPostgresClient.plain(lab.port)
  for (const byte of GSS_REQUEST) client.send(Buffer.from([byte]))
  await until('N', () => client.bytes.toString() === 'N')
  for (const byte of SSL_REQUEST) client.send(Buffer.from([byte]))
  await until('S', () => client.bytes.toString() === 'NS')
})

test.each<[string, () => Promise<ConnectionOptions>, RegExp]>([
  ['none', () => Promise.resolve({}), /a client certificate is needed/],
  [
    'an expired one',
    async () => tlsOf(await lab.certificate({ until: Date.now() - 1000 })),
    /your certificate has expired/,
  ],
  [
    'one of another authority',
    async () => {
      const other = await TestAuthority.make('people')
      const now = Date.now()
      const names = { userId: 'usr_1', userName: 'alice', loginId: 'lgn_1', database: 'orders' }
      return tlsOf(await other.user('inst_test', { ...names, now, until: now + 60_000 }))
    },
    /not accepted/,
  ],
  [
    'one of another installation',
    async () => {
      const now = Date.now()
      const names = { userId: 'usr_1', userName: 'alice', loginId: 'lgn_1', database: 'orders' }
      return tlsOf(await lab.userAuthority.user('inst_other', { ...names, now, until: now + 60_000 }))
    },
    /not accepted/,
  ],
  [
    "the proxy's own server certificate",
    async () => tlsOf(await lab.userAuthority.server(['localhost'])),
    /not accepted/,
  ],
])('certificate: %s', async (_name, tls, told) => {
  const before = lab.control.asked.length
  using client = await RawPostgresClient.secure(lab.port, { rejectUnauthorized: false, ...(await tls()) })
  client.send(startup(SIGN_IN))
  await client.closes()
  expect(fieldsOf(await client.gets('E'))).toMatchObject({
    S: 'FATAL',
    C: '28000',
    M: expect.stringMatching(told) as string,
  })
  expect(lab.control.asked.length).toBe(before)
})

const tlsOf = ({ keyPem, certificatePem }: { readonly keyPem: string; readonly certificatePem: string }) => ({
  ...{ key: keyPem, cert: certificatePem },
})

test.each(['TLSv1.2', 'TLSv1.3'] as const)(
  '%s: nothing can be resumed, so each connection shows its certificate',
  async (version) => {
    const tls = {
      ...tlsOf(await lab.certificate()),
      rejectUnauthorized: false,
      minVersion: version,
      maxVersion: version,
    }
    const first = await RawPostgresClient.secure(lab.port, tls)
    const sessions: Buffer[] = []
    const secure = first.socket as TLSSocket
    secure.on('session', (session) => sessions.push(session))
    first.send(startup(SIGN_IN))
    await first.gets('Z')
    const session = secure.getSession() ?? sessions[0]
    first[Symbol.dispose]()
    using second = await RawPostgresClient.secure(lab.port, { ...tls, ...(session ? { session } : {}) })
    expect((second.socket as TLSSocket).isSessionReused()).toBe(false)
  },
)

test('direct TLS works with the right ALPN, and is closed without', async () => {
  using client = await lab.raw({ direct: true })
  expect(client.types()).toMatch(/^RS+KZ$/)
  const socket = connectTls({
    port: lab.port,
    host: '127.0.0.1',
    rejectUnauthorized: false,
    ...tlsOf(await lab.certificate()),
  })
  socket.on('error', () => {})
  await once(socket, 'close')
})

test('what is sent ahead with the startup message is run', async () => {
  using client = await lab.raw({ signIn: false })
  client.send(startup(SIGN_IN), message('Q', 'select 6 * 7\0'), message('X'))
  await client.closes()
  expect(client.types()).toMatch(/^RS+KZTDCZ$/)
})

test.each<[Readonly<Record<string, string>>, RegExp]>([
  [{ role: 'postgres' }, /"role" is not passed on/],
  [{ session_authorization: 'sallyport' }, /"session_authorization" is not passed on/],
  [{ options: '-c session_replication_role=replica' }, /"session_replication_role" is not passed on/],
  [{ options: '-c search_path=x --role=postgres' }, /"role" is not passed on/],
  [{ options: '-d 5' }, /"options" is not passed on/],
  [{ replication: 'true' }, /does not include replication/],
])('startup parameters %j are refused', async (parameters, told) => {
  using client = await lab.raw({ signIn: false })
  client.send(startup({ ...SIGN_IN, ...parameters }))
  await client.closes()
  expect(fieldsOf(await client.gets('E'))['M']).toMatch(told)
})

test('protocol 3.2 has a longer key, later versions and extensions are negotiated', async () => {
  const opened = async (parameters: Readonly<Record<string, string>>, minor: number): Promise<RawPostgresClient> => {
    const client = await lab.raw({ signIn: false })
    client.send(startup({ ...SIGN_IN, ...parameters }, minor))
    await client.gets('Z')
    return client
  }
  using old = await opened({}, 0)
  expect(old.types()).toMatch(/^RS+KZ$/)
  expect((await old.gets('K')).body.length).toBe(8)
  using newer = await opened({}, 2)
  expect(newer.types()).toMatch(/^RS+KZ$/)
  expect((await newer.gets('K')).body.length).toBe(32)
  using grease = await opened({ '_pq_.grease': '1' }, 9999)
  expect(grease.types()).toMatch(/^vRS+KZ$/)
  expect((await grease.gets('v')).body.toString('latin1')).toBe('\0\x03\0\x02\0\0\0\x01_pq_.grease\0')
})

test.each<[string, Buffer, string]>([
  ['a function call', message('F', 'x'), '0A000'],
  ['a call of pg_read_file', message('F', Buffer.from([0, 0, 0x0c, 0x31, 0, 0, 0, 0, 0, 1])), '0A000'],
  ['an unknown type', message('z', 'x'), '08P01'],
  ['a length of 3', message('Q', '', 3), '08P01'],
  ['a length of 2^32 - 1', message('Q', '', 0xffffffff), '08P01'],
  ['a password out of turn', message('p', 'x\0'), '08P01'],
  ['a Query that does not end', message('Q', 'select 1'), '08P01'],
  ['a Parse of one name', message('P', 'x'), '08P01'],
])('in the session: %s ends it, and nothing of it reaches the server', async (_name, bytes, code) => {
  using client = await lab.raw()
  client.send(bytes, message('Q', 'create table smuggled (n int)\0'))
  await client.closes()
  expect(fieldsOf(await client.gets('E'))).toMatchObject({ S: 'FATAL', C: code })
  expect(await lab.server.query('shop', "select 1 from pg_class where relname = 'smuggled'")).toEqual([])
})

test('a cancel request needs the whole key, which is not the one of the server', async () => {
  using client = await lab.raw()
  const { body: key } = await client.gets('K')
  client.send(message('Q', 'select pg_sleep(600)\0'))
  await until('the statement to run', async () => (await lab.backends()).includes('select pg_sleep(600)'))
  const cancels = async (wanted: Uint8Array): Promise<void> => {
    using other = await RawPostgresClient.plain(lab.port)
    other.send(packet(80877102, wanted))
    await other.closes()
  }
  const wrong = Buffer.from(key)
  wrong[7] = (wrong[7] ?? 0) ^ 1
  await cancels(wrong)
  expect(await lab.backends()).toContain('select pg_sleep(600)')
  const [row] = await lab.server.query('postgres', "select pid from pg_stat_activity where usename = 'app'")
  expect(key.readUInt32BE(0)).not.toBe(row?.['pid'])
  await cancels(key)
  expect(fieldsOf(await client.gets('E'))['C']).toBe('57014')
  await client.gets('Z', 2)
})

test('a reader that stalls costs no memory, and the server waits', async () => {
  using client = await lab.raw()
  client.socket.pause()
  const before = process.memoryUsage()
  client.send(message('Q', "copy (select repeat('x', 1000000) from generate_series(1, 400)) to stdout\0"))
  await until('the server to wait for its client', async () => {
    const rows = await lab.server.query('postgres', "select 1 from pg_stat_activity where wait_event = 'ClientWrite'")
    return rows.length === 1
  })
  const after = process.memoryUsage()
  expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(32 * 1024 * 1024)
})

test('a server that takes nothing costs no memory, and the client waits', async () => {
  await lab.server.query('shop', 'create table locked (t text); grant all on locked to app')
  using holder = await lab.raw()
  holder.send(message('Q', 'begin; lock table locked\0'))
  await holder.gets('Z', 2)
  using client = await lab.raw()
  const before = process.memoryUsage()
  client.send(message('Q', 'insert into locked values (1)\0'))
  const chunk = message('Q', `select '${'x'.repeat(1024 * 1024)}'\0`)
  let sent = 0
  while (client.socket.writableLength < 8 * 1024 * 1024 && sent < 200) {
    client.send(chunk)
    sent++
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(sent).toBeLessThan(200)
  expect(process.memoryUsage().arrayBuffers - before.arrayBuffers - client.socket.writableLength).toBeLessThan(
    32 * 1024 * 1024,
  )
})

/** A server of our own, which says this to a startup message or an SSLRequest. */
async function rogue(
  behave: (socket: Socket, asked: Buffer) => void,
): Promise<{ readonly port: number; stop(): void }> {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (asked) => behave(socket, asked))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { port: (server.address() as AddressInfo).port, stop: () => server.close() }
}

const asksFor = (code: number, rest: string | Uint8Array = ''): Buffer => {
  const body = Buffer.alloc(4)
  body.writeUInt32BE(code)
  return message('R', Buffer.concat([body, Buffer.from(rest)]))
}

const SCRAM = asksFor(10, 'SCRAM-SHA-256\0\0')
const LET_IN = Buffer.concat([asksFor(0), message('Z', 'I')])
const challenge = (asked: Buffer, iterations: number): Buffer =>
  asksFor(11, `r=${/r=(.+)$/s.exec(asked.toString('latin1'))?.[1] ?? ''}x,s=AAAA,i=${iterations}`)

test.each<[string, 'tls' | 'clear', (socket: Socket, asked: Buffer) => void, RegExp]>([
  ['says no to TLS', 'tls', (socket) => socket.write('N'), /does not speak TLS/],
  ['says yes and more', 'tls', (socket) => socket.write('SE'), /in clear behind its answer/],
  ['answers SSLRequest with an error', 'tls', (socket) => socket.write(message('E', 'no\0')), /does not speak TLS/],
  ['wants the password in clear', 'clear', (socket) => socket.write(asksFor(3)), /password in clear/],
  ['wants MD5', 'clear', (socket) => socket.write(asksFor(5, 'salt')), /MD5/],
  ['wants Kerberos', 'clear', (socket) => socket.write(asksFor(7)), /not spoken here/],
  ['offers no SCRAM we know', 'clear', (socket) => socket.write(asksFor(10, 'SCRAM-SHA-1\0\0')), /no SCRAM-SHA-256/],
  ['goes on with SCRAM that nobody began', 'clear', (socket) => socket.write(asksFor(11, 'r=x')), /out of order/],
  [
    'lets us in without having proven itself',
    'clear',
    (socket, asked) => socket.write(asked[0] === 0x70 ? asksFor(0) : asksFor(10, 'SCRAM-SHA-256\0\0')),
    /left SCRAM/,
  ],
  [
    'asks for one SCRAM round',
    'clear',
    (socket, asked) => {
      const nonce = /r=(.+)$/s.exec(asked.toString('latin1'))?.[1] ?? ''
      socket.write(asked[0] === 0x70 ? asksFor(11, `r=${nonce}x,s=AAAA,i=1`) : asksFor(10, 'SCRAM-SHA-256\0\0'))
    },
    /1 SCRAM iterations/,
  ],
  [
    'announces a message of 2 GiB',
    'clear',
    (socket) => socket.write(message('R', '', 0x7fffffff)),
    /invalid message length/,
  ],
  ['is ready before it let us in', 'clear', (socket) => socket.write(message('Z', 'I')), /unexpected message/],
  ['sends rows before it let us in', 'clear', (socket) => socket.write(message('D', '\0\0')), /unexpected message/],
  [
    'greets without end',
    'clear',
    (socket) =>
      void socket.write(
        Buffer.concat([asksFor(0), ...Array.from({ length: 10 }, () => message('S', `n\0${'x'.repeat(60_000)}\0`))]),
      ),
    /says too much/,
  ],
  [
    'asks for SCRAM rounds without end',
    'clear',
    (socket, asked) => socket.write(asked[0] === 0x70 ? challenge(asked, 999_999_999) : SCRAM),
    /999999999 SCRAM iterations/,
  ],
  [
    'answers the challenge of somebody else',
    'clear',
    (socket, asked) => socket.write(asked[0] === 0x70 ? asksFor(11, 'r=somebody,s=AAAA,i=4096') : SCRAM),
    /answers somebody else/,
  ],
  [
    'signs what it cannot know',
    'clear',
    (socket, asked) => {
      if (asked[0] !== 0x70) socket.write(SCRAM)
      else if (asked.includes('SCRAM-SHA-256')) socket.write(challenge(asked, 4096))
      else socket.write(Buffer.concat([asksFor(12, `v=${Buffer.alloc(32, 7).toString('base64')}`), LET_IN]))
    },
    /did not prove that it knows the password/,
  ],
  [
    'lets us in before its signature',
    'clear',
    (socket, asked) => {
      if (asked[0] !== 0x70) socket.write(SCRAM)
      else if (asked.includes('SCRAM-SHA-256')) socket.write(challenge(asked, 4096))
      else socket.write(LET_IN)
    },
    /left SCRAM/,
  ],
  [
    'changes its mind from SCRAM to a password in clear',
    'clear',
    (socket, asked) => socket.write(asked[0] === 0x70 ? asksFor(3) : SCRAM),
    /password in clear/,
  ],
  [
    'asks anew once it has let us in',
    'clear',
    (socket) => socket.write(Buffer.concat([asksFor(0), asksFor(3)])),
    /unexpected/,
  ],
  ['opens COPY while signing in', 'clear', (socket) => socket.write(message('G', '\0\0\0')), /unexpected message/],
  [
    'sends a key of a kilobyte',
    'clear',
    (socket) => socket.write(Buffer.concat([asksFor(0), message('K', 'x'.repeat(1024))])),
    /unexpected message/,
  ],
  [
    'sends notices without end',
    'clear',
    (socket) =>
      void socket.write(Buffer.concat(Array.from({ length: 40 }, () => message('N', `M${'x'.repeat(9000)}\0\0`)))),
    /says too much/,
  ],
  ['hangs up', 'clear', (socket) => socket.destroy(), /closed the connection/],
])('a server that %s is not used', async (_name, tls, behave, told) => {
  const server = await rogue(behave)
  try {
    const database = { id: 'dtb_1', name: 'orders', host: '127.0.0.1', port: server.port }
    lab.control.change = {
      database,
      ...(tls === 'clear' ? { tls: { mode: 'insecure-disable', authorities: null, serverName: '' } } : {}),
    }
    using client = await lab.raw({ signIn: false })
    client.send(startup(SIGN_IN))
    await client.closes()
    expect(client.types()).toBe('E')
    expect(fieldsOf(await client.gets('E'))).toMatchObject({ S: 'FATAL', M: expect.stringMatching(told) as string })
  } finally {
    server.stop()
  }
})

test('a server whose certificate names another host, or is of another authority, is not used', async () => {
  const facts = {
    mode: 'verify-full',
    authorities: lab.serverAuthority.certificatePem,
    serverName: 'localhost',
  } as const
  const other = await TestAuthority.make('server')
  for (const tls of [
    { ...facts, serverName: 'other.example' },
    { ...facts, authorities: other.certificatePem },
    { ...facts, authorities: null },
  ]) {
    lab.control.change = { tls }
    const { stderr } = await lab.psql('select 1')
    expect(stderr).toContain('orders cannot be used')
  }
  lab.control.change = { tls: { ...facts, mode: 'verify-ca', serverName: 'other.example' } }
  expect((await lab.psql('select 1')).stdout).toBe('1\n')
})

test('a server that wants a password in clear gets it over verified TLS alone, and MD5 where that is allowed', async () => {
  expect((await lab.psql('select current_user', { env: { PGUSER: 'plain' } })).stdout).toBe('plain\n')
  const old = { env: { PGUSER: 'old' } }
  expect((await lab.psql('select 1', old)).stderr).toContain(
    'asks for an MD5 password: let it use scram-sha-256, or have the operators say allow_md5 of this database',
  )
  lab.control.change = { allowsMd5: true }
  expect((await lab.psql('select current_user', old)).stdout).toBe('old\n')
  lab.control.passwords.set('old', 'wrong')
  expect((await lab.psql('select 1', old)).stderr).toContain(
    'orders says: password authentication failed for user "old"',
  )
  lab.control.passwords.set('old', PASSWORD)
})

test('a wrong password is what the server says it is', async () => {
  lab.control.passwords.set('app', 'wrong')
  const { stderr } = await lab.psql('select 1')
  lab.control.passwords.set('app', 'correct horse')
  expect(stderr).toContain('FATAL:  orders says: password authentication failed for user "app"')
})

// Nothing a server says once it is ready can reach past the client: at worst the session ends.
test.each<[string, Buffer, string | null]>([
  ['a message of 2 GiB', message('D', '', 0x7fffffff), 'target_protocol_error'],
  ['a length of 3', message('D', '', 3), 'target_protocol_error'],
  ['a length of 2^32 - 1', message('T', '', 0xffffffff), 'target_protocol_error'],
  ['ReadyForQuery for nothing', Buffer.concat([message('Z', 'I'), message('Z', 'T'), message('Z', 'I')]), null],
  [
    'results of nothing',
    Buffer.concat([message('C', 'SELECT 1\0'), message('I'), message('s'), message('Z', 'I')]),
    null,
  ],
  ['COPY for nothing', Buffer.concat([message('G', '\0\0\0'), message('H', '\0\0\0'), message('d', 'x')]), null],
])('a server that is ready and says %s', async (_name, words, reason) => {
  const server = await rogue((socket, asked) => {
    if (asked[0] === 0x58) socket.end()
    else socket.write(asked.readUInt32BE(4) === 3 << 16 ? LET_IN : words)
  })
  try {
    const database = { id: 'dtb_1', name: 'orders', host: '127.0.0.1', port: server.port }
    const clear = { mode: 'insecure-disable', authorities: null, serverName: '' } as const
    lab.control.change = { database, tls: clear }
    using client = await lab.raw()
    const { sessionId } = lab.facts
    client.send(message('Q', 'select 1\0'))
    if (reason === null) {
      await until('it to be passed on', () => client.bytes.includes(words))
      client.send(message('X'))
    }
    await client.closes()
    const end = await until('the end to be stored', () => lab.control.ends.get(sessionId))
    expect(end.reason).toBe(reason ?? 'client_left')
  } finally {
    server.stop()
  }
})

test('notices without end cost no memory where the client does not read them', async () => {
  const notice = message('N', `SNOTICE\0M${'x'.repeat(60_000)}\0\0`)
  let written = 0
  const server = await rogue((socket, asked) => {
    if (asked.readUInt32BE(4) === 3 << 16) return void socket.write(LET_IN)
    const more = (): void => {
      while (!socket.destroyed && socket.write(notice)) written += notice.length
      socket.once('drain', more)
    }
    more()
  })
  try {
    const database = { id: 'dtb_1', name: 'orders', host: '127.0.0.1', port: server.port }
    lab.control.change = { database, tls: { mode: 'insecure-disable', authorities: null, serverName: '' } }
    using client = await lab.raw()
    client.socket.pause()
    const before = process.memoryUsage().arrayBuffers
    client.send(message('Q', 'select 1\0'))
    let last = -1
    const stands = (): boolean => {
      const [was, now] = [last, written]
      last = now
      return now > 0 && now === was
    }
    await until('nothing to move any more', stands, { every: 200 })
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32 * 1024 * 1024)
  } finally {
    server.stop()
  }
})
