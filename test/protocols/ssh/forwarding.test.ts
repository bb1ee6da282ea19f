import { existsSync } from 'node:fs'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { eventually, runProgram, type RunningProgram } from '../../support/run-program.ts'
import { NODE, SshLab } from '../../support/ssh-lab.ts'

let lab: SshLab
let server: Server
let serverPort: number
/** What the server does with a connection */
let serve: (socket: Socket) => void = () => {}
let running: RunningProgram | null = null

const ALL = { pty: true, portForwarding: true, agentForwarding: true, forceCommand: null }

beforeAll(async () => {
  lab = await SshLab.start()
  server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {})
    serve(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  serverPort = (server.address() as AddressInfo).port
})
afterAll(async () => {
  server.close()
  await lab.stop()
})
afterEach(async () => {
  running?.kill()
  running = null
  await eventually('every connection has ended', () => lab.relay.connections === 0)
  lab.control.change = {}
  lab.control.events.length = 0
})

async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const { port } = probe.address() as AddressInfo
  await new Promise((resolve) => probe.close(resolve))
  return port
}

/** Connects as soon as somebody listens. */
async function dial(to: { readonly port: number } | { readonly path: string }): Promise<Socket> {
  for (let tries = 0; ; tries++) {
    try {
      return await new Promise<Socket>((resolve, reject) => {
        const socket = connect({ ...to, allowHalfOpen: true }, () => resolve(socket))
        socket.once('error', reject)
      })
    } catch (error) {
      if (tries > 300) throw error
      await new Promise((resolve) => setTimeout(resolve, 30))
    }
  }
}

function readAll(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    const parts: Buffer[] = []
    socket.on('data', (bytes: Buffer) => parts.push(bytes))
    socket.once('end', () => resolve(Buffer.concat(parts).toString()))
    socket.once('error', () => resolve('error'))
  })
}

test('a port of the target is reached when the role allows it, and its event is stored', async () => {
  lab.control.change = { permissions: ALL }
  serve = (socket) => void readAll(socket).then((text) => socket.end(`got ${text.length}`))
  const port = await freePort()
  running = lab.start('ssh', ['-N', '-L', `127.0.0.1:${port}:127.0.0.1:${serverPort}`, NODE])
  const socket = await dial({ port })
  const answer = readAll(socket)
  socket.end('x'.repeat(100_000))
  expect(await answer).toBe('got 100000')
  const event = { type: 'port_forward', direction: 'local', target: `127.0.0.1:${serverPort}`, allowed: true }
  expect(lab.control.events).toContainEqual(expect.objectContaining(event))
})

test('the server may finish first and still read everything', async () => {
  lab.control.change = { permissions: ALL }
  const heard = Promise.withResolvers<string>()
  serve = (socket) => {
    socket.end('goodbye')
    void readAll(socket).then(heard.resolve)
  }
  const port = await freePort()
  running = lab.start('ssh', ['-N', '-L', `127.0.0.1:${port}:127.0.0.1:${serverPort}`, NODE])
  const socket = await dial({ port })
  expect(await readAll(socket)).toBe('goodbye')
  socket.end('y'.repeat(200_000))
  expect((await heard.promise).length).toBe(200_000)
})

test('a socket of the target is reached when the role allows it', async () => {
  lab.control.change = { permissions: ALL }
  const path = join(lab.folder, 'target.sock')
  const unix = createServer((socket) => socket.end('unix'))
  await new Promise<void>((resolve) => unix.listen(path, resolve))
  const local = join(lab.folder, 'local.sock')
  running = lab.start('ssh', ['-N', '-L', `${local}:${path}`, NODE])
  await eventually('ssh listens', () => existsSync(local))
  expect(await readAll(await dial({ path: local }))).toBe('unix')
  unix.close()
})

test('connections to a port on the target come to the client when the role allows it', async () => {
  lab.control.change = { permissions: ALL }
  serve = (socket) => socket.end('from the client side')
  running = lab.start('ssh', ['-v', '-N', '-R', `127.0.0.1:0:127.0.0.1:${serverPort}`, NODE])
  const [, port] = await running.until(/Allocated port (\d+) for remote forward/)
  expect(await readAll(await dial({ port: Number(port) }))).toBe('from the client side')
  expect(lab.control.events).toContainEqual(
    expect.objectContaining({ type: 'port_forward', direction: 'remote', allowed: true }),
  )
})

test('connections to a socket on the target come to the client when the role allows it', async () => {
  lab.control.change = { permissions: ALL }
  serve = (socket) => socket.end('from the client side')
  const path = join(lab.folder, 'remote.sock')
  running = lab.start('ssh', ['-N', '-R', `${path}:127.0.0.1:${serverPort}`, NODE])
  await eventually('sshd listens', () => existsSync(path))
  expect(await readAll(await dial({ path }))).toBe('from the client side')
})

test('nothing is forwarded where the role does not say so, and the attempt is stored', async () => {
  const port = await freePort()
  running = lab.start('ssh', ['-N', '-L', `127.0.0.1:${port}:127.0.0.1:${serverPort}`, NODE])
  serve = (socket) => socket.end('must not be seen')
  expect(await readAll(await dial({ port }))).not.toContain('must not')
  await running.until(/administratively prohibited/)
  const remote = await lab.ssh(['-o', 'ExitOnForwardFailure=yes', '-N', '-R', '127.0.0.1:0:127.0.0.1:22', NODE])
  expect(remote.code).toBe(255)
  expect(remote.stderr).toContain('remote port forwarding failed')
  expect(lab.control.events.map((event) => 'allowed' in event && event.allowed)).toEqual([false, false])
})

test('an agent is offered to the target only where the role says so', async () => {
  const path = join(lab.folder, 'agent.sock')
  const started = await runProgram('ssh-agent', ['-a', path, '-s'])
  const pid = /SSH_AGENT_PID=(\d+)/.exec(started.stdout)?.[1]
  try {
    const env = { ...process.env, SSH_AUTH_SOCK: path }
    await runProgram('ssh-add', [join(lab.folder, 'id')], '', env)
    const list = (): ReturnType<typeof runProgram> => {
      const args = [...lab.flags, '-A', '-o', `IdentityAgent=${path}`, NODE, 'ssh-add -l']
      return runProgram('ssh', args, '', env)
    }
    const off = await list()
    expect(off.code).not.toBe(0)
    expect(off.stdout).not.toContain('ED25519')
    expect(lab.control.events).toContainEqual({ type: 'agent_forward', channel: 0, allowed: false })
    lab.control.change = { permissions: ALL }
    expect((await list()).stdout).toContain('ED25519')
    expect(lab.control.events).toContainEqual({ type: 'agent_forward', channel: 0, allowed: true })
  } finally {
    if (pid) await runProgram('kill', [pid])
  }
})
