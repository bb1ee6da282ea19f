// Trust at first contact, over real TLS: who sits between, shows another chain, or names another authority is found out.
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { beforeAll, expect, test } from 'vitest'
import { trustProxy, type TrustContext } from '../../src/cli/sally/login/trust-proxy.ts'
import { parseAddress, parsePin, pinOfPem } from '../../src/cli/shared/first-contact.ts'
import { proxyTransport } from '../../src/cli/shared/proxy-transport.ts'
import { createClient } from '../../src/contract/client.ts'
import { systemClock } from '../../src/foundation/clock.ts'
import { tlsAuthorityCertificate, tlsLeaf } from '../../src/identity/tls-certificates.ts'

interface Authority {
  readonly privateKey: ReturnType<typeof generateKeyPairSync>['privateKey']
  readonly certificatePem: string
}

async function anAuthority(): Promise<Authority> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return {
    privateKey,
    certificatePem: await tlsAuthorityCertificate(privateKey, 'Sallyport test', systemClock.now()),
  }
}

let ours: Authority
let theirs: Authority
beforeAll(async () => {
  ours = await anAuthority()
  theirs = await anAuthority()
})

interface ProxyOptions {
  readonly signedBy: Authority
  readonly names?: string
  readonly leafFor?: readonly string[]
  /** What /v1/ping names as its authority; default: the one that signed. */
  readonly claims?: string
  readonly answer?: string
}

async function aProxy(options: ProxyOptions): Promise<{ port: number; seen: string[] } & AsyncDisposable> {
  const leaf = await tlsLeaf(options.signedBy, options.leafFor ?? ['sallyport', '127.0.0.1'], systemClock.now())
  const seen: string[] = []
  const ping = {
    installation: 'ins_1',
    version: '0.1.0',
    contract: 1,
    proxyName: options.names ?? 'sallyport',
    tlsAuthority: options.claims ?? options.signedBy.certificatePem,
    sshHostAuthorities: ['ssh-ed25519 AAAA'],
    secondFactor: 'totp',
  }
  const server = createServer({ key: leaf.keyPem, cert: leaf.certificatePem }, (request: IncomingMessage, answer) => {
    seen.push(`${request.method} ${request.url}`)
    answer.setHeader('sallyport-contract', '1')
    answer.end(options.answer ?? JSON.stringify(ping))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  return { port: (server.address() as AddressInfo).port, seen, [Symbol.asyncDispose]: stop }
}

function contextOf(person: 'agrees' | 'declines' | 'absent'): { context: TrustContext; shown: string[] } {
  const shown: string[] = []
  const context: TrustContext = {
    terminal: { interactive: person !== 'absent' },
    prompt: { confirm: () => Promise.resolve(person === 'agrees') },
    warn: (text) => void shown.push(text),
    openProxy: (proxy) => Promise.resolve(proxyTransport(proxy)),
  }
  return { context, shown }
}

const trust = (port: number, caPin?: string, person: 'agrees' | 'declines' | 'absent' = 'absent') => {
  const { context, shown } = contextOf(person)
  return { shown, proxy: trustProxy(context, null, { proxy: `127.0.0.1:${port}`, caPin }) }
}

test('the right pin is enough, and the profile then verifies every connection', async () => {
  await using server = await aProxy({ signedBy: ours })
  const proxy = await trust(server.port, pinOfPem(ours.certificatePem)).proxy
  expect(proxy).toMatchObject({ name: 'sallyport', installation: 'ins_1', host: '127.0.0.1' })
  const { transport, close } = proxyTransport(proxy)
  expect((await createClient(transport).ping({})).proxyName).toBe('sallyport')
  close()
})

test('another pin is refused, whatever the person would say', async () => {
  await using server = await aProxy({ signedBy: theirs })
  await expect(trust(server.port, pinOfPem(ours.certificatePem), 'agrees').proxy).rejects.toMatchObject({ exit: 6 })
})

test('who claims our authority but cannot sign with it is refused', async () => {
  await using server = await aProxy({ signedBy: theirs, claims: ours.certificatePem })
  await expect(trust(server.port, pinOfPem(ours.certificatePem)).proxy).rejects.toThrow(/was not signed/)
})

test('who shows our chain under a name that it is not made for is refused', async () => {
  await using server = await aProxy({ signedBy: ours, leafFor: ['other.example'] })
  await expect(trust(server.port, pinOfPem(ours.certificatePem)).proxy).rejects.toThrow(/was not signed/)
})

test('a leaf is no authority, and neither is nonsense', async () => {
  const leaf = await tlsLeaf(ours, ['sallyport'], systemClock.now())
  for (const claims of [leaf.certificatePem.split('-----END')[0] + '-----END CERTIFICATE-----\n', 'x', '']) {
    await using server = await aProxy({ signedBy: ours, claims })
    await expect(trust(server.port, pinOfPem(ours.certificatePem)).proxy).rejects.toThrow(/not one/)
  }
})

test('without a pin a person compares the fingerprint; nobody there means no', async () => {
  await using server = await aProxy({ signedBy: ours })
  const asked = trust(server.port, undefined, 'agrees')
  expect((await asked.proxy).name).toBe('sallyport')
  expect(asked.shown.join()).toContain(pinOfPem(ours.certificatePem))
  await expect(trust(server.port, undefined, 'declines').proxy).rejects.toMatchObject({ exit: 6 })
  await expect(trust(server.port).proxy).rejects.toMatchObject({
    exit: 2,
    hint: expect.stringContaining('--ca-pin') as string,
  })
})

test('before the trust is settled nothing but ping was asked', async () => {
  await using server = await aProxy({ signedBy: theirs })
  await expect(trust(server.port, pinOfPem(ours.certificatePem)).proxy).rejects.toThrow()
  expect(server.seen).toEqual(['GET /v1/ping'])
})

test('a known proxy that suddenly shows another chain is unreachable, not trusted', async () => {
  await using server = await aProxy({ signedBy: theirs })
  const known = { host: '127.0.0.1', port: server.port, name: 'sallyport', tlsAuthority: ours.certificatePem }
  const { transport, close } = proxyTransport(known)
  await expect(createClient(transport).ping({})).rejects.toMatchObject({ code: 'unreachable' })
  expect(server.seen).toEqual([])
  close()
})

test.each(['', '[]', '{}', 'x'.repeat(300_000)])(
  'something else than a proxy (answer #%#) is told apart',
  async (answer) => {
    await using server = await aProxy({ signedBy: ours, answer })
    await expect(trust(server.port, pinOfPem(ours.certificatePem)).proxy).rejects.toThrow()
  },
)

test('nobody there is said as it is', async () => {
  await expect(trust(1, pinOfPem(ours.certificatePem)).proxy).rejects.toMatchObject({ code: 'unreachable' })
})

test.each(['', ':', 'a:0', 'a:65536', 'a b:1', '-x:1', 'a:1:2', '[::1', 'a/b'])('%j is no proxy address', (text) => {
  expect(() => parseAddress(text)).toThrow(/address/)
})

test('addresses are host:port, with 3022 when none is named', () => {
  expect(parseAddress('proxy.example:443')).toEqual({ host: 'proxy.example', port: 443 })
  expect(parseAddress('[::1]')).toEqual({ host: '::1', port: 3022 })
})

test.each(['', 'sha256:', `sha256:${'0'.repeat(63)}`, `sha1:${'0'.repeat(64)}`, '0'.repeat(64)])(
  '%j is no pin',
  (text) => {
    expect(() => parsePin(text)).toThrow(/pin/)
  },
)
