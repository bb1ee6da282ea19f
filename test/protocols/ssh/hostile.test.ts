import { generateKeyPairSync, randomBytes, randomInt } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { payload } from '../../../src/connection/relay/ssh/wire/payload.ts'
import { RawSshClient, type RawIdentity } from '../../support/raw-ssh-client.ts'
import { eventually } from '../../support/run-program.ts'
import { NODE, SshLab } from '../../support/ssh-lab.ts'

const USER = `+${NODE}`
let lab: SshLab
let alice: RawIdentity
let clients: RawSshClient[] = []

beforeAll(async () => {
  lab = await SshLab.start({ limits: { loginGraceMs: 5000, channelsPerConnection: 10 } })
  alice = lab.userCertificate({})
})
afterAll(() => lab.stop())
afterEach(async () => {
  for (const client of clients) client.close()
  clients = []
  await eventually('every connection has ended', () => lab.relay.connections === 0)
  lab.control.refusal = null
  lab.control.asked.length = 0
  lab.control.authFailures.length = 0
})

async function newClient(): Promise<RawSshClient> {
  const client = await RawSshClient.connect(lab.port)
  clients.push(client)
  return client
}

async function signedIn(): Promise<RawSshClient> {
  const client = await newClient()
  await client.signIn(USER, alice)
  return client
}

const stillServes = async (): Promise<void> => {
  expect(await lab.ssh([NODE, 'echo fine'])).toMatchObject({ code: 0, stdout: 'fine\n' })
}

test('asking whether a key would do tells nothing about access', async () => {
  lab.control.refusal = { ok: false, code: 'access_denied', lines: ['no access'] }
  for (const user of [USER, '+nosuchnode', 'nonsense']) {
    const client = await newClient()
    client.askForService()
    client.send(client.keyQuery(user, alice))
    await client.until(60)
  }
  expect(lab.control.asked).toEqual([])
})

test('who probes with one key and signs with another is who signed, or nobody', async () => {
  const mallory = lab.userCertificate({ principals: ['sallyport-user-usr_019aa3c4-0000-7000-8000-000000000000'] })
  const client = await newClient()
  client.askForService()
  client.send(client.keyQuery(USER, alice))
  await client.until(60)
  client.send(client.signedRequest(USER, alice, mallory.key))
  await client.until(51)
  expect(lab.control.authFailures).toEqual([{ address: '127.0.0.1', code: 'wrong_signature' }])
  client.send(client.signedRequest(USER, mallory))
  await client.until(52)
  expect(lab.control.asked.map((input) => input.userId)).toEqual(['usr_019aa3c4-0000-7000-8000-000000000000'])
})

test('a signature made for another connection is worth nothing here', async () => {
  const client = await newClient()
  client.askForService()
  client.send(client.signedRequest(USER, alice, alice.key, randomBytes(32)))
  await client.until(51)
  expect(lab.control.asked).toEqual([])
})

const wrong: readonly (readonly [string, (client: RawSshClient) => Buffer[]])[] = [
  ['changes the user name', (c) => [c.keyQuery(USER, alice), c.keyQuery('+other', alice)]],
  ['wants another service', () => [payload(50, USER, 'ssh-userauth', 'none')]],
  ['says itself that it is in', () => [payload(52)]],
  ['opens a channel before it is known', () => [payload(90, 'session', 0, 1000, 1000)]],
  ['sends a global request before it is known', () => [payload(80, 'keepalive@openssh.com', true)]],
  ['asks for the service twice', () => [payload(5, 'ssh-userauth')]],
  ['sends a request cut short', (c) => [c.keyQuery(USER, alice).subarray(0, 60)]],
  ['sends more than a request', (c) => [Buffer.concat([c.keyQuery(USER, alice), Buffer.alloc(1)])]],
]
test.each(wrong)('a client that %s is disconnected', async (_what, messages) => {
  const client = await newClient()
  client.askForService()
  client.send(...messages(client))
  await client.untilEnd()
  expect(lab.control.asked).toEqual([])
})

test('a client may sign wrong six times and ask often, but not for ever', async () => {
  const other = generateKeyPairSync('ed25519').privateKey
  const signing = await newClient()
  signing.askForService()
  for (let i = 0; i < 6; i++) signing.send(signing.signedRequest(USER, alice, other))
  expect(await signing.untilEnd()).toContain('too many attempts')
  expect(signing.received.filter((message) => message[0] === 51)).toHaveLength(5)
  const asking = await newClient()
  asking.askForService()
  for (let i = 0; i < 40; i++) asking.send(payload(50, USER, 'ssh-connection', 'none'))
  expect(await asking.untilEnd()).toContain('too many attempts')
})

test('a hundred silent connections are closed after the grace, and others are served meanwhile', async () => {
  const sockets: Socket[] = []
  let closed = 0
  for (let i = 0; i < 100; i++) {
    const socket = connect(lab.port, '127.0.0.1')
    socket.on('error', () => {}).on('close', () => closed++)
    socket.resume()
    sockets.push(socket)
  }
  const slow = await newClient()
  await stillServes()
  await eventually('the silent ones are closed', () => closed === 100)
  await slow.untilEnd()
})

test('random bytes before and after signing in end that connection at most', async () => {
  for (let round = 0; round < 30; round++) {
    const socket = connect(lab.port, '127.0.0.1')
    socket.on('error', () => {}).resume()
    socket.write(round % 2 ? randomBytes(2000) : Buffer.concat([Buffer.from('SSH-2.0-x\r\n'), randomBytes(2000)]))
    await new Promise((resolve) => socket.once('close', resolve))
  }
  for (let round = 0; round < 20; round++) {
    const client = round % 2 ? await newClient() : await signedIn()
    for (let i = 0; i < 20; i++) {
      client.send(Buffer.concat([Buffer.of(randomInt(50, 256)), randomBytes(randomInt(60))]))
    }
    client.close()
  }
  await stillServes()
})

test('a client that ignores the window is disconnected before it costs memory', async () => {
  const client = await signedIn()
  const id = await client.exec('sleep 60')
  const before = process.memoryUsage.rss()
  const message = payload(94, id, Buffer.alloc(32_000, 65))
  let sent = 0
  while (sent < 400_000_000 && !client.ended) {
    for (let i = 0; i < 32; i++) client.send(message)
    sent += 32 * 32_000
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  expect(await client.untilEnd()).toContain('more data than the window allows')
  expect(sent).toBeLessThan(20_000_000)
  expect((process.memoryUsage.rss() - before) / 2 ** 20).toBeLessThan(64)
})

test.each([
  ['a channel', (id: number) => payload(99, id)],
  ['a global request', () => payload(81)],
])('a reply to %s that nobody made ends the connection', async (_what, reply) => {
  const client = await signedIn()
  const id = await client.exec('sleep 60')
  client.send(reply(id))
  expect(await client.untilEnd()).toContain('a reply to nothing')
})

test('a maximum packet size of 0 ends the connection and stalls nobody', async () => {
  const client = await signedIn()
  client.send(payload(90, 'session', 0, 2_000_000, 0))
  expect(await client.untilEnd()).toContain('maximum packet size')
  await stillServes()
})

test('a flood of channels is refused above the cap', async () => {
  const client = await signedIn()
  for (let i = 0; i < 5000; i++) client.send(payload(90, 'session', i, 1000, 1000))
  const count = (number: number): number => client.received.filter((message) => message[0] === number).length
  await eventually('all are answered', () => count(91) + count(92) === 5000)
  expect(count(91)).toBe(10)
})

test('a flood of requests without reading the answers ends the connection, or is answered in order', async () => {
  const client = await signedIn()
  for (let i = 0; i < 200; i++) client.send(payload(80, 'keepalive@openssh.com', true))
  await client.untilEnd().catch(() => '')
  await stillServes()
})

test('a reader that stops while 400 MB wait costs no memory', async () => {
  const client = await signedIn()
  await client.exec('head -c 400000000 /dev/zero', 0x7fffffff, 32_768)
  client.keeps = false
  const before = process.memoryUsage.rss()
  client.leg.pause()
  client.socket.pause()
  let most = 0
  for (let i = 0; i < 100; i++) {
    await new Promise((resolve) => setTimeout(resolve, 20))
    most = Math.max(most, process.memoryUsage.rss() - before)
  }
  const grown = most / 2 ** 20
  process.stderr.write(`RSS grew by ${grown.toFixed(1)} MiB\n`)
  expect(grown).toBeLessThan(32)
  client.leg.resume()
  client.socket.resume()
  await eventually('it goes on', () => client.bytes > 20_000_000)
})
