import { generateKeyPairSync, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SshReader } from '../../../../formats/openssh/ssh-bytes.ts'
import { answerAgreement, offerAgreement } from './key-agreement.ts'
import { ProtocolError } from './protocol-error.ts'

const NAMES = ['mlkem768x25519-sha256', 'curve25519-sha256', 'curve25519-sha256@libssh.org'] as const
const SIZES = {
  'mlkem768x25519-sha256': { client: 1216, server: 1120 },
  'curve25519-sha256': { client: 32, server: 32 },
  'curve25519-sha256@libssh.org': { client: 32, server: 32 },
}
const point = (): Buffer =>
  generateKeyPairSync('x25519').publicKey.export({ type: 'spki', format: 'der' }).subarray(-32)

// Every point of small order on curve25519, as cr.yp.to/ecdh.html lists them.
const SMALL_ORDER = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
].map((hex) => Buffer.from(hex, 'hex'))

describe.each(NAMES)('%s', (name) => {
  test('gives both sides the same secret, each time another', () => {
    const seen = new Set<string>()
    for (let i = 0; i < 5; i++) {
      const offer = offerAgreement(name)
      const answer = answerAgreement(name, offer.publicValue)
      expect([offer.publicValue.length, answer.publicValue.length]).toEqual([SIZES[name].client, SIZES[name].server])
      const secret = offer.finish(answer.publicValue)
      expect(secret.equals(answer.secret)).toBe(true)
      seen.add(secret.toString('hex'))
    }
    expect(seen.size).toBe(5)
  })

  test('refuses values of every other length', () => {
    const offer = offerAgreement(name)
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1300 }), (length) => {
        if (length !== SIZES[name].client)
          expect(() => answerAgreement(name, randomBytes(length))).toThrow(ProtocolError)
        if (length !== SIZES[name].server) expect(() => offer.finish(randomBytes(length))).toThrow(ProtocolError)
      }),
    )
  })

  test('refuses points of small order from both sides', () => {
    const offer = offerAgreement(name)
    const good = answerAgreement(name, offer.publicValue).publicValue
    for (const bad of SMALL_ORDER) {
      const fromClient = Buffer.concat([offer.publicValue.subarray(0, -32), bad])
      expect(() => answerAgreement(name, fromClient)).toThrow(ProtocolError)
      expect(() => offer.finish(Buffer.concat([good.subarray(0, -32), bad]))).toThrow(ProtocolError)
    }
  })
})

test('an ML-KEM key with coefficients out of range is refused', () => {
  expect(() => answerAgreement('mlkem768x25519-sha256', Buffer.concat([Buffer.alloc(1184, 0xff), point()]))).toThrow(
    ProtocolError,
  )
})

test('a changed ML-KEM ciphertext gives another secret and no error, so that nothing is learned from it', () => {
  const offer = offerAgreement('mlkem768x25519-sha256')
  const answer = answerAgreement('mlkem768x25519-sha256', offer.publicValue)
  const changed = Buffer.from(answer.publicValue)
  changed[100] = (changed[100] ?? 0) ^ 1
  expect(offer.finish(changed).equals(answer.secret)).toBe(false)
})

test('a secret of curve25519 is hashed as a number, the hybrid as 32 bytes', () => {
  for (let i = 0; i < 40; i++) {
    const curve = offerAgreement('curve25519-sha256')
    const number = new SshReader(answerAgreement('curve25519-sha256', curve.publicValue).secret)
    expect(number.mpint(33).length).toBeLessThanOrEqual(32)
    number.end()
  }
  const hybrid = offerAgreement('mlkem768x25519-sha256')
  expect(answerAgreement('mlkem768x25519-sha256', hybrid.publicValue).secret).toHaveLength(4 + 32)
})
