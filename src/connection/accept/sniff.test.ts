import fc from 'fast-check'
import { createServer, connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { MAX_CLIENT_HELLO, sniff } from './sniff.ts'

/** The ClientHello that Node's own TLS client sends. */
async function realClientHello(options: { servername?: string; ALPNProtocols?: string[] }): Promise<Buffer> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const accepted = once(server, 'connection')
  const client = connectTls({ socket: connect(address.port, '127.0.0.1'), rejectUnauthorized: false, ...options })
  client.on('error', () => {})
  const [socket] = (await accepted) as [import('node:net').Socket]
  const [hello] = (await once(socket, 'data')) as [Buffer]
  client.destroy()
  socket.destroy()
  server.close()
  return hello
}

/** The same handshake message cut into records of `size` bytes. */
function refragment(hello: Buffer, size: number): Buffer {
  const message = hello.subarray(5)
  const records: Buffer[] = []
  for (let at = 0; at < message.length; at += size) {
    const part = message.subarray(at, at + size)
    const head = Buffer.from([22, 3, 1, 0, 0])
    head.writeUInt16BE(part.length, 3)
    records.push(head, part)
  }
  return Buffer.concat(records)
}

describe('what a client speaks is told from its first bytes', () => {
  test('an SSH ident is SSH, and nothing is decided before it is complete enough', () => {
    expect(sniff(Buffer.from(''))).toEqual({ kind: 'need_more' })
    expect(sniff(Buffer.from('SS'))).toEqual({ kind: 'need_more' })
    expect(sniff(Buffer.from('SSH-2.0-x\r\n'))).toEqual({ kind: 'ssh' })
  })

  test('a real ClientHello gives server name and ALPN, however it is split', async () => {
    const hello = await realClientHello({ servername: 'Proxy.Example', ALPNProtocols: ['h2', 'http/1.1'] })
    const expected = { kind: 'tls', serverName: 'proxy.example', alpn: ['h2', 'http/1.1'] }
    expect(sniff(hello)).toEqual(expected)
    for (let cut = 0; cut < hello.length; cut++) expect(sniff(hello.subarray(0, cut))).toEqual({ kind: 'need_more' })
    expect(sniff(refragment(hello, 100))).toEqual(expected)
    expect(sniff(refragment(hello, 7))).toMatchObject({ kind: hello.length / 7 > 64 ? 'refused' : 'tls' })
  })

  test('a ClientHello without extensions is TLS without a name', async () => {
    const hello = await realClientHello({})
    expect(sniff(hello)).toMatchObject({ kind: 'tls', serverName: null })
  })

  test('CONNECT names a node and hands on the rest', () => {
    const preface = 'CONNECT DB-box:22 HTTP/1.1\r\nHost: db-box:22\r\n\r\n'
    expect(sniff(Buffer.from(`${preface}SSH-2.0-x`))).toEqual({
      kind: 'ssh_connect',
      node: 'db-box',
      consumed: preface.length,
    })
  })

  test.each([
    ['PostgreSQL SSLRequest', Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]), 'postgres'],
    ['a CONNECT to another port', Buffer.from('CONNECT db-box:80 HTTP/1.1\r\n\r\n'), 'refused'],
    ['a CONNECT with a path in it', Buffer.from('CONNECT ../x:22 HTTP/1.1\r\n\r\n'), 'refused'],
    ['a CONNECT that never ends', Buffer.from(`CONNECT ${'a'.repeat(2000)}`), 'refused'],
    ['plain HTTP', Buffer.from('GET / HTTP/1.1\r\n'), 'plain_http'],
    ['HTTP/2 in clear', Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), 'plain_http'],
    ['noise', Buffer.from([255, 254, 253]), 'refused'],
    ['a TLS alert first', Buffer.from([22, 2, 0, 0, 1, 0]), 'refused'],
    ['an empty TLS record', Buffer.from([22, 3, 1, 0, 0]), 'refused'],
    ['a record of 65535', Buffer.from([22, 3, 1, 255, 255]), 'refused'],
    ['a ServerHello first', Buffer.from([22, 3, 1, 0, 4, 2, 0, 0, 0]), 'refused'],
    ['a ClientHello of 16 MiB', Buffer.from([22, 3, 1, 0, 4, 1, 255, 255, 255]), 'refused'],
    [
      'a ClientHello whose session id overruns',
      Buffer.concat([Buffer.from([22, 3, 1, 0, 39, 1, 0, 0, 35]), Buffer.alloc(34), Buffer.from([200])]),
      'refused',
    ],
  ])('%s', (_name, bytes, kind) => {
    expect(sniff(bytes).kind).toBe(kind)
  })

  test('no bytes make it throw or wait for more than its limit', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.constantFrom([], [22], [22, 3, 1], [22, 3, 1, 1, 0, 1]),
        (noise, start) => {
          sniff(Buffer.from([...start, ...noise]))
        },
      ),
      { numRuns: 2000 },
    )
    expect(
      sniff(Buffer.concat([Buffer.from([22, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xff]), Buffer.alloc(MAX_CLIENT_HELLO * 2)]))
        .kind,
    ).not.toBe('need_more')
  })
})
