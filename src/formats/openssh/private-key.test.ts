import { generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FormatError } from '../format-error.ts'
import { readPrivateKey, writePrivateKey } from './private-key.ts'

const key = generateKeyPairSync('ed25519').privateKey
const pem = writePrivateKey(key, 'ada@laptop')

function inside(change: (bytes: Buffer) => Buffer): string {
  const lines = pem.trim().split('\n')
  const bytes = Buffer.from(lines.slice(1, -1).join(''), 'base64')
  return [lines[0], change(bytes).toString('base64'), lines.at(-1)].join('\n')
}

describe('a private key file', () => {
  test('is the same key after writing and reading', () => {
    const again = readPrivateKey(pem)
    expect(again.key.equals(key)).toBe(true)
    expect(again.comment).toBe('ada@laptop')
  })

  test('of any comment length is padded so that it can be read', () => {
    for (let length = 0; length < 20; length++) {
      expect(readPrivateKey(writePrivateKey(key, 'x'.repeat(length))).comment).toHaveLength(length)
    }
  })

  test('with line ends of Windows is read', () => {
    expect(readPrivateKey(pem.replaceAll('\n', '\r\n')).key.equals(key)).toBe(true)
  })

  test.each<[string, string]>([
    ['empty', ''],
    ['of another kind', pem.replaceAll('OPENSSH', 'RSA')],
    ['without its end', pem.slice(0, 200)],
    ['that is not base64', pem.replace('b3Bl', '!!!!')],
    ['with a cipher', inside((bytes) => Buffer.from(bytes.toString('latin1').replace('none', 'aesx'), 'latin1'))],
    ['with two keys', inside((bytes) => Buffer.concat([bytes.subarray(0, 38), Buffer.of(2), bytes.subarray(39)]))],
    ['with bytes after it', inside((bytes) => Buffer.concat([bytes, Buffer.of(1)]))],
    ['with wrong padding', inside((bytes) => Buffer.concat([bytes.subarray(0, -1), Buffer.of(9)]))],
    [
      'with another public half outside',
      inside((bytes) => Buffer.concat([bytes.subarray(0, 70), Buffer.of(1), bytes.subarray(71)])),
    ],
    ['far too long', `${pem}${'A'.repeat(20_000)}`],
  ])('%s is refused', (_, text) => {
    expect(() => readPrivateKey(text)).toThrow(FormatError)
  })

  test('changed in any byte, or cut at any, is refused or still the same key', () => {
    const size = Buffer.from(pem.split('\n').slice(1, -2).join(''), 'base64').length
    fc.assert(
      fc.property(fc.nat(size - 1), fc.integer({ min: 1, max: 255 }), fc.boolean(), (at, change, isCut) => {
        const text = inside((bytes) => {
          if (isCut) return bytes.subarray(0, at)
          const copy = Buffer.from(bytes)
          copy[at] = (copy[at] ?? 0) ^ change
          return copy
        })
        try {
          expect(readPrivateKey(text).key.equals(key)).toBe(true)
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError)
        }
      }),
    )
  })

  test('of another type is not written', () => {
    const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
    expect(() => writePrivateKey(ec, '')).toThrow(FormatError)
    expect(() => writePrivateKey(generateKeyPairSync('ed25519').publicKey, '')).toThrow(FormatError)
  })
})
