import { generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FormatError } from '../format-error.ts'
import { MAX_CERTIFICATE, parseCertificate } from './certificate.ts'
import { AuthorityKeys, checkCertificate, LOGIN_SESSION_OPTION } from './check-certificate.ts'
import type { CertificateExpectation } from './check-certificate.ts'
import { certificateToSign, mintCertificate, sealCertificate } from './mint-certificate.ts'
import type { CertificateSpec } from './mint-certificate.ts'
import { publicKeyOf } from './public-key.ts'
import { makeSignature } from './signature.ts'

const authority = generateKeyPairSync('ed25519').privateKey
const subject = publicKeyOf(generateKeyPairSync('ed25519').publicKey)
const NOW = Date.UTC(2026, 10, 22, 8)
const HOUR = 3_600_000
const PRINCIPAL = 'sallyport-user-usr_019aa3c4'

function spec(over: Partial<CertificateSpec> = {}): CertificateSpec {
  return {
    subject,
    kind: 'user',
    keyId: 'ada',
    principals: [PRINCIPAL],
    validAfter: NOW - 60_000,
    validBefore: NOW + HOUR,
    criticalOptions: { [LOGIN_SESSION_OPTION]: 'lgn_1' },
    ...over,
  }
}

function expectation(over: Partial<CertificateExpectation> = {}): CertificateExpectation {
  return {
    authorities: new AuthorityKeys([publicKeyOf(authority).blob]),
    kind: 'user',
    principal: { prefix: 'sallyport-user-' },
    now: NOW,
    address: '192.0.2.7',
    enforces: [LOGIN_SESSION_OPTION],
    isRevoked: () => false,
    ...over,
  }
}

const good = mintCertificate(spec(), authority).blob

function codeOf(blob: Uint8Array, over: Partial<CertificateExpectation> = {}): string {
  const verdict = checkCertificate(blob, expectation(over))
  return verdict.ok ? 'ok' : verdict.code
}

describe('a certificate', () => {
  test('has after parsing what it was minted with', () => {
    const extensions = { 'permit-pty': '', 'x@example.org': 'value' }
    const certificate = parseCertificate(mintCertificate(spec({ serial: 7n, extensions }), authority).blob)
    expect(certificate).toMatchObject({ serial: 7n, kind: 1, keyId: 'ada', principals: [PRINCIPAL] })
    expect([certificate.validAfter, certificate.validBefore]).toEqual([
      BigInt(NOW / 1000 - 60),
      BigInt(NOW / 1000 + 3600),
    ])
    expect(certificate.publicKey.blob.equals(subject.blob)).toBe(true)
    expect([...certificate.extensions.keys()]).toEqual(['permit-pty', 'x@example.org'])
    expect(certificate.signatureKey.equals(publicKeyOf(authority).blob)).toBe(true)
  })

  test('has a random serial of 63 bits and a nonce, so that no two are alike', () => {
    const serials = new Set<bigint>()
    for (let i = 0; i < 50; i++) serials.add(mintCertificate(spec(), authority).serial)
    expect(serials.size).toBe(50)
    expect([...serials].every((serial) => serial < 2n ** 63n)).toBe(true)
    const [one, two] = [1, 2].map(() => mintCertificate(spec({ serial: 1n }), authority).blob)
    expect(one && two && one.equals(two)).toBe(false)
  })

  test('can be signed elsewhere', () => {
    const { bytes } = certificateToSign(spec(), publicKeyOf(authority))
    expect(codeOf(sealCertificate(bytes, makeSignature(authority, 'ssh-ed25519', bytes)))).toBe('ok')
  })

  test('cut at any byte, or with a byte more, is malformed', () => {
    for (let length = 0; length < good.length; length++) expect(codeOf(good.subarray(0, length))).toBe('malformed')
    expect(codeOf(Buffer.concat([good, Buffer.of(0)]))).toBe('malformed')
    expect(codeOf(Buffer.alloc(MAX_CERTIFICATE + 1))).toBe('malformed')
  })

  test('with any byte changed is refused', () => {
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const copy = Buffer.from(good)
        copy[at] = (copy[at] ?? 0) ^ change
        expect(codeOf(copy)).not.toBe('ok')
      }),
      { numRuns: 500 },
    )
  })

  test('of random bytes is refused and never an exception', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        expect(codeOf(bytes)).toBe('malformed')
        expect(codeOf(Buffer.concat([good.subarray(0, 150), bytes]))).not.toBe('ok')
      }),
    )
  })
})

describe('the verdict', () => {
  test('names the user, the login session and the end', () => {
    expect(checkCertificate(good, expectation())).toMatchObject({
      ok: true,
      principal: PRINCIPAL,
      loginSession: 'lgn_1',
      forceCommand: null,
      expiresAt: NOW + HOUR,
    })
  })

  test('turns exactly at the first and last second', () => {
    expect(codeOf(good, { now: NOW - 60_001 })).toBe('not_yet_valid')
    expect(codeOf(good, { now: NOW - 60_000 })).toBe('ok')
    expect(codeOf(good, { now: NOW + HOUR - 1 })).toBe('ok')
    expect(codeOf(good, { now: NOW + HOUR })).toBe('expired')
  })

  test('says expired only of what a trusted authority signed', () => {
    const stranger = generateKeyPairSync('ed25519').privateKey
    const old = { validAfter: NOW - 2 * HOUR, validBefore: NOW - HOUR }
    expect(codeOf(mintCertificate(spec(old), stranger).blob)).toBe('unknown_authority')
    expect(codeOf(mintCertificate(spec(old), authority).blob)).toBe('expired')
  })

  test('knows revoked by what the caller looks at', () => {
    const isRevoked: CertificateExpectation['isRevoked'] = ({ keyId, signatureKey }) => {
      return keyId === 'ada' && signatureKey.equals(publicKeyOf(authority).blob)
    }
    expect(codeOf(good, { isRevoked })).toBe('revoked')
  })

  test.each([
    ['two principals', [PRINCIPAL, 'sallyport-user-usr_2']],
    ['one that is the bare prefix', ['sallyport-user-']],
    ['one without the prefix', ['root']],
    ['one with the prefix in the middle', ['x-sallyport-user-usr_1']],
  ])('with a prefix expected refuses %s', (_, principals) => {
    expect(codeOf(mintCertificate(spec({ principals }), authority).blob)).toBe('wrong_principal')
  })

  test('refuses a kind that is not the one expected, both ways', () => {
    const host = mintCertificate(spec({ kind: 'host', principals: ['db-1'], criticalOptions: {} }), authority).blob
    expect(codeOf(host)).toBe('wrong_kind')
    expect(codeOf(host, { kind: 'host', principal: { exact: 'db-1' } })).toBe('ok')
    expect(codeOf(good, { kind: 'host', principal: { exact: PRINCIPAL } })).toBe('wrong_kind')
  })

  test('refuses source-address where no address is known, and options that nobody enforces', () => {
    const bound = mintCertificate(spec({ criticalOptions: { 'source-address': '192.0.2.0/24' } }), authority).blob
    expect(codeOf(bound)).toBe('ok')
    expect(codeOf(bound, { address: null })).toBe('source_address')
    expect(codeOf(bound, { address: '198.51.100.1' })).toBe('source_address')
    expect(codeOf(good, { enforces: [] })).toBe('critical_option')
  })

  test('trusts only plain keys as authorities', () => {
    expect(() => new AuthorityKeys([good])).toThrow(FormatError)
    expect(codeOf(good, { authorities: new AuthorityKeys([]) })).toBe('unknown_authority')
  })
})

describe('minting refuses', () => {
  test.each<[string, Partial<CertificateSpec>]>([
    ['no principals', { principals: [] }],
    ['an empty principal', { principals: [''] }],
    ['a comma in a principal', { principals: ['a,root'] }],
    ['a blank in a principal', { principals: ['a b'] }],
    ['a line feed in a principal', { principals: ['root\n'] }],
    ['NUL in a principal', { principals: ['root\0x'] }],
    ['a wildcard', { principals: ['*'] }],
    ['a letter that only looks like one', { principals: ['r\u043eot'] }],
    ['a principal twice', { principals: ['a', 'a'] }],
    ['257 principals', { principals: Array.from({ length: 257 }, (_, at) => `p${at}`) }],
    ['an empty key id', { keyId: '' }],
    ['a line feed in the key id', { keyId: 'a\nb' }],
    ['a window that ends before it starts', { validAfter: NOW, validBefore: NOW }],
    ['a window before 1970', { validAfter: -1 }],
    ['a window without end', { validBefore: Infinity }],
    ['a window that is not a number', { validBefore: Number.NaN }],
    ['the serial zero', { serial: 0n }],
    ['a serial of 65 bits', { serial: 2n ** 64n }],
    ['an option of a host certificate', { kind: 'host' }],
    ['an option with a blank in its name', { criticalOptions: { 'a b': 'x' } }],
    ['NUL in an option', { extensions: { x: 'a\0b' } }],
    ['more than a certificate may hold', { extensions: { x: 'y'.repeat(MAX_CERTIFICATE) } }],
  ])('%s', (_, over) => {
    expect(() => mintCertificate(spec(over), authority)).toThrow(FormatError)
  })
})
