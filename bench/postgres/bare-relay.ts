// TLS on both sides, the bytes between them and nothing else, in a process of its own: what a query pays for any Node process.
//   node bench/postgres/bare-relay.ts PORT SERVER_PORT AUTHORITY CERTIFICATE KEY CLIENT_CERTIFICATE CLIENT_KEY     (PEM files)
import { readFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { connect as secure, createSecureContext, TLSSocket } from 'node:tls'

const [port, serverPort, ...files] = process.argv.slice(2)
const [ca, cert, key, clientCert, clientKey] = files.map((file) => readFileSync(file))
const front = createSecureContext({ ca, cert, key })
const back = createSecureContext({ ca, cert: clientCert, key: clientKey })
const host = '127.0.0.1'
/** int32 length | int32 code: SSLRequest; every client of a bench begins with it, and both sides answer yes. */
const ASK = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])

const server = createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => {})
  socket.once('data', () => {
    socket.pause()
    const client = new TLSSocket(socket, { isServer: true, secureContext: front, requestCert: true })
    socket.write('S')
    const upstream = connect({ host, port: Number(serverPort), noDelay: true }, () => upstream.write(ASK))
    upstream.on('error', () => client.destroy())
    upstream.once('data', () => {
      upstream.pause()
      const there = secure({ socket: upstream, secureContext: back, servername: 'localhost' }, () =>
        join(client, there),
      )
    })
  })
})

function join(client: Socket, there: Socket): void {
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
}

server.listen(Number(port), host, () => process.stdout.write('READY\n'))
