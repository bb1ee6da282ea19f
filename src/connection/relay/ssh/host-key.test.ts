import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { mintCertificate, type CertificateSpec } from '../../../formats/openssh/mint-certificate.ts'
import { formatPublicKeyLine, publicKeyOf } from '../../../formats/openssh/public-key.ts'
import { hostKeyAlgorithms, judgeHostKey, type Node } from './host-key.ts'

const NOW = Date.UTC(2026, 0, 1)
const newKey = () => generateKeyPairSync('ed25519').privateKey
const host = newKey()
const authority = newKey()
const line = (key: ReturnType<typeof newKey>): string => formatPublicKeyLine(publicKeyOf(key).blob, 'root@box')
const NODE: Node = {
  id: 'nod_x',
  name: 'box',
  host: 'box.internal',
  port: 22,
  hostKey: line(host),
  hostAuthority: null,
  hostPrincipal: null,
}
const CERTIFIED: Node = { ...NODE, hostKey: null, hostAuthority: `${line(newKey())}\n${line(authority)}\n` }

function certificate(change: Partial<CertificateSpec> = {}, by = authority): Buffer {
  const spec: CertificateSpec = {
    subject: publicKeyOf(host),
    kind: 'host',
    keyId: 'box',
    principals: ['box.internal'],
    validAfter: NOW - 1000,
    validBefore: NOW + 1000,
    ...change,
  }
  return mintCertificate(spec, by).blob
}

test('the pinned key is taken and no other', () => {
  expect(judgeHostKey(NODE, publicKeyOf(host).blob, NOW).ok).toBe(true)
  expect(judgeHostKey(NODE, publicKeyOf(newKey()).blob, NOW)).toMatchObject({ ok: false, reason: 'host_key_changed' })
})

test('a certificate of the authority for this node is taken', () => {
  expect(judgeHostKey(CERTIFIED, certificate(), NOW).ok).toBe(true)
  const named = { ...CERTIFIED, hostPrincipal: 'db' }
  expect(judgeHostKey(named, certificate({ principals: ['db'] }), NOW).ok).toBe(true)
})

test.each([
  ['of another authority', () => certificate({}, newKey())],
  ['for another node', () => certificate({ principals: ['other.internal'] })],
  ['that has expired', () => certificate({ validBefore: NOW })],
  ['for a user', () => certificate({ kind: 'user' })],
  ['that is cut short', () => certificate().subarray(0, 200)],
])('a certificate %s is refused', (_what, make) => {
  expect(judgeHostKey(CERTIFIED, make(), NOW)).toMatchObject({ ok: false, reason: 'host_certificate_refused' })
})

test.each([
  ['a certificate where a key is pinned', NODE, certificate()],
  ['a plain key where a certificate is wanted', CERTIFIED, publicKeyOf(host).blob],
  ['a key where nothing is known', { ...NODE, hostKey: null }, publicKeyOf(host).blob],
  ['a certificate where nothing is known', { ...NODE, hostKey: null }, certificate()],
])('%s is refused', (_what, node, blob) => {
  expect(judgeHostKey(node, blob, NOW)).toMatchObject({ ok: false, reason: 'host_key_unknown' })
})

test('only what could be taken is asked for', () => {
  expect(hostKeyAlgorithms(NODE)).toEqual(['ssh-ed25519'])
  expect(hostKeyAlgorithms(CERTIFIED).every((name) => name.endsWith('-cert-v01@openssh.com'))).toBe(true)
  expect(hostKeyAlgorithms({ ...NODE, hostKey: null })).toEqual([])
})
