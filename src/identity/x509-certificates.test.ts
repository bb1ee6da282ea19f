import { createPublicKey, generateKeyPairSync, webcrypto, X509Certificate, type KeyObject } from 'node:crypto'
import { beforeAll, expect, test } from 'vitest'
import { checkUserCertificate } from '../formats/x509/check-user-certificate.ts'
import { spkiFingerprint } from '../formats/x509/read-user-certificate.ts'
import { loadX509 } from './load-x509.ts'
import { tlsAuthorityCertificate, tlsLeaf } from './tls-certificates.ts'
import {
  databaseX509Certificate,
  userX509Certificate,
  type UserX509Input,
  type X509Signer,
} from './x509-certificates.ts'

const NOW = Date.UTC(2026, 5, 1, 12)
const HOUR = 3_600_000
const ID = 'ins_019aa3c4-0000-7000-8000-000000000001'
const USER = 'usr_019aa3c4-0000-7000-8000-000000000002'
const LOGIN = 'lgn_019aa3c4-0000-7000-8000-000000000003'

const newKey = (): KeyObject => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
const spkiOf = (key: KeyObject): Buffer => createPublicKey(key).export({ type: 'spki', format: 'der' })
const derOf = (pem: string): Buffer => new X509Certificate(pem).raw

const clientKey = newKey()
let authority: X509Signer
let stranger: X509Signer
let serverTls: X509Signer

async function signer(name: string): Promise<X509Signer> {
  const privateKey = newKey()
  return { privateKey, certificatePem: await tlsAuthorityCertificate(privateKey, name, NOW) }
}

beforeAll(async () => {
  authority = await signer(`Sallyport ${ID} users`)
  stranger = await signer(`Sallyport ${ID} users`)
  serverTls = await signer(`Sallyport ${ID} server TLS`)
})

const order = (changes: Partial<UserX509Input> = {}): UserX509Input => ({
  publicKey: spkiOf(clientKey),
  userId: USER,
  userName: 'ada',
  loginId: LOGIN,
  database: 'orders',
  now: NOW,
  until: NOW + HOUR,
  ...changes,
})
const user = async (changes: Partial<UserX509Input> = {}, by = authority, installation = ID): Promise<Buffer> =>
  derOf(userX509Certificate(by, installation, order(changes)))

const judge = (der: Uint8Array, now = NOW, authorities = [authority.certificatePem], installation = ID) =>
  checkUserCertificate(der, { authorities, installation, now })
const codeOf = (...judged: Parameters<typeof judge>): string => {
  const verdict = judge(...judged)
  return verdict.kind === 'valid' ? 'valid' : verdict.code
}

test('a certificate says who, on which login session, for which database, by which key, until when', async () => {
  expect(judge(await user())).toEqual({
    kind: 'valid',
    user: {
      userId: USER,
      loginSessionId: LOGIN,
      database: 'orders',
      keyFingerprint: spkiFingerprint(spkiOf(clientKey)),
      until: NOW + HOUR,
    },
  })
})

test('it is good from a minute before it was made until its login session ends, to the second', async () => {
  const der = await user()
  expect(codeOf(der, NOW - 60_000)).toBe('valid')
  expect(codeOf(der, NOW - 61_000)).toBe('not_yet_valid')
  expect(codeOf(der, NOW + HOUR - 1000)).toBe('valid')
  expect(codeOf(der, NOW + HOUR)).toBe('expired')
})

test('two authorities are trusted while one is exchanged for the other, and the old one no longer after', async () => {
  const der = await user()
  expect(codeOf(der, NOW, [stranger.certificatePem, authority.certificatePem])).toBe('valid')
  expect(codeOf(der, NOW, [stranger.certificatePem])).toBe('unknown_authority')
  expect(codeOf(der, NOW, [])).toBe('unknown_authority')
})

test('what is known of a certificate answers for no other moment, authority or installation', async () => {
  const der = await user()
  expect(codeOf(der)).toBe('valid')
  expect(codeOf(der, NOW + HOUR)).toBe('expired')
  expect(codeOf(der, NOW, [stranger.certificatePem])).toBe('unknown_authority')
  expect(codeOf(der, NOW, [])).toBe('unknown_authority')
  expect(codeOf(der, NOW, [authority.certificatePem], 'ins_other')).toBe('wrong_names')
  expect(codeOf(der)).toBe('valid')
})

test.each<[string, () => Promise<Buffer>, string]>([
  ['signed by a stranger under the name of our authority', () => user({}, stranger), 'unknown_authority'],
  ['signed by our authority for servers', () => user({}, serverTls), 'unknown_authority'],
  ['of another installation', () => user({}, authority, 'ins_other'), 'wrong_names'],
  ["the authority's own", async () => derOf(authority.certificatePem), 'wrong_usage'],
  ["the proxy's own server certificate", () => serverLeaf(serverTls), 'unknown_authority'],
  ['a server certificate by the authority of users', () => serverLeaf(authority), 'wrong_usage'],
  ['one for a database server', () => forDatabase(), 'wrong_names'],
  ['an authority below ours', () => handmade({ ca: true }), 'wrong_usage'],
  ['for any usage', () => handmade({ usages: ['2.5.29.37.0'] }), 'wrong_usage'],
  ['for clients and servers', () => handmade({ usages: [CLIENT, SERVER] }), 'wrong_usage'],
  ['without a usage', () => handmade({ usages: null }), 'wrong_usage'],
  ['without names', () => handmade({ names: [] }), 'wrong_names'],
  ['with two users', () => handmade({ names: [...NAMES(), `sallyport://${ID}/user/usr_other`] }), 'wrong_names'],
  [
    'without the login session',
    () => handmade({ names: NAMES().filter((name) => !name.includes('/login/')) }),
    'wrong_names',
  ],
  ['with a name of another kind', () => handmade({ names: [...NAMES(), 'https://example.org/'] }), 'wrong_names'],
  [
    'with a kind that nobody knows',
    () => handmade({ names: [...NAMES(), `sallyport://${ID}/role/dba`] }),
    'wrong_names',
  ],
  [
    'with a name that hides another',
    () => handmade({ names: [`${NAMES()[0]}, URI:x`, ...NAMES().slice(1)] }),
    'wrong_names',
  ],
  ['with a DNS name besides', () => handmade({ dns: 'localhost' }), 'wrong_names'],
  ['for a database whose name is none', () => user({ database: 'Orders/../x' }), 'wrong_names'],
  ['empty', async () => Buffer.alloc(0), 'malformed'],
  ['no certificate', async () => Buffer.from('hello'), 'malformed'],
  ['PEM where DER is shown', async () => Buffer.from(userX509Certificate(authority, ID, order())), 'malformed'],
  ['with a byte behind it', async () => Buffer.concat([await user(), Buffer.of(0)]), 'malformed'],
  ['cut short', async () => (await user()).subarray(0, -1), 'malformed'],
  ['too long', async () => Buffer.alloc(9000), 'malformed'],
])('%s: refused as it should be', async (_what, make, code) => {
  expect(codeOf(await make())).toBe(code)
})

test('one flipped bit anywhere is never taken', async () => {
  const der = await user()
  for (let at = 0; at < der.length; at++) {
    const flipped = Buffer.from(der)
    flipped[at] = (flipped[at] ?? 0) ^ 1
    expect(codeOf(flipped), `byte ${at}`).not.toBe('valid')
  }
})

test.each([
  ['another curve', generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey],
  ['RSA', generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey],
  ['Ed25519', generateKeyPairSync('ed25519').publicKey],
])('a key of %s gets no certificate', async (_kind, key) => {
  const publicKey = key.export({ type: 'spki', format: 'der' })
  await expect(user({ publicKey })).rejects.toMatchObject({ code: 'malformed' })
  await expect(user({ publicKey: Buffer.from('junk') })).rejects.toMatchObject({ code: 'malformed' })
})

test('what a database server is shown names the db user, for a minute, and proves nobody to the proxy', async () => {
  const certificate = new X509Certificate(await forDatabase('app$1@x'))
  expect(certificate.subject).toBe('CN=app$1@x')
  expect(certificate.validFromDate.getTime()).toBe(NOW - 60_000)
  expect(certificate.validToDate.getTime()).toBe(NOW + 60_000)
  expect(certificate.keyUsage).toEqual([CLIENT])
  expect(certificate.ca).toBe(false)
  expect(certificate.verify(createPublicKey(authority.privateKey))).toBe(true)
  expect(certificate.checkIssued(new X509Certificate(authority.certificatePem))).toBe(true)
  expect(certificate.subjectAltName).toBe(`URI:sallyport://${ID}/session/ses_1`)
})

const CLIENT = '1.3.6.1.5.5.7.3.2'
const SERVER = '1.3.6.1.5.5.7.3.1'
const NAMES = (): string[] =>
  [`user/${USER}`, `login/${LOGIN}`, 'database/orders'].map((each) => `sallyport://${ID}/${each}`)

const forDatabase = async (dbUser = 'app'): Promise<Buffer> =>
  databaseX509Certificate(authority, ID, { publicKey: spkiOf(clientKey), dbUser, sessionId: 'ses_1', now: NOW })

const serverLeaf = async (by: X509Signer): Promise<Buffer> =>
  derOf((await tlsLeaf(by, ['localhost'], NOW)).certificatePem)

interface Handmade {
  readonly ca?: boolean
  readonly usages?: readonly string[] | null
  readonly names?: readonly string[]
  readonly dns?: string
}

/** Signed by our authority, as it never would. */
async function handmade({ ca = false, usages = [CLIENT], names = NAMES(), dns }: Handmade): Promise<Buffer> {
  const x509 = await loadX509()
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const key = authority.privateKey.export({ type: 'pkcs8', format: 'der' })
  const alternatives = [
    ...names.map((value) => ({ type: 'url' as const, value })),
    ...(dns === undefined ? [] : [{ type: 'dns' as const, value: dns }]),
  ]
  const certificate = await x509.X509CertificateGenerator.create({
    subject: 'CN=ada',
    issuer: new x509.X509Certificate(authority.certificatePem).subjectName,
    serialNumber: '42',
    notBefore: new Date(NOW - 60_000),
    notAfter: new Date(NOW + HOUR),
    publicKey: await webcrypto.subtle.importKey('spki', spkiOf(clientKey), algorithm, true, ['verify']),
    signingKey: await webcrypto.subtle.importKey('pkcs8', key, algorithm, false, ['sign']),
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(ca, undefined, true),
      ...(usages === null ? [] : [new x509.ExtendedKeyUsageExtension([...usages])]),
      ...(alternatives.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(alternatives)]),
    ],
  })
  return Buffer.from(certificate.rawData)
}
