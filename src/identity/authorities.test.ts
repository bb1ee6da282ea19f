import { createPrivateKey, createSecretKey, generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AuthorityKeys, checkCertificate } from '../formats/openssh/check-certificate.ts'
import { parsePublicKeyLine, publicKeyOf } from '../formats/openssh/public-key.ts'
import { authorityPin } from '../formats/authority-pin.ts'
import { identityStore } from '../../test/support/identity-store.ts'
import type { IdentityStore } from '../../test/support/identity-store.ts'
import { Authorities, AUTHORITY_KINDS } from './authorities.ts'
import { createSealer, SealError } from './sealing.ts'

let store: IdentityStore
beforeEach(() => {
  store = identityStore()
})
afterEach(() => store.close())

const open = () => Authorities.open({ ...store, installation: 'test' })
const local = { kind: 'local-admin', id: null, name: 'local-admin' } as const
const device = () => publicKeyOf(generateKeyPairSync('ed25519').publicKey)

test('the first start makes every authority with an event, the second finds them', async () => {
  const first = await open()
  expect(first.list().map(({ kind, state }) => [kind, state])).toEqual(
    expect.arrayContaining(AUTHORITY_KINDS.map((kind) => [kind, 'active'])),
  )
  expect((await open()).list()).toEqual(first.list())
  expect(await store.eventTypes()).toEqual(AUTHORITY_KINDS.map(() => 'ca.create'))
})

test('no private key and no sealed text is in what is listed or logged', async () => {
  const listed = JSON.stringify((await open()).list())
  expect(listed).not.toContain('PRIVATE')
  const events = await store.database.reads.selectFrom('audit_events').selectAll().execute()
  expect(JSON.stringify(events)).not.toMatch(/PRIVATE|s1\./)
})

test('another key-encryption key stops the start', async () => {
  await open()
  const sealer = createSealer({ id: 'ffffffffffffffff', key: createSecretKey(randomBytes(32)) })
  await expect(Authorities.open({ ...store, sealer, installation: 'test' })).rejects.toThrow(SealError)
})

describe('a user certificate', () => {
  test('names the person and the login session, lives as long as it, and is refused as anything else', async () => {
    const authorities = await open()
    const now = store.clock.now()
    const until = now + 12 * 3_600_000
    const names = { userId: 'usr_1', userName: 'alice', loginId: 'lgn_1' }
    const { line } = authorities.sshUserCertificate({ ...names, subject: device(), now, until })
    const { blob } = parsePublicKeyLine(line)
    const expected = {
      authorities: new AuthorityKeys(authorities.trustedBlobs('user-ssh')),
      kind: 'user',
      principal: { prefix: 'sallyport-user-' },
      now,
      address: '192.0.2.1',
      enforces: ['login-session@sallyport'],
      isRevoked: () => false,
    } as const
    expect(checkCertificate(blob, expected)).toMatchObject({
      ok: true,
      principal: 'sallyport-user-usr_1',
      loginSession: 'lgn_1',
      expiresAt: until,
    })
    expect(checkCertificate(blob, { ...expected, now: until })).toMatchObject({ code: 'expired' })
    // A target, whatever it trusts, does not know the critical option.
    expect(checkCertificate(blob, { ...expected, enforces: [] })).toMatchObject({ code: 'critical_option' })
    for (const kind of ['onward-ssh', 'host-ssh'] as const) {
      const others = new AuthorityKeys(authorities.trustedBlobs(kind))
      expect(checkCertificate(blob, { ...expected, authorities: others })).toMatchObject({ code: 'unknown_authority' })
    }
  })
})

test('an onward certificate is good for a minute, one account and one address', async () => {
  const authorities = await open()
  const input = {
    publicKey: device().blob,
    login: 'root',
    userName: 'alice',
    sessionId: 'ses_1',
    sourceAddress: '::ffff:192.0.2.9',
    permissions: { pty: true, portForwarding: false, agentForwarding: false, forceCommand: null },
  }
  const { blob } = authorities.onwardCertificate(input)
  const now = store.clock.now()
  const expected = {
    authorities: new AuthorityKeys(authorities.trustedBlobs('onward-ssh')),
    kind: 'user',
    principal: { exact: 'root' },
    now,
    address: '192.0.2.9',
    enforces: [],
    isRevoked: () => false,
  } as const
  const verdict = checkCertificate(blob, expected)
  expect(verdict).toMatchObject({ ok: true, expiresAt: now + 60_000 })
  if (verdict.ok) {
    expect([...verdict.certificate.extensions.keys()]).toEqual(['permit-pty'])
    expect(verdict.certificate.keyId).toBe('sallyport alice ses_1')
    expect(verdict.certificate.principals).toEqual(['root'])
  }
  expect(checkCertificate(blob, { ...expected, address: '192.0.2.8' })).toMatchObject({ code: 'source_address' })
  expect(checkCertificate(blob, { ...expected, now: now + 60_000 })).toMatchObject({ code: 'expired' })
  expect(checkCertificate(blob, { ...expected, now: now - 61_000 })).toMatchObject({ code: 'not_yet_valid' })
  expect(() => authorities.onwardCertificate({ ...input, sourceAddress: 'localhost' })).toThrow('not an address')
})

test('the host certificate names the proxy alone and fits its key', async () => {
  const authorities = await open()
  const host = authorities.hostCertificate('sallyport')
  expect(publicKeyOf(createPrivateKey(host.privatePem)).blob.equals(host.publicBlob)).toBe(true)
  const verdict = checkCertificate(host.certificate, {
    authorities: new AuthorityKeys(authorities.trustedBlobs('host-ssh')),
    kind: 'host',
    principal: { exact: 'sallyport' },
    now: store.clock.now(),
    address: null,
    enforces: [],
    isRevoked: () => false,
  })
  expect(verdict).toMatchObject({ ok: true })
  expect(host.renewAt).toBeLessThan(store.clock.now() + 30 * 86_400_000)
})

test('a TLS leaf is signed by the pinned authority for the names and addresses asked for', async () => {
  const authorities = await open()
  const leaf = await authorities.tlsLeaf(['sallyport', 'access.example', '127.0.0.1', '::1'])
  const certificate = new X509Certificate(leaf.certificatePem)
  const authority = new X509Certificate(authorities.tlsAuthorityPem())
  expect(certificate.checkIssued(authority) && certificate.verify(authority.publicKey)).toBe(true)
  expect(certificate.ca).toBe(false)
  expect(authority.ca).toBe(true)
  expect(certificate.checkPrivateKey(createPrivateKey(leaf.keyPem))).toBe(true)
  expect(certificate.checkHost('access.example')).toBe('access.example')
  expect(certificate.checkHost('other.example')).toBeUndefined()
  expect(certificate.checkIP('127.0.0.1')).toBe('127.0.0.1')
  expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1'])
  expect(authorities.pin()).toBe(authorityPin(authorities.tlsAuthorityPem()))
  expect(authorities.pin()).toMatch(/^sha256:[0-9a-f]{64}$/)
})

describe('rotation', () => {
  const states = (authorities: Authorities) =>
    authorities
      .list()
      .filter(({ kind }) => kind === 'user-ssh')
      .map(({ state }) => state)

  test('goes in four steps: the old key is refused only at the last', async () => {
    const authorities = await open()
    const [old] = authorities.trustedLines('user-ssh')
    const signer = () => authorities.trustedLines('user-ssh')[0]
    await authorities.rotate('user-ssh', 'init', { actor: local })
    expect([states(authorities), authorities.trustedLines('user-ssh')]).toEqual([['active', 'next'], [old]])
    await authorities.rotate('user-ssh', 'trust', { actor: local })
    expect(authorities.trustedLines('user-ssh')).toHaveLength(2)
    expect(signer()).toBe(old)
    await authorities.rotate('user-ssh', 'sign', { actor: local })
    expect(authorities.trustedLines('user-ssh')).toHaveLength(2)
    expect(signer()).not.toBe(old)
    await authorities.rotate('user-ssh', 'drop', { actor: local })
    expect(authorities.trustedLines('user-ssh')).toHaveLength(1)
    expect(authorities.trustedLines('user-ssh')).not.toContain(old)
    expect((await store.eventTypes()).filter((type) => type === 'ca.rotate')).toHaveLength(4)
    // What a crash after any step would find is what this process has.
    expect((await open()).list()).toEqual(authorities.list())
  })

  test.each([
    ['before a rotation', [], ['trust', 'sign', 'drop', 'cancel']],
    ['after init', ['init'], ['init', 'sign', 'drop']],
    ['after trust', ['init', 'trust'], ['init', 'trust', 'drop']],
    ['after sign', ['init', 'trust', 'sign'], ['init', 'trust', 'sign']],
    ['after drop', ['init', 'trust', 'sign', 'drop'], ['trust', 'sign', 'drop', 'cancel']],
  ] as const)('%s the other steps are refused and change nothing', async (_when, done, refused) => {
    const authorities = await open()
    for (const step of done) await authorities.rotate('user-ssh', step, { actor: local })
    const before = authorities.list()
    for (const step of refused)
      await expect(authorities.rotate('user-ssh', step, { actor: local })).rejects.toMatchObject({
        code: 'not_allowed',
      })
    expect((await open()).list()).toEqual(before)
  })

  test('cancel goes back before and after the new one signs', async () => {
    const authorities = await open()
    const [old] = authorities.trustedLines('user-ssh')
    for (const step of ['init', 'trust', 'sign', 'cancel'] as const)
      await authorities.rotate('user-ssh', step, { actor: local })
    expect(authorities.trustedLines('user-ssh')[0]).toBe(old)
    await authorities.rotate('user-ssh', 'cancel', { actor: local })
    expect(authorities.trustedLines('user-ssh')).toEqual([old])
  })

  test('a TLS client that knows both authorities reads the signing one first', async () => {
    const authorities = await open()
    for (const step of ['init', 'trust', 'sign'] as const)
      await authorities.rotate('server-tls', step, { actor: local })
    expect(authorities.tlsAuthorityPem().match(/BEGIN CERTIFICATE/g)).toHaveLength(2)
    const leaf = new X509Certificate((await authorities.tlsLeaf(['sallyport'])).certificatePem)
    expect(leaf.verify(new X509Certificate(authorities.tlsAuthorityPem()).publicKey)).toBe(true)
  })
})
