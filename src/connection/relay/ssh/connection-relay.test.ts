import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ALL_PERMISSIONS, NO_FORWARDING, RelayPair, settled } from '../../../../test/support/relay-pair.ts'
import { NOTICE_RESERVE } from './channel.ts'
import { payload } from './wire/payload.ts'

const types = (messages: readonly Buffer[]): number[] => messages.map((message) => message[0]!)
const data = (channel: number, text: string): Buffer => payload(94, channel, text)

test('each side is addressed by the number it knows a channel by', async () => {
  const pair = new RelayPair()
  const id = await pair.openStarted()
  pair.client.receive(data(id, 'ls\n'))
  pair.target.receive(data(id, 'file\n'), payload(95, id, 1, 'warning\n'))
  expect(pair.target.take()).toEqual([data(42, 'ls\n')])
  expect(pair.client.take()).toEqual([data(7, 'file\n'), payload(95, 7, 1, 'warning\n')])
  expect(pair.observer.lines.slice(-3)).toEqual([`stdin ${id} ls\n`, `stdout ${id} file\n`, `stderr ${id} warning\n`])
})

test('a channel number that nobody opened ends the connection', () => {
  const pair = new RelayPair()
  pair.client.receive(data(3, 'x'))
  expect(pair.client.failure?.message).toBe('no such channel')
})

test('a program is started only when its event is stored, and what came behind it waits in order', async () => {
  const pair = new RelayPair()
  const id = pair.openSession()
  pair.storesAtOnce = false
  pair.client.receive(payload(98, id, 'exec', true, 'id'), data(id, 'one'), data(id, 'two'), payload(96, id))
  await settled()
  expect(pair.target.take()).toEqual([])
  expect(pair.appends[0]?.event).toEqual({ type: 'exec', channel: id, command: 'id' })
  pair.appends[0]?.resolve()
  await settled()
  expect(pair.target.take()).toEqual([
    payload(98, 42, 'exec', true, 'id'),
    data(42, 'one'),
    data(42, 'two'),
    payload(96, 42),
  ])
})

test('a command that is not UTF-8 goes on byte for byte, and the event tells which bytes it was', async () => {
  const pair = new RelayPair()
  const id = pair.openSession()
  const command = Buffer.from('rm caf\xe9', 'latin1')
  pair.client.receive(payload(98, id, 'exec', true, command))
  await settled()
  expect(pair.target.take()).toEqual([payload(98, 42, 'exec', true, command)])
  const sha256 = createHash('sha256').update(command).digest('hex')
  expect(pair.appends[0]?.event).toEqual({ type: 'exec', channel: id, command: 'rm caf\\xe9', sha256 })
})

test('a program whose event cannot be stored is refused with a line that says so', async () => {
  const pair = new RelayPair()
  const id = pair.openSession()
  pair.storesAtOnce = false
  pair.client.receive(payload(98, id, 'exec', true, 'id'))
  pair.appends[0]?.reject(new Error('disk full'))
  await settled()
  const sent = pair.client.take()
  expect(types(sent)).toEqual([99, 95, 98, 96, 97])
  expect(sent[1]?.subarray(13).toString()).toContain('could not be stored')
  expect(sent[2]).toEqual(payload(98, 7, 'exit-status', false, 255))
  expect(pair.target.take()).toEqual([payload(97, 42)])
  pair.client.receive(data(id, 'x'), payload(97, id))
  pair.target.receive(payload(97, id))
  expect([pair.client.failure, pair.target.failure]).toEqual([null, null])
  expect([...pair.relay.channels.values()]).toEqual([])
})

test('replies given here and replies passed on reach the client in the order of its requests', async () => {
  const pair = new RelayPair()
  const id = pair.openSession()
  pair.client.receive(
    payload(98, id, 'env', true, 'LANG', 'C'),
    payload(98, id, 'env', true, 'LD_PRELOAD', '/tmp/x.so'),
    payload(98, id, 'x11-req', true, false, 'MIT', '00', 0),
    payload(98, id, 'env', true, 'LC_ALL', 'C'),
  )
  expect(pair.target.take()).toHaveLength(2)
  expect(pair.client.take()).toEqual([])
  pair.target.receive(payload(99, id))
  expect(types(pair.client.take())).toEqual([99, 100, 100])
  pair.target.receive(payload(100, id))
  expect(types(pair.client.take())).toEqual([100])
})

test('a refused request without a wish for a reply gets none', () => {
  const pair = new RelayPair()
  const id = pair.openSession()
  pair.client.receive(payload(98, id, 'env', false, 'LD_PRELOAD', 'x'), payload(80, 'unknown@example', false))
  expect([...pair.client.take(), ...pair.target.take()]).toEqual([])
})

test.each([
  ['on a channel', (id: number) => payload(99, id)],
  ['to a global request', () => payload(81)],
])('a reply to nothing %s ends the connection', (_where, reply) => {
  const pair = new RelayPair()
  const id = pair.openSession()
  pair.target.receive(reply(id))
  expect(pair.target.failure?.message).toBe('a reply to nothing')
})

test('global requests are answered in order, whoever answers', () => {
  const pair = new RelayPair(NO_FORWARDING)
  pair.client.receive(
    payload(80, 'keepalive@openssh.com', true),
    payload(80, 'tcpip-forward', true, '', 8080),
    payload(80, 'keepalive@openssh.com', true),
  )
  expect(pair.target.take()).toHaveLength(2)
  expect(pair.client.take()).toEqual([])
  pair.target.receive(payload(82))
  expect(types(pair.client.take())).toEqual([82, 82])
  pair.target.receive(payload(81))
  expect(types(pair.client.take())).toEqual([81])
})

test("the target's host keys are not told to the client, and its keepalives are", () => {
  const pair = new RelayPair()
  pair.target.receive(payload(80, 'hostkeys-00@openssh.com', false, 'key'))
  expect(pair.client.take()).toEqual([])
  pair.target.receive(payload(80, 'hostkeys-prove-00@openssh.com', true), payload(80, 'keepalive@openssh.com', true))
  expect(types(pair.target.take())).toEqual([82])
  expect(types(pair.client.take())).toEqual([80])
})

test.each(['client', 'target'] as const)(
  'a %s that sends more than the window allows is disconnected',
  async (side) => {
    const pair = new RelayPair()
    const id = pair.openSession(7, 42, 10_000)
    pair.client.receive(payload(98, id, 'shell', true))
    await settled()
    const chunk = 'x'.repeat(30_000)
    for (let sent = 0; sent < 20; sent++) pair[side].receive(data(id, chunk))
    expect(pair[side].failure?.message).toBe('more data than the window allows')
  },
)

test('a packet larger than the channel allows ends the connection', async () => {
  const pair = new RelayPair()
  const id = pair.openSession(7, 42, 1_000_000, 1000)
  pair.target.receive(data(id, 'x'.repeat(1001)))
  expect(pair.target.failure?.message).toBe('a packet larger than the channel allows')
})

test.each([0, 1, 255])('a channel with packets of at most %i bytes is not opened', (maxPacket) => {
  const pair = new RelayPair()
  pair.client.receive(payload(90, 'session', 7, 1000, maxPacket))
  expect(pair.client.failure?.message).toBe(`maximum packet size of ${maxPacket}`)
  expect(pair.target.take()).toEqual([])
})

test('a window that grows over 2^32 - 1 ends the connection', () => {
  const pair = new RelayPair()
  const id = pair.openSession()
  pair.client.receive(payload(93, id, 0xffffffff))
  expect(pair.client.failure?.message).toBe('window larger than 2^32 - 1')
})

test.each([
  ['data behind EOF', (id: number) => [payload(96, id), data(id, 'x')]],
  ['a message behind CLOSE', (id: number) => [payload(97, id), payload(96, id)]],
  ['a second CLOSE', (id: number) => [payload(97, id), payload(97, id)]],
  ['data of a wrong length', (id: number) => [Buffer.concat([data(id, 'x'), Buffer.from('y')])]],
  ['extended data from a client', (id: number) => [payload(95, id, 1, 'x')]],
  ['a confirmation of an open channel', (id: number) => [payload(91, id, 1, 1, 1000)]],
  ['a message number that means nothing', () => [Buffer.from([200, 1, 2])]],
  ['an answer to signing in', () => [Buffer.from([52])]],
])('%s ends the connection', (_what, messages) => {
  const pair = new RelayPair()
  pair.client.receive(...messages(pair.openSession()))
  expect(pair.client.failure).not.toBeNull()
})

test('requests to sign in that come late are ignored', () => {
  const pair = new RelayPair()
  pair.client.receive(payload(50, 'root', 'ssh-connection', 'none'))
  expect(pair.client.failure).toBeNull()
  expect([...pair.client.take(), ...pair.target.take()]).toEqual([])
})

test('a channel is forgotten when both sides have closed it, in either order', () => {
  for (const [first, second] of [
    ['client', 'target'],
    ['target', 'client'],
  ] as const) {
    const pair = new RelayPair(ALL_PERMISSIONS, 1)
    const id = pair.openSession()
    pair[first].receive(payload(96, id), payload(97, id))
    pair[second].receive(data(id, 'late'), payload(97, id))
    expect(types(pair[first].take())).toEqual([94, 97])
    expect(types(pair[second].take())).toEqual([96, 97])
    expect(pair.openSession()).not.toBe(id)
  }
})

test('more channels than the cap are refused, and refusals leave nothing behind', () => {
  const pair = new RelayPair(ALL_PERMISSIONS, 2)
  pair.openSession()
  pair.openSession()
  for (let i = 0; i < 1000; i++) pair.client.receive(payload(90, 'session', i, 1000, 1000))
  const refusals = pair.client.take()
  expect(refusals).toHaveLength(1000)
  expect(refusals[5]?.subarray(0, 9)).toEqual(payload(92, 5, 4).subarray(0, 9))
  expect(pair.target.take()).toEqual([])
})

test.each([
  ['client', 'x11'],
  ['client', 'forwarded-tcpip'],
  ['client', 'tun@openssh.com'],
  ['client', 'auth-agent@openssh.com'],
  ['client', 'sessio'],
  ['target', 'session'],
  ['target', 'direct-tcpip'],
  ['target', 'x11'],
  ['target', 'auth-agent@openssh.com'],
] as const)('a channel that the %s opens as %s is refused', (side, type) => {
  const pair = new RelayPair()
  pair[side].receive(payload(90, type, 3, 1000, 1000))
  expect(types(pair[side].take())).toEqual([92])
  expect(pair[side === 'client' ? 'target' : 'client'].take()).toEqual([])
})

test('a local forward is opened when allowed and stored, and else refused and stored as refused', async () => {
  const open = payload(90, 'direct-tcpip', 3, 1000, 1000, '10.0.0.1', 5432, '127.0.0.1', 50000)
  const allowed = new RelayPair()
  allowed.client.receive(open)
  await settled()
  expect(types(allowed.target.take())).toEqual([90])
  expect(allowed.appends[0]?.event).toMatchObject({ type: 'port_forward', target: '10.0.0.1:5432', allowed: true })
  const denied = new RelayPair(NO_FORWARDING)
  denied.client.receive(open)
  expect(types(denied.client.take())).toEqual([92])
  expect(denied.appends[0]?.event).toMatchObject({ type: 'port_forward', direction: 'local', allowed: false })
  expect(denied.target.take()).toEqual([])
})

test('a forced command takes the place of everything, and nothing else is opened', async () => {
  for (const request of [
    payload(98, 0, 'shell', true),
    payload(98, 0, 'exec', true, 'rm -rf /'),
    payload(98, 0, 'subsystem', true, 'sftp'),
  ]) {
    const pair = new RelayPair({ ...ALL_PERMISSIONS, forceCommand: '/bin/report' })
    pair.openSession()
    pair.client.receive(request)
    await settled()
    expect(pair.target.take()).toEqual([payload(98, 42, 'exec', true, '/bin/report')])
    expect(pair.appends[0]?.event).toEqual({ type: 'exec', channel: 0, command: '/bin/report' })
    pair.client.receive(payload(90, 'direct-tcpip', 3, 1000, 1000, '10.0.0.1', 5432, '127.0.0.1', 50000))
    expect(types(pair.client.take())).toEqual([92])
  }
})

test('connections to a port are passed on only when the client listens on it', async () => {
  const forwarded = (port: number): Buffer =>
    payload(90, 'forwarded-tcpip', 3, 1000, 1000, 'localhost', port, '10.0.0.1', 1)
  const pair = new RelayPair()
  pair.target.receive(forwarded(8080))
  expect(types(pair.target.take())).toEqual([92])
  pair.client.receive(payload(80, 'tcpip-forward', true, 'localhost', 0))
  await settled()
  pair.target.take()
  pair.target.receive(payload(81, 8080), forwarded(8080))
  expect(types(pair.client.take())).toEqual([81, 90])
  pair.client.receive(payload(80, 'cancel-tcpip-forward', true, 'localhost', 8080))
  pair.target.receive(payload(81), forwarded(8080))
  expect(types(pair.target.take())).toEqual([80, 92])
})

test('an agent is asked only after the client has offered it and may', async () => {
  for (const permissions of [ALL_PERMISSIONS, NO_FORWARDING]) {
    const pair = new RelayPair(permissions)
    const id = pair.openSession()
    pair.client.receive(payload(98, id, 'auth-agent-req@openssh.com', true))
    await settled()
    expect(types(pair.target.take())).toEqual(permissions.agentForwarding ? [98] : [])
    pair.target.receive(payload(90, 'auth-agent@openssh.com', 3, 1000, 1000))
    expect(pair.target.take()).toHaveLength(permissions.agentForwarding ? 0 : 1)
    expect(pair.appends[0]?.event).toEqual({ type: 'agent_forward', channel: id, allowed: permissions.agentForwarding })
  }
})

test('a channel runs one program, and no subsystem but sftp', async () => {
  const pair = new RelayPair()
  const id = await pair.openStarted()
  pair.client.receive(payload(98, id, 'exec', true, 'id'), payload(98, id, 'subsystem', true, 'sftp'))
  expect(types(pair.client.take())).toEqual([100, 100])
  const other = pair.openSession(8, 43)
  pair.client.receive(payload(98, other, 'subsystem', true, 'netconf'))
  expect(types(pair.client.take())).toEqual([100])
  expect(pair.target.take()).toEqual([])
})

test('a terminal is given only where the role allows one', () => {
  const pair = new RelayPair({ ...ALL_PERMISSIONS, pty: false })
  const id = pair.openSession()
  pair.client.receive(payload(98, id, 'pty-req', true, 'xterm', 80, 24, 0, 0, ''))
  expect(types(pair.client.take())).toEqual([100])
  expect(pair.target.take()).toEqual([])
})

test('when one side takes no more, the other is not read until it does', async () => {
  const pair = new RelayPair()
  const id = await pair.openStarted()
  pair.client.hasRoom = false
  pair.target.receive(data(id, 'x'))
  expect([pair.target.isPaused, pair.client.isPaused]).toEqual([true, false])
  pair.client.onDrain()
  expect(pair.target.isPaused).toBe(false)
})

test('a client that sends on while the store is slow is not read, and then disconnected', async () => {
  const pair = new RelayPair()
  const id = pair.openSession()
  pair.storesAtOnce = false
  pair.client.receive(payload(98, id, 'exec', true, 'cat'))
  for (let i = 0; i < 70; i++) pair.client.receive(payload(98, id, 'window-change', false, 80, 24, 0, 0))
  expect(pair.client.isPaused).toBe(true)
  expect(pair.client.failure).toBeNull()
  for (let i = 0; i < 5000; i++) pair.client.receive(payload(98, id, 'window-change', false, 80, 24, 0, 0))
  expect(pair.client.failure?.message).toBe('too much sent ahead')
})

test('bytes that are not stored yet are passed on when they are, in order', async () => {
  const pair = new RelayPair()
  const id = await pair.openStarted()
  const stored = Promise.withResolvers<void>()
  pair.observer.storing = () => stored.promise
  pair.target.receive(data(id, 'one'))
  pair.observer.storing = () => undefined
  pair.target.receive(data(id, 'two'), payload(96, id))
  expect(pair.client.take()).toEqual([])
  stored.resolve()
  await settled()
  expect(pair.client.take()).toEqual([data(7, 'one'), data(7, 'two'), payload(96, 7)])
})

test.each(['throws', 'rejects'])(
  'when storing %s, not a byte of it is passed on and the session fails',
  async (how) => {
    const pair = new RelayPair()
    const id = await pair.openStarted()
    pair.observer.storing = () => {
      if (how === 'throws') throw new Error('disk full')
      return Promise.reject(new Error('disk full'))
    }
    pair.target.receive(data(id, 'secret'))
    await settled()
    expect(pair.client.take()).toEqual([])
    expect(pair.failures).toEqual([{ error: new Error('disk full'), side: null }])
  },
)

test('a notice is shown on terminals only, as stderr', async () => {
  const pair = new RelayPair()
  const terminal = await pair.openStarted('terminal', 7, 42)
  await pair.openStarted('shell', 8, 43)
  await pair.relay.injectNotice('ends in five minutes')
  expect(pair.client.take()).toEqual([payload(95, 7, 1, '\r\nends in five minutes\r\n')])
  expect(pair.observer.lines.at(-1)).toContain(`notice ${terminal}`)
})

test('notices never use more window than the client granted', async () => {
  const pair = new RelayPair()
  pair.client.receive(payload(90, 'session', 7, 1000, 32_768))
  const open = pair.target.take()[0]!
  const passedOn = open.readUInt32BE(open.length - 8)
  expect(passedOn).toBe(500)
  pair.target.receive(payload(91, 0, 42, 1000, 32_768))
  pair.client.receive(payload(98, 0, 'pty-req', true, 'xterm', 80, 24, 0, 0, ''), payload(98, 0, 'shell', true))
  await settled()
  pair.client.take()
  pair.target.receive(data(0, 'x'.repeat(400)))
  for (let i = 0; i < 5; i++) {
    const told = pair.relay.injectNotice('n'.repeat(200))
    pair.clock.advance(1000)
    await told
  }
  const sent = pair.client.take()
  const used = sent.reduce((sum, message) => sum + message.length - (message[0] === 94 ? 9 : 13), 0)
  expect(used).toBeLessThanOrEqual(1000)
  expect(types(sent)).toEqual([94, 95, 95])
})

test('a client that grants window only when it is used up gets everything', async () => {
  const pair = new RelayPair()
  const id = pair.openSession(7, 42, 8192)
  let toSend = 100_000
  let allowed = 8192 - NOTICE_RESERVE
  let got = 0
  for (let round = 0; round < 1000 && toSend > 0; round++) {
    const size = Math.min(allowed, toSend, 1000)
    if (size > 0) pair.target.receive(data(id, 'x'.repeat(size)))
    toSend -= size
    allowed -= size
    for (const message of pair.client.take()) got += message.length - 9
    if (got % 8192 === 0 && got > 0) pair.client.receive(payload(93, id, 8192))
    for (const message of pair.target.take()) if (message[0] === 93) allowed += message.readUInt32BE(5)
  }
  expect(toSend).toBe(0)
})

test('at the end programs are told to go, terminals say why, and nothing else passes', async () => {
  const pair = new RelayPair()
  const id = await pair.openStarted('terminal')
  const wound = pair.relay.windUp('revoked by bob')
  pair.target.receive(data(id, 'late output'))
  pair.client.receive(data(id, 'late input'), payload(97, id))
  await wound
  expect(pair.target.take()).toEqual([
    payload(98, 42, 'signal', false, 'HUP'),
    payload(98, 42, 'signal', false, 'TERM'),
  ])
  const [notice, ...rest] = pair.client.take()
  expect(notice).toEqual(payload(95, 7, 1, '\r\nrevoked by bob\r\n'))
  expect(rest).toEqual([payload(98, 7, 'exit-status', false, 255), payload(96, 7), payload(97, 7)])
})

test('at the end a terminal whose window is used up is waited for, but not for ever', async () => {
  const pair = new RelayPair()
  pair.client.receive(payload(90, 'session', 7, 10, 32_768))
  pair.target.receive(payload(91, 0, 42, 1000, 32_768))
  pair.client.receive(payload(98, 0, 'pty-req', true, 'xterm', 80, 24, 0, 0, ''), payload(98, 0, 'shell', true))
  await settled()
  pair.client.take()
  let done = false
  const wound = pair.relay.windUp('revoked by bob').then(() => (done = true))
  await settled()
  expect(done).toBe(false)
  pair.client.receive(payload(93, 0, 100))
  await settled()
  expect(types(pair.client.take())).toEqual([95, 98, 96, 97])
  pair.clock.advance(250)
  await wound
})

test('a terminal that has no window and grants none is given up', async () => {
  const pair = new RelayPair()
  pair.client.receive(payload(90, 'session', 7, 10, 32_768))
  pair.target.receive(payload(91, 0, 42, 1000, 32_768))
  pair.client.receive(payload(98, 0, 'pty-req', true, 'xterm', 80, 24, 0, 0, ''), payload(98, 0, 'shell', true))
  await settled()
  pair.client.take()
  const wound = pair.relay.windUp('revoked by bob')
  pair.clock.advance(250)
  await wound
  expect(pair.client.take()).toEqual([])
})

test('what was to be started when the end came is not started', async () => {
  const pair = new RelayPair()
  const id = pair.openSession()
  pair.storesAtOnce = false
  pair.client.receive(payload(98, id, 'exec', true, 'id'))
  await pair.relay.windUp('revoked')
  pair.appends[0]?.resolve()
  await settled()
  expect(types(pair.target.take())).toEqual([])
})

test('random messages end a connection at most: nothing else is thrown and nothing odd passes', () => {
  const message = fc.tuple(
    fc.constantFrom(50, 80, 81, 82, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100, 200),
    fc.constantFrom(0, 1, 2, 0xffffffff),
    fc.uint8Array({ maxLength: 60 }),
  )
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), message), { maxLength: 30 }), (steps) => {
      const pair = new RelayPair()
      pair.openSession()
      for (const [fromClient, [type, channel, rest]] of steps) {
        const head = Buffer.alloc(5)
        head[0] = type
        head.writeUInt32BE(channel, 1)
        pair[fromClient ? 'client' : 'target'].receive(Buffer.concat([head, rest]))
      }
      for (const failure of [pair.client.failure, pair.target.failure]) {
        if (failure) expect(['ProtocolError', 'FormatError']).toContain(failure.name)
      }
      expect(pair.failures).toEqual([])
    }),
  )
})
