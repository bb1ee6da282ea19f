// TLS on both sides, the bytes between them and nothing else, in a process of its own: what a query pays for any Node process.
//   node bench/support/bare-relay.ts postgres|mysql PORT SERVER_PORT AUTHORITY CERTIFICATE KEY CLIENT_CERTIFICATE CLIENT_KEY     (PEM files)
import { readFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { connect as secure, createSecureContext, TLSSocket } from 'node:tls'

const [protocol, port, serverPort, ...files] = process.argv.slice(2)
const [ca, cert, key, clientCert, clientKey] = files.map((file) => readFileSync(file))
const front = createSecureContext({ ca, cert, key })
const back = createSecureContext({ ca, cert: clientCert, key: clientKey })
const host = '127.0.0.1'
/** int32 length | int32 code: SSLRequest; every client of a bench begins with it, and both sides answer yes. */
const ASK = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])

const server = createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => {})
  const upstream = connect({ host, port: Number(serverPort), noDelay: true })
  upstream.on('error', () => socket.destroy())
  if (protocol === 'mysql') openMysql(socket, upstream)
  else openPostgres(socket, upstream)
})

/** Next bytes of a side that then waits. */
function once(socket: Socket, take: (bytes: Buffer) => void): void {
  socket.once('data', (bytes: Buffer) => {
    socket.pause()
    take(bytes)
  })
}

function openPostgres(socket: Socket, upstream: Socket): void {
  once(socket, () => {
    const client = clientOver(socket)
    socket.write('S')
    upstream.write(ASK)
    once(upstream, () => join(client, upstream))
  })
}

/** The server greets, the client answers that it wants TLS; both in clear. */
function openMysql(socket: Socket, upstream: Socket): void {
  once(upstream, (greeting) => {
    socket.write(greeting)
    once(socket, (asked) => {
      // int<3> length | int<1> sequence id | payload; TLS begins behind it, and clients do not wait.
      const end = 4 + asked.readUIntLE(0, 3)
      socket.unshift(asked.subarray(end))
      const client = clientOver(socket)
      upstream.write(asked.subarray(0, end), () => join(client, upstream))
    })
  })
}

const clientOver = (socket: Socket): TLSSocket =>
  new TLSSocket(socket, { isServer: true, secureContext: front, requestCert: true })

function join(client: Socket, upstream: Socket): void {
  const there = secure({ socket: upstream, secureContext: back, servername: 'localhost' }, () => {
    for (const [from, to] of [
      [client, there],
      [there, client],
    ] as const) {
      from.on('data', (chunk) => {
        if (!to.write(chunk)) from.pause()
      })
      to.on('drain', () => from.resume())
      from.on('error', () => to.destroy()).on('close', () => to.destroy())
    }
  })
  there.on('error', () => client.destroy())
}

server.listen(Number(port), host, () => process.stdout.write('READY\n'))
