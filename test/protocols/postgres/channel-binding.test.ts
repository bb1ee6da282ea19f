// Whoever stands between the proxy and a server, with a certificate that the proxy trusts, gets no password and no session: SCRAM is
// bound to the server's own certificate.
import { createServer as createTlsServer, connect as connectTls, type TLSSocket } from 'node:tls'
import { connect as connectTcp, createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { afterAll, beforeAll, beforeEach, expect, suite, test } from 'vitest'
import { PostgresLab } from '../../support/postgres-lab.ts'
import { RELEASES } from '../../support/postgres-release.ts'
import { SSL_REQUEST } from '../../support/raw-postgres-client.ts'

/** Passes on what it reads in clear between two TLS sessions; `change` sees what the server says. */
async function between(
  lab: PostgresLab,
  change: (bytes: Buffer) => Buffer,
): Promise<{ readonly port: number; stop(): void }> {
  const leaf = await lab.serverAuthority.server(['localhost'])
  const tls = createTlsServer({ key: leaf.keyPem, cert: leaf.certificatePem, ALPNProtocols: ['postgresql'] })
  tls.on('tlsClientError', () => {})
  tls.on('secureConnection', (client: TLSSocket) => {
    client.on('error', () => {})
    void toServer(lab.server.port).then((server) => {
      client.pipe(server)
      server.on('data', (bytes: Buffer) => client.write(change(bytes)))
      server.on('close', () => client.end())
      client.on('close', () => server.destroy())
    })
  })
  const listener = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => {
      socket.write('S')
      tls.emit('connection', socket)
    })
  }).listen(0, '127.0.0.1')
  await once(listener, 'listening')
  return { port: (listener.address() as AddressInfo).port, stop: () => listener.close() }
}

async function toServer(port: number): Promise<TLSSocket> {
  const socket = connectTcp(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write(SSL_REQUEST)
  await once(socket, 'data')
  const secure = connectTls({ socket, rejectUnauthorized: false })
  secure.on('error', () => {})
  await once(secure, 'secureConnect')
  return secure
}

/** `SCRAM-SHA-256-PLUS` taken out of what is offered, as long as it was. */
function withoutPlus(bytes: Buffer): Buffer {
  const plus = bytes.indexOf('SCRAM-SHA-256-PLUS\0')
  if (plus < 0) return bytes
  const rest = bytes.subarray(plus + 'SCRAM-SHA-256-PLUS\0'.length)
  const body = Buffer.concat([bytes.subarray(5, plus), rest])
  const message = Buffer.concat([bytes.subarray(0, 5), body])
  message.writeUInt32BE(message.length - 1, 1)
  return message
}

suite.each(RELEASES)('PostgreSQL %s', (release) => {
  let lab: PostgresLab

  beforeAll(async () => {
    lab = await PostgresLab.start({ release })
  })
  afterAll(() => lab?.[Symbol.asyncDispose]())
  beforeEach(() => {
    lab.control.change = {}
  })

  test.each<[string, (bytes: Buffer) => Buffer, string, RegExp]>([
    ['passes all on', (bytes) => bytes, 'app', /orders says: SCRAM channel binding check failed/],
    ['takes the binding out of the offer', withoutPlus, 'app', /orders says: .*(?:channel binding|SCRAM)/],
  ])('somebody in between who %s is found out', async (_name, change, user, told) => {
    const middle = await between(lab, change)
    const database = { id: 'dtb_1', name: 'orders', host: '127.0.0.1', port: middle.port }
    lab.control.change = { database }
    const { code, stderr } = await lab.psql('select 1', { env: { PGUSER: user } })
    middle.stop()
    expect([code, stderr]).toEqual([2, expect.stringMatching(told)])
    expect(await lab.backends()).toEqual([])
  })

  test('without somebody in between the binding holds', async () => {
    expect((await lab.psql('select current_user')).stdout).toBe('app\n')
  })
})
