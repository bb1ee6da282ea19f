import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { SharedPortListener, type Arrival } from '../../src/connection/accept/listener.ts'
import { silentLog } from '../../src/foundation/log.ts'
import { systemClock } from '../../src/foundation/clock.ts'
import { ManualClock } from '../support/manual-clock.ts'

const limits = {
  loginGraceMs: 30_000,
  connections: 50,
  unauthenticated: 20,
  unauthenticatedPerAddress: 10,
  channelsPerConnection: 10,
}

const opened: { close(): void }[] = []
afterEach(() => {
  for (const thing of opened.splice(0)) thing.close()
})

async function listen(clock = systemClock) {
  const ssh: { arrival: Arrival; node: string | null }[] = []
  const postgres: { arrival: Arrival; isDirectTls: boolean }[] = []
  const tls: { arrival: Arrival; serverName: string | null }[] = []
  const listener = new SharedPortListener({
    limits,
    clock,
    log: silentLog,
    protocols: {
      ssh: (arrival, node) => ssh.push({ arrival, node }),
      postgres: (arrival, isDirectTls) => postgres.push({ arrival, isDirectTls }),
      tls: (arrival, hello) => tls.push({ arrival, serverName: hello.serverName }),
    },
  })
  listener.server.listen(0, '127.0.0.1')
  await once(listener.server, 'listening')
  opened.push({ close: () => (listener.destroyAll(), listener.server.close()) })
  const address = listener.server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const dial = async (): Promise<Socket> => {
    const socket = connect(address.port, '127.0.0.1')
    socket.on('error', () => {})
    opened.push({ close: () => socket.destroy() })
    await once(socket, 'connect')
    return socket
  }
  return { listener, ssh, postgres, tls, dial }
}

const until = async (met: () => boolean): Promise<void> => {
  while (!met()) await new Promise((resolve) => setTimeout(resolve, 5))
}

test('an SSH client is handed on with every byte it sent', async () => {
  const { ssh, dial } = await listen()
  const client = await dial()
  client.write('SSH-2.0-x\r\nmore')
  await until(() => ssh.length === 1)
  const [chunk] = (await once(ssh[0]!.arrival.socket.resume(), 'data')) as [Buffer]
  expect(chunk.toString()).toBe('SSH-2.0-x\r\nmore')
})

test('a client that waits for our banner is taken for SSH after two seconds of silence', async () => {
  const clock = new ManualClock()
  const { listener, ssh, dial } = await listen(clock)
  await dial()
  await until(() => listener.connections === 1)
  clock.advance(1999)
  expect(ssh).toHaveLength(0)
  clock.advance(1)
  expect(ssh).toHaveLength(1)
})

test('CONNECT is answered 200 and names the node; what came behind it is SSH', async () => {
  const { ssh, dial } = await listen()
  const client = await dial()
  client.write('CONNECT db-box:22 HTTP/1.1\r\n\r\nSSH-2.0-y\r\n')
  const [answer] = (await once(client, 'data')) as [Buffer]
  expect(answer.toString()).toMatch(/^HTTP\/1\.1 200 /)
  expect(ssh[0]?.node).toBe('db-box')
  const [chunk] = (await once(ssh[0]!.arrival.socket.resume(), 'data')) as [Buffer]
  expect(chunk.toString()).toBe('SSH-2.0-y\r\n')
})

test('plain HTTP gets one fixed answer whose length is right, and nothing more', async () => {
  const { dial } = await listen()
  const client = await dial()
  client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  const chunks: Buffer[] = []
  client.on('data', (chunk: Buffer) => chunks.push(chunk))
  await once(client, 'end')
  const [head, body] = Buffer.concat(chunks).toString().split('\r\n\r\n')
  expect(head).toContain(`Content-Length: ${body?.length}`)
  expect(body).toContain('HTTPS, SSH and PostgreSQL only')
})

test('a preface that trickles in is given up after three seconds', async () => {
  const clock = new ManualClock()
  const { ssh, dial } = await listen(clock)
  const client = await dial()
  client.write('CONN')
  // What was sent later over the same loop has been read: so have these four bytes.
  const marker = await dial()
  marker.write('SSH-2.0-x\r\n')
  await until(() => ssh.length === 1)
  clock.advance(3000)
  await once(client, 'close')
})

test('one address cannot take every place: the eleventh silent connection is closed, and places come back', async () => {
  const { ssh, dial } = await listen()
  const silent = await Promise.all(Array.from({ length: 10 }, dial))
  const eleventh = await dial()
  await once(eleventh, 'close')
  silent[0]?.destroy()
  await until(() => silent[0]?.destroyed === true)
  for (;;) {
    const again = await dial()
    again.write('SSH-2.0-x\r\n')
    await Promise.race([once(again, 'close'), until(() => ssh.length > 0)])
    if (ssh.length > 0) break
  }
})

test('a connection that signed in gives its place to others and stays open', async () => {
  const { listener, ssh, dial } = await listen()
  for (let i = 1; i <= 15; i++) {
    const client = await dial()
    client.write('SSH-2.0-x\r\n')
    await until(() => ssh.length === i)
    ssh.at(-1)?.arrival.signedIn()
  }
  expect(listener.connections).toBe(15)
})
