// A TCP forwarder and nothing else, in a process of its own: what a keystroke pays for any Node process on its way.
//   node bench/ssh/bare-forwarder.ts PORT TARGET_PORT
import { createServer, connect } from 'node:net'

const [port = '', target = ''] = process.argv.slice(2)
const host = '127.0.0.1'
const server = createServer({ noDelay: true }, (client) => {
  const upstream = connect({ host, port: Number(target), noDelay: true })
  client.on('data', (chunk) => upstream.write(chunk)).on('error', () => upstream.destroy())
  upstream.on('data', (chunk) => client.write(chunk)).on('error', () => client.destroy())
  client.on('close', () => upstream.destroy())
  upstream.on('close', () => client.destroy())
})
server.listen(Number(port), host, () => process.stdout.write('READY\n'))
