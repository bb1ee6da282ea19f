// A certificate that browsers and vendors trust, on the one port beside the installation's own.
import { createServer } from 'node:http'
import { request } from 'node:https'
import { renameSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startSallyport, type Account, type Sallyport } from '../support/sallyport.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { TestAuthority } from '../support/test-authority.ts'
import { until } from '../support/until.ts'

let world: TestAuthority
let sallyport: Sallyport
let alice: Account
const folder = tempFolder('web-certificate').path
const [cert, key] = [join(folder, 'fullchain.pem'), join(folder, 'privkey.pem')]

beforeAll(async () => {
  world = await TestAuthority.make('the world')
  await renew(['access.test', 'localhost', '*.apps.test'])
  // The proxy's own name is one of the web's, so that our programs come by the very name that a browser comes by.
  const web = { address: 'access.test', cert, key }
  sallyport = await startSallyport({ config: { web, proxy_name: 'access.test' } })
  await sallyport.role({ kind: 'role', metadata: { name: 'dba' }, spec: {} })
  await sallyport.role({
    kind: 'role',
    metadata: { name: 'engineer' },
    spec: { allow: { request: { roles: ['dba'] } } },
  })
  await sallyport.user('alice', ['engineer'])
  alice = await sallyport.signIn('alice')
})
afterAll(() => sallyport?.stop())

async function renew(names: readonly string[]): Promise<void> {
  const made = await world.server(names)
  for (const [path, text] of [
    [key, made.keyPem],
    [cert, made.certificatePem],
  ] as const) {
    writeFileSync(`${path}.new`, text, { mode: 0o600 })
    renameSync(`${path}.new`, path)
  }
}

interface Seen {
  readonly status: number
  readonly issuer: string
  readonly protocol: string | null
  readonly alternatives: string
}

/** As a browser or a vendor that trusts the world and nobody else. */
function visit(servername: string, maxVersion: 'TLSv1.2' | 'TLSv1.3' = 'TLSv1.3'): Promise<Seen> {
  const { port } = sallyport
  return new Promise((resolve, reject) => {
    const target = { host: '127.0.0.1', port, path: '/r/req_1', agent: false, headers: { host: servername } }
    const sent = request({ ...target, servername, ca: world.certificatePem, maxVersion }, (answer) => {
      answer.resume()
      const socket = answer.socket as TLSSocket
      const shown = socket.getPeerX509Certificate()
      resolve({
        ...{ status: answer.statusCode ?? 0, protocol: socket.getProtocol() },
        ...{ issuer: shown?.issuer ?? '', alternatives: shown?.subjectAltName ?? '' },
      })
    })
    sent.on('error', reject)
    sent.end()
  })
}

test('whoever comes by a name of the web certificate is shown it, with TLS 1.2 as well', async () => {
  expect(await visit('access.test')).toMatchObject({ status: 200, issuer: 'CN=the world', protocol: 'TLSv1.3' })
  expect(await visit('grafana.apps.test', 'TLSv1.2')).toMatchObject({ issuer: 'CN=the world', protocol: 'TLSv1.2' })
})

test('by any other name the installation shows its own, which the world does not trust, and no TLS 1.2', async () => {
  await expect(visit('other.test')).rejects.toMatchObject({ code: expect.stringMatching(/UNABLE|SELF_SIGNED/) })
  await expect(visit('other.test', 'TLSv1.2')).rejects.toMatchObject({ code: expect.stringMatching(/PROTO|ALERT/) })
})

test('our own programs are shown the authority that they pinned, by the very same names', async () => {
  expect(alice.trust()[0]).toContain(String(sallyport.port))
  expect(await alice.sally('status')).toMatchObject({ code: 0 })
  const pin = alice.trust()[1] ?? ''
  const again = await alice.sally('login', `--proxy=localhost:${sallyport.port}`, pin, '--user=alice')
  expect(again.stderr).toContain('no password was given')
})

test('links in messages lead to the web address', async () => {
  const told: string[] = []
  const hook = createServer((request, answer) => {
    request.on('data', (chunk: Buffer) => told.push(chunk.toString()))
    request.on('end', () => answer.end())
  })
  await new Promise<void>((resolve) => hook.listen(0, '127.0.0.1', resolve))
  const { port } = hook.address() as AddressInfo
  const secrets = { signing_secrets: [`whsec_${Buffer.alloc(32, 1).toString('base64')}`] }
  const to = { url: `http://127.0.0.1:${port}/`, allow_networks: ['127.0.0.0/8'], full: true }
  const spec = { vendor: 'webhook', ...to, deliver: [{ roles: ['*'] }], secrets }
  await sallyport.document({ kind: 'integration', version: 'v1', metadata: { name: 'hook' }, spec })
  await alice.sally('request', 'create', '--roles=dba', '--reason=a link', '--nowait')
  await until('the message', () => told.join('').includes('a link'))
  expect(told.join('')).toMatch(/"https:\/\/access\.test\/r\/req_/)
  hook.close()
})

test('a renewed certificate is shown without a restart; one that does not fit its key is not', async () => {
  writeFileSync(key, 'half of a key')
  await until('the complaint', () => sallyport.logText().includes('the new web certificate cannot be used'))
  expect(await visit('access.test')).toMatchObject({ issuer: 'CN=the world' })
  await renew(['access.test', 'renewed.test'])
  await until('the renewed one', async () => (await visit('access.test')).alternatives.includes('renewed.test'))
  expect(sallyport.logText()).not.toContain('PRIVATE KEY')
})

test('a certificate that cannot be read stops the start, with the file and what is wrong', async () => {
  const web = { cert: join(folder, 'none.pem'), key }
  await expect(startSallyport({ config: { web } })).rejects.toThrow(/none\.pem cannot be read: ENOENT/)
})
