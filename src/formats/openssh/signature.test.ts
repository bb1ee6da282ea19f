import { generateKeyPairSync } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { signatureAlgorithmsOf, SIGNATURE_ALGORITHMS } from './algorithms.ts'
import type { SignatureAlgorithm } from './algorithms.ts'
import { publicKeyOf } from './public-key.ts'
import { makeSignature, verifySignature } from './signature.ts'
import { SshReader, SshWriter } from './ssh-bytes.ts'

const ec = (namedCurve: string): KeyObject => generateKeyPairSync('ec', { namedCurve }).privateKey
const keys = [
  generateKeyPairSync('ed25519').privateKey,
  ...['P-256', 'P-384', 'P-521'].map(ec),
  generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
]
const ways = keys.flatMap((key) =>
  signatureAlgorithmsOf(publicKeyOf(key).type).map((algorithm) => [algorithm, key] as const),
)
const DATA = Buffer.from('what is signed')

describe('a signature', () => {
  test.each(ways)('with %s is verified by its key, for its data, and nothing else', (algorithm, key) => {
    const by = publicKeyOf(key)
    const signature = makeSignature(key, algorithm, DATA)
    expect(verifySignature(by, algorithm, DATA, signature)).toBe(true)
    expect(verifySignature(by, algorithm, Buffer.from('something else'), signature)).toBe(false)
    for (const other of SIGNATURE_ALGORITHMS) {
      expect(verifySignature(by, other, DATA, signature)).toBe(other === algorithm)
    }
    for (const stranger of keys.filter((one) => one !== key)) {
      expect(verifySignature(publicKeyOf(stranger), algorithm, DATA, signature)).toBe(false)
    }
  })

  test.each(ways)('with %s whose blob claims another algorithm is refused', (algorithm, key) => {
    const bytes = new SshReader(makeSignature(key, algorithm, DATA))
    bytes.text(64)
    const raw = bytes.string(2048)
    for (const claimed of [...SIGNATURE_ALGORITHMS, 'ssh-rsa', 'none', '']) {
      if (claimed === algorithm) continue
      const blob = new SshWriter().string(claimed).string(raw).toBuffer()
      expect(verifySignature(publicKeyOf(key), algorithm, DATA, blob)).toBe(false)
    }
  })

  test.each(ways)('with %s cut, grown or changed is false and never an exception', (algorithm, key) => {
    const by = publicKeyOf(key)
    const signature = makeSignature(key, algorithm, DATA)
    for (let length = 0; length < signature.length; length++) {
      expect(verifySignature(by, algorithm, DATA, signature.subarray(0, length))).toBe(false)
    }
    expect(verifySignature(by, algorithm, DATA, Buffer.concat([signature, Buffer.of(0)]))).toBe(false)
    fc.assert(
      fc.property(fc.nat(signature.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const copy = Buffer.from(signature)
        copy[at] = (copy[at] ?? 0) ^ change
        expect(verifySignature(by, algorithm, DATA, copy)).toBe(false)
      }),
      { numRuns: 50 },
    )
  })

  test('of ECDSA with zero halves or halves too long is false', () => {
    const key = keys[1] ?? ec('P-256')
    const algorithm: SignatureAlgorithm = 'ecdsa-sha2-nistp256'
    for (const half of [Buffer.alloc(0), Buffer.of(0), Buffer.alloc(33, 0x7f), Buffer.alloc(34, 1)]) {
      const pair = new SshWriter().string(half).string(half).toBuffer()
      const blob = new SshWriter().string(algorithm).string(pair).toBuffer()
      expect(verifySignature(publicKeyOf(key), algorithm, DATA, blob)).toBe(false)
    }
  })

  test('with SHA-1 does not exist', () => {
    expect(SIGNATURE_ALGORITHMS).not.toContain('ssh-rsa')
  })
})
