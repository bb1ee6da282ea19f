import { connect, createServer, isIP, type AddressInfo, type Server, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import type { DbProtocol } from '../../../contract/database.ts'
import { greetMysql, Renumbering } from './greet-mysql.ts'
import { isOwnConnection } from './own-connections.ts'
import { readExactly } from './read-exactly.ts'

export interface LocalPort {
  readonly protocol: DbProtocol
  readonly proxy: { readonly host: string; readonly port: number; readonly name: string }
  /** PEM; the certificate is shown to the proxy for whoever connects here */
  readonly credentials: { readonly ca: string; readonly cert: string; readonly key: string }
  /** What kept a connection from being opened, in a sentence */
  readonly onRefused: (why: string) => void
}

const SSL_REQUEST = 80_877_103
const GSS_REQUEST = 80_877_104

/** Listens on 127.0.0.1: what connects there goes to the proxy under this account's certificate. */
export async function openLocalPort(
  port: number,
  options: LocalPort,
): Promise<{ readonly port: number; close(): void }> {
  const open = new Set<Socket>()
  const server: Server = createServer({ noDelay: true, pauseOnConnect: true }, (local) => {
    open.add(local)
    local.on('close', () => open.delete(local))
    local.on('error', () => {})
    serve(local, options).catch((error: unknown) => {
      options.onRefused(error instanceof Error ? error.message : String(error))
      local.destroy()
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: '127.0.0.1', port }, resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close()
      for (const socket of open) socket.destroy()
    },
  }
}

async function serve(local: Socket, options: LocalPort): Promise<void> {
  const ends = { remotePort: local.remotePort ?? 0, localPort: local.localPort ?? 0 }
  if ((await isOwnConnection(ends)) === false) throw new Error('a program of another user of this machine was refused')
  if (options.protocol === 'postgres') await servePostgres(local, options)
  else await serveMysql(local, options)
}

/** No TLS is offered to the local program; to the proxy its first bytes go by TLS from the start. */
async function servePostgres(local: Socket, options: LocalPort): Promise<void> {
  for (;;) {
    const head = await readExactly(local, 8)
    const code = head.readUInt32BE(4)
    if (head.readUInt32BE(0) !== 8 || (code !== SSL_REQUEST && code !== GSS_REQUEST)) {
      local.unshift(head)
      break
    }
    local.write('N')
  }
  const upstream = await secured(options, null, ['postgresql'])
  join(local, upstream)
  local.pipe(upstream)
  upstream.pipe(local)
}

async function serveMysql(local: Socket, options: LocalPort): Promise<void> {
  const { host, port } = options.proxy
  const plain = connect({ host, port, noDelay: true })
  join(local, plain)
  const { sslRequest, answer } = await greetMysql(local, plain)
  plain.write(sslRequest)
  const upstream = await secured(options, plain, [])
  join(local, upstream)
  upstream.write(answer)
  let isSignedIn = false
  const [out, back] = [new Renumbering(1, () => isSignedIn), new Renumbering(-1, () => isSignedIn)]
  // Each command begins a new row of numbers; until then they are one apart.
  const onHead = (number: number): void => void (isSignedIn ||= number === 0)
  forward(local, upstream, (bytes) => out.pass(bytes, onHead))
  forward(upstream, local, (bytes) => (isSignedIn ? bytes : back.pass(bytes)))
}

function forward(from: Socket, to: Socket, change: (bytes: Buffer) => Buffer): void {
  from.on('data', (bytes: Buffer) => {
    if (!to.write(change(bytes))) from.pause()
  })
  to.on('drain', () => from.resume())
  from.on('end', () => to.end())
  from.resume()
}

function secured({ proxy, credentials }: LocalPort, socket: Socket | null, alpn: string[]): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const upstream = connectTls({
      ...(socket ? { socket } : { host: proxy.host, port: proxy.port }),
      ...credentials,
      rejectUnauthorized: true,
      servername: isIP(proxy.name) === 0 ? proxy.name : '',
      ALPNProtocols: alpn,
      minVersion: 'TLSv1.3',
    })
    upstream.once('secureConnect', () => resolve(upstream))
    upstream.once('error', (error) => reject(new Error(`the proxy cannot be reached: ${error.message}`)))
  })
}

/** One end that is gone takes the other along. */
function join(one: Socket, other: Socket): void {
  one.on('close', () => other.destroy())
  other.on('close', () => one.destroy())
  other.on('error', () => one.destroy())
}
