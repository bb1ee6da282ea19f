// The same certificates before the real sshd and before checkCertificate, and before ssh-keygen -L and parseCertificate.
import { execFileSync } from 'node:child_process'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CERTIFICATE_SUFFIX, signatureAlgorithmsOf } from '../../../src/formats/openssh/algorithms.ts'
import type { SignatureAlgorithm } from '../../../src/formats/openssh/algorithms.ts'
import { parseCertificate } from '../../../src/formats/openssh/certificate.ts'
import {
  AuthorityKeys,
  checkCertificate,
  LOGIN_SESSION_OPTION,
} from '../../../src/formats/openssh/check-certificate.ts'
import type { CertificateExpectation, CertificateVerdict } from '../../../src/formats/openssh/check-certificate.ts'
import { mintCertificate } from '../../../src/formats/openssh/mint-certificate.ts'
import type { CertificateSpec } from '../../../src/formats/openssh/mint-certificate.ts'
import { formatPublicKeyLine, publicKeyOf } from '../../../src/formats/openssh/public-key.ts'
import { makeSignature } from '../../../src/formats/openssh/signature.ts'
import { SshWriter } from '../../../src/formats/openssh/ssh-bytes.ts'
import { needProgram } from '../../support/need-program.ts'
import { mayUse } from '../../support/sign-in.ts'
import { startSshd } from '../../support/sshd.ts'
import type { Sshd } from '../../support/sshd.ts'

const me = userInfo().username
const now = Date.now()
const MINUTE = 60_000

const ed25519 = (): KeyObject => generateKeyPairSync('ed25519').privateKey
const ec = (namedCurve: string): KeyObject => generateKeyPairSync('ec', { namedCurve }).privateKey
const rsa = (modulusLength: number): KeyObject => generateKeyPairSync('rsa', { modulusLength }).privateKey

const authorities = { ed25519: ed25519(), p256: ec('P-256'), p384: ec('P-384'), p521: ec('P-521'), rsa: rsa(3072) }
const subjects = { ed25519: ed25519(), p256: ec('P-256'), p384: ec('P-384'), p521: ec('P-521'), rsa: rsa(2048) }
const stranger = ed25519()
const subject = publicKeyOf(subjects.ed25519)
const trusted = Object.values(authorities).map((key) => publicKeyOf(key).blob)

let sshd: Sshd
const folder = mkdtempSync(join(tmpdir(), 'sallyport-certificates-'))
beforeAll(async () => {
  sshd = await startSshd({ userAuthorities: trusted.map((blob) => formatPublicKeyLine(blob)) })
})
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  await sshd?.stop()
})

function spec(over: Partial<CertificateSpec> = {}): CertificateSpec {
  const window = { validAfter: now - MINUTE, validBefore: now + 60 * MINUTE }
  const extensions = { 'permit-pty': '', 'permit-port-forwarding': '' }
  return { subject, kind: 'user', keyId: 'ada on laptop', principals: [me], ...window, extensions, ...over }
}

function mint(over: Partial<CertificateSpec> = {}, authority = authorities.ed25519): Buffer {
  return mintCertificate(spec(over), authority).blob
}

/** What mint refuses to make: every field as given. */
interface Raw {
  kind?: number
  principals?: readonly string[]
  after?: bigint
  before?: bigint
  /** Name and data, in this order */
  critical?: readonly (readonly [string, Buffer])[]
  signatureKey?: Buffer
  signWith?: KeyObject
  algorithm?: SignatureAlgorithm
}

function craft(raw: Raw): Buffer {
  const seconds = BigInt(Math.floor(now / 1000))
  const principals = new SshWriter()
  for (const principal of raw.principals ?? [me]) principals.string(principal)
  const critical = new SshWriter()
  for (const [name, data] of raw.critical ?? []) critical.string(name).string(data)
  const signer = raw.signWith ?? authorities.ed25519
  const writer = new SshWriter().string(subject.type + CERTIFICATE_SUFFIX).string(randomBytes(32))
  writer
    .raw(subject.blob.subarray(4 + subject.type.length))
    .u64(7n)
    .u32(raw.kind ?? 1)
    .string('crafted')
  writer
    .string(principals.toBuffer())
    .u64(raw.after ?? seconds - 60n)
    .u64(raw.before ?? seconds + 3600n)
  writer
    .string(critical.toBuffer())
    .string('')
    .string('')
    .string(raw.signatureKey ?? publicKeyOf(signer).blob)
  const signed = Buffer.from(writer.toBuffer())
  const algorithm = raw.algorithm ?? signatureAlgorithmsOf(publicKeyOf(signer).type)[0] ?? 'ssh-ed25519'
  return writer.string(makeSignature(signer, algorithm, signed)).toBuffer()
}

const text = (value: string): Buffer => Buffer.from(new SshWriter().string(value).toBuffer())

function ours(blob: Buffer, over: Partial<CertificateExpectation> = {}): CertificateVerdict {
  return checkCertificate(blob, {
    authorities: new AuthorityKeys(trusted),
    kind: 'user',
    principal: { exact: me },
    now: Date.now(),
    address: '127.0.0.1',
    enforces: ['force-command'],
    isRevoked: () => false,
    ...over,
  })
}

async function theirs(blob: Buffer, key = subjects.ed25519): Promise<boolean> {
  const { type } = publicKeyOf(key)
  const signature = signatureAlgorithmsOf(type)[0] ?? 'ssh-ed25519'
  return mayUse(sshd.port, { user: me, algorithm: signature + CERTIFICATE_SUFFIX, signature, blob, key })
}

function flipped(blob: Buffer, at: number): Buffer {
  const copy = Buffer.from(blob)
  copy[at] = (copy[at] ?? 0) ^ 1
  return copy
}

function nested(): Buffer {
  const attacker = ed25519()
  const good = mint({ subject: publicKeyOf(attacker) })
  return craft({ signatureKey: good, signWith: attacker })
}

const agreed: readonly (readonly [string, () => Buffer, string])[] = [
  ['a good one', () => mint(), 'ok'],
  ['several principals, one of them right', () => mint({ principals: ['someone', me] }), 'ok'],
  ['valid from now on', () => mint({ validAfter: now - 1000 }), 'ok'],
  ['valid for ever', () => craft({ after: 0n, before: 2n ** 64n - 1n }), 'ok'],
  ['expired', () => mint({ validAfter: now - 10 * MINUTE, validBefore: now - MINUTE }), 'expired'],
  ['expired a second ago', () => mint({ validBefore: now - 1000 }), 'expired'],
  ['not valid yet', () => mint({ validAfter: now + 10 * MINUTE, validBefore: now + 20 * MINUTE }), 'not_yet_valid'],
  ['a window that ends before it starts', () => craft({ after: 2n ** 63n, before: 5n }), 'not_yet_valid'],
  ['for somebody else', () => mint({ principals: ['someone'] }), 'wrong_principal'],
  ['for a longer name', () => mint({ principals: [`${me}x`] }), 'wrong_principal'],
  ['for the name in capitals', () => mint({ principals: [me.toUpperCase()] }), 'wrong_principal'],
  ['principals joined by a comma', () => craft({ principals: [`someone,${me}`] }), 'wrong_principal'],
  ['a wildcard for a principal', () => craft({ principals: ['*'] }), 'wrong_principal'],
  ['no principals', () => craft({ principals: [] }), 'no_principals'],
  ['an empty principal', () => craft({ principals: [''] }), 'wrong_principal'],
  ['a principal with a NUL', () => craft({ principals: [`${me}\0x`] }), 'malformed'],
  ['a host certificate', () => mint({ kind: 'host' }), 'wrong_kind'],
  ['kind 0', () => craft({ kind: 0 }), 'wrong_kind'],
  ['kind 3', () => craft({ kind: 3 }), 'wrong_kind'],
  ['signed by a stranger', () => mint({}, stranger), 'unknown_authority'],
  [
    'a stranger who names our authority',
    () => craft({ signWith: stranger, signatureKey: trusted[0] ?? Buffer.alloc(0) }),
    'bad_signature',
  ],
  ['signed by a certified key', nested, 'nested_certificate'],
  ['signed by its own key', () => mint({}, subjects.ed25519), 'unknown_authority'],
  ['a bit of the nonce changed', () => flipped(mint(), 50), 'bad_signature'],
  ['a bit of the signature changed', () => flipped(mint(), mint().length - 5), 'bad_signature'],
  ['cut short', () => mint().subarray(0, -1), 'malformed'],
  ['one byte more', () => Buffer.concat([mint(), Buffer.of(0)]), 'malformed'],
  ['force-command', () => mint({ criticalOptions: { 'force-command': 'true' } }), 'ok'],
  ['an option nobody knows', () => mint({ criticalOptions: { 'x@example.org': '1' } }), 'critical_option'],
  ['source-address that fits', () => mint({ criticalOptions: { 'source-address': '127.0.0.1' } }), 'ok'],
  ['a block that fits', () => mint({ criticalOptions: { 'source-address': '10.0.0.0/8,127.0.0.0/8' } }), 'ok'],
  ['everywhere, IPv4', () => mint({ criticalOptions: { 'source-address': '0.0.0.0/0' } }), 'ok'],
  ['source-address elsewhere', () => mint({ criticalOptions: { 'source-address': '10.0.0.0/8' } }), 'source_address'],
  ['everywhere, IPv6', () => mint({ criticalOptions: { 'source-address': '::/0' } }), 'source_address'],
  ['a block with host bits', () => mint({ criticalOptions: { 'source-address': '127.0.0.1/8' } }), 'source_address'],
  ['a block too long', () => mint({ criticalOptions: { 'source-address': '127.0.0.1/33' } }), 'source_address'],
  ['a name for an address', () => mint({ criticalOptions: { 'source-address': 'localhost' } }), 'source_address'],
  ['one entry odd, one right', () => mint({ criticalOptions: { 'source-address': 'x,127.0.0.1' } }), 'source_address'],
  [
    'force-command twice',
    () =>
      craft({
        critical: [
          ['force-command', text('a')],
          ['force-command', text('b')],
        ],
      }),
    'malformed',
  ],
]

describe('sshd and we agree', () => {
  test.each(agreed)('on %s', async (_, make, expected) => {
    const blob = make()
    const verdict = ours(blob)
    expect(verdict.ok ? 'ok' : verdict.code).toBe(expected)
    expect(await theirs(blob)).toBe(verdict.ok)
  })

  test.each(Object.entries(authorities))('on an authority of type %s', async (_, authority) => {
    const blob = mint({}, authority)
    expect(ours(blob).ok).toBe(true)
    expect(await theirs(blob)).toBe(true)
  })

  test.each(Object.entries(subjects))('on a key of type %s', async (_, key) => {
    const blob = mint({ subject: publicKeyOf(key) })
    expect(ours(blob).ok).toBe(true)
    expect(await theirs(blob, key)).toBe(true)
  })

  test('that an RSA authority may sign with SHA-256', async () => {
    const blob = craft({ signWith: authorities.rsa, algorithm: 'rsa-sha2-256' })
    expect(ours(blob).ok).toBe(true)
    expect(await theirs(blob)).toBe(true)
  })
})

describe('where we differ on purpose', () => {
  test("a certificate of ours that names its login session is good here and on no target's sshd", async () => {
    const blob = mint({ criticalOptions: { [LOGIN_SESSION_OPTION]: 'lgn_1' } })
    expect(ours(blob, { enforces: [LOGIN_SESSION_OPTION] })).toMatchObject({ ok: true, loginSession: 'lgn_1' })
    expect(await theirs(blob)).toBe(false)
  })

  test('options out of order are refused by us and taken by sshd', async () => {
    const blob = craft({
      critical: [
        ['source-address', text('127.0.0.1')],
        ['force-command', text('true')],
      ],
    })
    expect(ours(blob)).toMatchObject({ ok: false, code: 'malformed' })
    expect(await theirs(blob)).toBe(true)
  })

  test('verify-required on a key without hardware is refused by us and taken by sshd', async () => {
    const blob = craft({ critical: [['verify-required', Buffer.alloc(0)]] })
    expect(ours(blob)).toMatchObject({ ok: false, code: 'critical_option' })
    expect(await theirs(blob)).toBe(true)
  })

  test('force-command is refused where nobody would enforce it', () => {
    const blob = mint({ criticalOptions: { 'force-command': 'true' } })
    expect(ours(blob, { enforces: [] })).toMatchObject({ ok: false, code: 'critical_option' })
  })
})

test('ssh-keygen -L reads the fields that parseCertificate reads', () => {
  const before = Date.UTC(2031, 0, 2, 3, 4, 5)
  const criticalOptions = {
    'source-address': '10.0.0.0/8,::1',
    [LOGIN_SESSION_OPTION]: 'lgn_x',
    'force-command': 'uptime',
  }
  const principals = [me, 'second', 'sallyport-user-usr_1']
  const blob = mint(
    { principals, criticalOptions, validAfter: before - 5 * MINUTE, validBefore: before },
    authorities.p256,
  )
  const path = join(folder, 'all-cert.pub')
  writeFileSync(path, `${formatPublicKeyLine(blob, 'comment')}\n`)
  const listing = execFileSync(needProgram('ssh-keygen'), ['-L', '-f', path], {
    encoding: 'utf8',
    env: { ...process.env, TZ: 'UTC' },
  })
  const certificate = parseCertificate(blob)
  expect(listing).toContain(`Serial: ${certificate.serial}\n`)
  expect(listing).toContain(`Key ID: "${certificate.keyId}"\n`)
  expect(listing).toContain('Valid: from 2031-01-02T02:59:05 to 2031-01-02T03:04:05\n')
  expect(listing).toContain('(using ecdsa-sha2-nistp256)')
  const lines = listing.split('\n').map((line) => line.trim())
  const section = (from: string, to: string): string[] =>
    lines.slice(
      lines.indexOf(from) + 1,
      lines.findIndex((l) => l.startsWith(to)),
    )
  expect(section('Principals:', 'Critical Options:')).toEqual(principals)
  expect(section('Critical Options:', 'Extensions:')).toEqual([
    'force-command uptime',
    expect.stringContaining('login-session@sallyport'),
    'source-address 10.0.0.0/8,::1',
  ])
  expect(certificate.principals).toEqual(principals)
})

test('parseCertificate reads what ssh-keygen -s makes', () => {
  const files = { ca: join(folder, 'ca'), id: join(folder, 'id') }
  for (const path of Object.values(files))
    execFileSync(needProgram('ssh-keygen'), ['-q', '-t', 'ed25519', '-N', '', '-f', path])
  const options = ['-O', 'clear', '-O', 'force-command=ls', '-O', 'source-address=127.0.0.1', '-O', 'extension:x@y=z']
  execFileSync(needProgram('ssh-keygen'), [
    '-q',
    '-s',
    files.ca,
    '-I',
    'made',
    '-n',
    'one,two',
    '-z',
    '99',
    '-V',
    '-1m:+1h',
    ...options,
    `${files.id}.pub`,
  ])
  const line = readFileSync(`${files.id}-cert.pub`, 'utf8')
  const certificate = parseCertificate(Buffer.from(line.split(' ')[1] ?? '', 'base64'))
  expect(certificate).toMatchObject({ serial: 99n, kind: 1, keyId: 'made', principals: ['one', 'two'] })
  expect([...certificate.criticalOptions.keys()]).toEqual(['force-command', 'source-address'])
  expect([...certificate.extensions.keys()]).toEqual(['x@y'])
  const caLine = readFileSync(`${files.ca}.pub`, 'utf8')
  const authority = Buffer.from(caLine.split(' ')[1] ?? '', 'base64')
  const verdict = ours(certificate.blob, { authorities: new AuthorityKeys([authority]), principal: { exact: 'two' } })
  expect(verdict).toMatchObject({ ok: true, forceCommand: 'ls', principal: 'two' })
})
