import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { expect, test } from 'vitest'
import { tlsAuthorityCertificate } from '../identity/tls-certificates.ts'
import { certificatePem, upstreamContext } from './upstream-context.ts'

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const pem = await tlsAuthorityCertificate(privateKey, 'test', Date.now())

test('a certificate has the PEM that Node gives it', () => {
  const certificate = new X509Certificate(pem)
  expect(certificatePem(certificate.raw)).toBe(certificate.toString())
})

test('what signs in by a certificate is never shared; the rest is, by whom is trusted', () => {
  const identity = { key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), certificate: pem }
  expect(upstreamContext(pem, identity)).not.toBe(upstreamContext(pem, identity))
  expect(upstreamContext(pem, null)).toBe(upstreamContext(pem, null))
  expect(upstreamContext(pem, null)).not.toBe(upstreamContext(null, null))
  expect(upstreamContext(pem, null)).not.toBe(upstreamContext(pem, identity))
})
