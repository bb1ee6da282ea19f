import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { NODE, startFaultHouse, type FaultHouse } from '../support/fault-house.ts'
import { until } from '../support/until.ts'

const CONNECTIONS = 100

let house: FaultHouse
let sockets: Connection[]
afterEach(async () => {
  for (const { socket } of sockets) socket.destroy()
  await house.sallyport.stop()
})
beforeEach(() => {
  sockets = []
})

interface Connection {
  readonly socket: Socket
  isClosed: boolean
}

const start = async (limits: Readonly<Record<string, number>>): Promise<void> => {
  house = await startFaultHouse({ config: { login_grace: '5s', limits } })
}

/** Connects and sends `words`, and then nothing any more. What the server says is read and forgotten. */
async function open(words: string): Promise<void> {
  const socket = connect(house.sallyport.port, '127.0.0.1')
  const connection: Connection = { socket, isClosed: false }
  sockets.push(connection)
  socket.on('error', () => {})
  socket.once('close', () => (connection.isClosed = true))
  await once(socket, 'connect')
  if (words !== '') socket.write(words)
  socket.resume()
}

const closed = (): number => sockets.filter(({ isClosed }) => isClosed).length

test.each([
  { what: 'say nothing', words: '' },
  { what: 'name themselves and stop', words: 'SSH-2.0-slow\r\n' },
  { what: 'stop inside the first TLS record', words: '\x16\x03\x01' },
])(
  `${CONNECTIONS} connections that $what are closed after the grace time, and a session beside them goes on`,
  async ({ words }) => {
    await start({ unauthenticated: 150, unauthenticated_per_address: 150 })
    const shell = house.alice.start('ssh', '-tt', NODE)
    shell.write("PS1=; stty -echo; echo OP''EN\r")
    await shell.prints(/OPEN/)
    await Promise.all(Array.from({ length: CONNECTIONS }, () => open(words)))
    shell.write("echo still\\ he''re\r")
    await shell.prints(/still here/)
    // New ones get in, too, while the silent ones are still there or already gone.
    expect(await house.alice.ssh(NODE, 'echo in')).toMatchObject({ code: 0, stdout: 'in\n' })
    await until('all of them to be closed', () => closed() === CONNECTIONS, { within: 60_000 })
    shell.write("echo and\\ no''w\r")
    await shell.prints(/and now/)
    expect(shell.child.exitCode).toBe(null)
  },
)

test('past the cap of its address a connection is refused at once; whoever is signed in does not count, and room comes back', async () => {
  await start({ unauthenticated: 150, unauthenticated_per_address: 20 })
  const shell = house.alice.start('ssh', '-tt', NODE)
  shell.write("PS1=; stty -echo; echo OP''EN\r")
  await shell.prints(/OPEN/)
  for (let index = 0; index < 20; index++) await open('SSH-2.0-slow\r\n')
  const refused = await house.alice.ssh(NODE, 'true')
  // They are all closed by now on a very slow machine: then there was room.
  if (closed() === 0) expect(refused.code).toBe(255)
  shell.write("echo still\\ he''re\r")
  await shell.prints(/still here/)
  await until('all of them to be closed', () => closed() === 20, { within: 60_000 })
  expect(await house.alice.ssh(NODE, 'echo in')).toMatchObject({ code: 0, stdout: 'in\n' })
  expect(shell.child.exitCode).toBe(null)
})
