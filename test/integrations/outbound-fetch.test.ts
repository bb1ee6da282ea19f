import { X509Certificate } from 'node:crypto'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createServer as createTlsServer } from 'node:https'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { TestAuthority } from '../support/test-authority.ts'
import { Sallyport } from '../../sdk/index.ts'
import { pinOf } from '../../sdk/pinned-transport.ts'
import { OutboundRefused, outboundConnect, outboundFetch, type Resolve } from '../../src/foundation/outbound-fetch.ts'

let server: Server
let port = 0
let reached = 0
let answer: RequestListener = (_request, response) => void response.end('inside')

beforeAll(async () => {
  server = createServer((request, response) => {
    reached += 1
    answer(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  port = (server.address() as AddressInfo).port
})
afterAll(() => void server.close())

const named =
  (...addresses: readonly string[]): Resolve =>
  (_host, done) =>
    done(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    )

describe('trap 18: a server that is made to call somebody else', () => {
  const open = outboundFetch({ allowNetworks: [] })

  test.each([
    ['loopback', 'https://127.0.0.1:PORT/'],
    ['loopback by another of its addresses', 'https://127.8.9.1:PORT/'],
    ['loopback in hexadecimal', 'https://0x7f.1:PORT/'],
    ['loopback in short', 'https://127.1:PORT/'],
    ['loopback as a number', 'https://2130706433:PORT/'],
    ['loopback in octal', 'https://0177.0.0.1:PORT/'],
    ['loopback in full width', 'https://１２７.０.０.１:PORT/'],
    ['every interface', 'https://0.0.0.0:PORT/'],
    ['loopback of IPv6', 'https://[::1]:PORT/'],
    ['IPv4 inside IPv6', 'https://[::ffff:127.0.0.1]:PORT/'],
    ['IPv4 inside IPv6 in hexadecimal', 'https://[::ffff:7f00:1]:PORT/'],
    ['IPv4-compatible IPv6', 'https://[::127.0.0.1]:PORT/'],
    ['translated IPv4', 'https://[64:ff9b::7f00:1]:PORT/'],
    ['6to4 around loopback', 'https://[2002:7f00:1::]:PORT/'],
    ['unique local IPv6', 'https://[fd00::1]/'],
    ['link-local IPv6', 'https://[fe80::1]/'],
    ['the metadata service', 'https://169.254.169.254/latest/meta-data/'],
    ['10/8', 'https://10.0.0.1/'],
    ['172.16/12', 'https://172.31.255.255/'],
    ['192.168/16', 'https://192.168.0.1/'],
    ['carrier-grade NAT', 'https://100.64.0.1/'],
    ['multicast', 'https://224.0.0.1/'],
    ['broadcast', 'https://255.255.255.255/'],
    ['userinfo', 'https://good.example@127.0.0.1:PORT/'],
    ['a user name', 'https://user:word@example.com/'],
    ['plain http', 'http://93.184.216.34/'],
    ['a mail server', 'https://93.184.216.34:25/'],
    ['another scheme', 'ftp://example.com/'],
    ['a file', 'file:///etc/passwd'],
    ['no address at all', 'https://'],
  ])('%s is refused before anything is sent: %s', async (_what, url) => {
    const before = reached
    await expect(open(url.replace('PORT', String(port)), { method: 'POST', body: 'secret' })).rejects.toBeInstanceOf(
      OutboundRefused,
    )
    expect(reached).toBe(before)
  })

  test.each([
    ['an internal address', ['127.0.0.1']],
    ['a good address and an internal one', ['93.184.216.34', '10.0.0.1']],
    ['an internal address of IPv6', ['::1']],
    ['IPv4 inside IPv6', ['::ffff:127.0.0.1']],
  ])('a name that has %s is refused at the connection', async (_what, addresses) => {
    const fetch = outboundFetch({ allowNetworks: [], resolve: named(...addresses) })
    const before = reached
    await expect(fetch(`https://good.example:${port}/`, { method: 'GET' })).rejects.toBeInstanceOf(OutboundRefused)
    expect(reached).toBe(before)
  })

  test('a name that points elsewhere the second time is judged the second time', async () => {
    const answers = [['127.0.0.1'], ['10.0.0.7']]
    const fetch = outboundFetch({
      allowNetworks: ['127.0.0.0/8'],
      resolve: (host, done) => named(...(answers.shift() ?? ['10.0.0.7']))(host, done),
    })
    answer = (_request, response) => {
      response.setHeader('connection', 'close')
      response.end('inside')
    }
    const url = `http://rebinds.example:${port}/`
    expect((await fetch(url, { method: 'GET' })).status).toBe(200)
    await expect(fetch(url, { method: 'GET' })).rejects.toBeInstanceOf(OutboundRefused)
  })

  test('a redirection is an answer and is not followed', async () => {
    const fetch = outboundFetch({ allowNetworks: ['127.0.0.0/8'] })
    answer = (request, response) => {
      response.writeHead(request.url === '/there' ? 200 : 302, { location: `http://127.0.0.1:${port}/there` })
      response.end()
    }
    const before = reached
    expect((await fetch(`http://127.0.0.1:${port}/`, { method: 'GET' })).status).toBe(302)
    expect(reached).toBe(before + 1)
  })

  test('a network that is allowed by name is reached, and its neighbours are not', async () => {
    const fetch = outboundFetch({ allowNetworks: ['127.0.0.1/32'] })
    answer = (_request, response) => void response.end('inside')
    const { status, body } = await fetch(`http://0x7f.1:${port}/`, { method: 'GET' })
    expect([status, Buffer.from(body).toString()]).toEqual([200, 'inside'])
    await expect(fetch(`http://127.0.0.2:${port}/`, { method: 'GET' })).rejects.toBeInstanceOf(OutboundRefused)
  })

  test('an answer without end and one that is too long are given up', async () => {
    const slow = outboundFetch({ allowNetworks: ['127.0.0.1/32'], deadlineMs: 100 })
    answer = (_request, response) => void response.write('x')
    await expect(slow(`http://127.0.0.1:${port}/`, { method: 'GET' })).rejects.toThrow(/time/i)
    const small = outboundFetch({ allowNetworks: ['127.0.0.1/32'], answerBytes: 1000 })
    answer = (_request, response) => void response.end('x'.repeat(2000))
    await expect(small(`http://127.0.0.1:${port}/`, { method: 'GET' })).rejects.toThrow('longer than 1000 bytes')
  })

  test('connections that are not HTTP obey the same rules', async () => {
    const { signal } = new AbortController()
    const connect = outboundConnect({ allowNetworks: [], resolve: named('127.0.0.1') })
    for (const host of ['127.0.0.1', '[::1]', 'mail.example'])
      await expect(
        (async () => {
          await connect(host, port, signal)
        })(),
      ).rejects.toBeInstanceOf(OutboundRefused)
    const inside = outboundConnect({ allowNetworks: ['127.0.0.0/8'] })
    const socket = await inside('127.0.0.1', port, signal)
    expect(socket.remotePort).toBe(port)
    socket.destroy()
  })

  test('what is no network is refused by name', () => {
    for (const network of ['10.0.0.0', '10.0.0.0/33', 'localhost/8', '::/129'])
      expect(() => outboundFetch({ allowNetworks: [network] })).toThrow('is no network')
  })
})

describe('NODE_TLS_REJECT_UNAUTHORIZED=0 in the environment', () => {
  afterEach(() => vi.unstubAllEnvs())

  async function impostor(answer: string): Promise<{ port: number; reached: () => number; close: () => void }> {
    const { keyPem, certificatePem } = await (await TestAuthority.make('nobody')).server(['127.0.0.1'])
    let calls = 0
    const made = createTlsServer({ key: keyPem, cert: certificatePem }, (request, response) => {
      if (request.url !== '/v1/ping') calls += 1
      response.end(answer)
    })
    await new Promise<void>((resolve) => made.listen(0, '127.0.0.1', resolve))
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0')
    return {
      port: (made.address() as AddressInfo).port,
      reached: () => calls,
      close: () => {
        made.close()
        made.closeAllConnections()
      },
    }
  }

  test('makes no vendor out of whoever answers', async () => {
    const there = await impostor('{}')
    const open = outboundFetch({ allowNetworks: ['127.0.0.1/32'] })
    await expect(open(`https://127.0.0.1:${there.port}/`, { method: 'GET' })).rejects.toThrow()
    expect(there.reached()).toBe(0)
    there.close()
  })

  test('gives the token of a program to nobody but the pinned proxy, who may have been copied', async () => {
    const real = await TestAuthority.make('proxy')
    const there = await impostor(JSON.stringify({ tlsAuthority: real.certificatePem, proxyName: '127.0.0.1' }))
    const caPin = pinOf(new X509Certificate(real.certificatePem))
    using sallyport = new Sallyport({
      address: `127.0.0.1:${there.port}`,
      ...{ caPin, token: `sally_service_${'a'.repeat(43)}` },
    })
    await expect(sallyport.show('req_1')).rejects.toMatchObject({ code: 'untrusted' })
    expect(there.reached()).toBe(0)
    there.close()
  })
})
