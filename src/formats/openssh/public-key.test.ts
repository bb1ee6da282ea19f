import { generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FormatError } from '../format-error.ts'
import { fingerprint, formatPublicKeyLine, parsePublicKey, parsePublicKeyLine, publicKeyOf } from './public-key.ts'
import { SshReader, SshWriter } from './ssh-bytes.ts'

const keys = {
  'ssh-ed25519': generateKeyPairSync('ed25519').publicKey,
  'ecdsa-sha2-nistp256': generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey,
  'ecdsa-sha2-nistp384': generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey,
  'ecdsa-sha2-nistp521': generateKeyPairSync('ec', { namedCurve: 'P-521' }).publicKey,
  'ssh-rsa': generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey,
}

// The bytes 0 to 31 for a key. Its fingerprint below is what ssh-keygen -l prints.
const LINE = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ada@laptop'

describe('a public key', () => {
  test.each(Object.entries(keys))('of type %s is the same after writing and reading', (type, key) => {
    const ours = publicKeyOf(key)
    expect(ours.type).toBe(type)
    const again = parsePublicKey(ours.blob)
    expect(again.key.equals(key)).toBe(true)
    expect(again.blob.equals(ours.blob)).toBe(true)
  })

  test.each(Object.values(keys).map((key) => publicKeyOf(key).blob))('cut at any byte is refused', (blob) => {
    for (let length = 0; length < blob.length; length++) {
      expect(() => parsePublicKey(blob.subarray(0, length))).toThrow(FormatError)
    }
    expect(() => parsePublicKey(Buffer.concat([blob, Buffer.of(0)]))).toThrow(FormatError)
  })

  test('parser throws FormatError or reads, for any bytes', () => {
    fc.assert(
      fc.property(fc.constantFrom(...Object.keys(keys)), fc.uint8Array({ maxLength: 300 }), (type, rest) => {
        const blob = new SshWriter().string(type).raw(rest).toBuffer()
        try {
          expect(parsePublicKey(blob).blob.equals(blob)).toBe(true)
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError)
        }
      }),
    )
  })
})

function rsaBlob(e: Buffer, n: Buffer): Buffer {
  return new SshWriter().string('ssh-rsa').mpint(e).mpint(n).toBuffer()
}

function modulus(bits: number): Buffer {
  const bytes = Buffer.alloc(Math.ceil(bits / 8), 0xff)
  bytes[0] = 0xff >> ((8 - (bits % 8)) % 8)
  return bytes
}

const E = Buffer.of(1, 0, 1)

describe('refused as a public key is', () => {
  const ecPoint = publicKeyOf(keys['ecdsa-sha2-nistp256']).blob.subarray(-65)
  const ecdsa = (type: string, curve: string, point: Buffer): Buffer =>
    new SshWriter().string(type).string(curve).string(point).toBuffer()
  const offCurve = Buffer.from(ecPoint)
  offCurve[64] = (offCurve[64] ?? 0) ^ 1

  test.each<[string, Buffer]>([
    ['a certificate', new SshWriter().string('ssh-ed25519-cert-v01@openssh.com').string(Buffer.alloc(32)).toBuffer()],
    ['DSA', new SshWriter().string('ssh-dss').mpint(modulus(1024)).toBuffer()],
    ['a type from Object.prototype', new SshWriter().string('constructor').string('').toBuffer()],
    ['ed25519 of 31 bytes', new SshWriter().string('ssh-ed25519').string(Buffer.alloc(31, 1)).toBuffer()],
    ['a curve that does not fit the type', ecdsa('ecdsa-sha2-nistp384', 'nistp256', ecPoint)],
    ['a point that is not on the curve', ecdsa('ecdsa-sha2-nistp256', 'nistp256', offCurve)],
    [
      'a compressed point',
      ecdsa('ecdsa-sha2-nistp256', 'nistp256', Buffer.concat([Buffer.of(2), ecPoint.subarray(1, 33)])),
    ],
    ['the point at infinity', ecdsa('ecdsa-sha2-nistp256', 'nistp256', Buffer.of(0))],
    ['RSA of 1024 bits', rsaBlob(E, modulus(1024))],
    ['RSA of 2047 bits', rsaBlob(E, modulus(2047))],
    ['RSA of 8193 bits', rsaBlob(E, modulus(8193))],
    ['RSA of 16384 bits', rsaBlob(E, modulus(16_384))],
    ['an RSA exponent of 33 bits', rsaBlob(Buffer.of(1, 0, 0, 0, 1), modulus(2048))],
    ['an RSA exponent as long as the modulus', rsaBlob(modulus(2047), modulus(2048))],
    ['the RSA exponent 1', rsaBlob(Buffer.of(1), modulus(2048))],
    ['an even RSA exponent', rsaBlob(Buffer.of(2), modulus(2048))],
    ['an even RSA modulus', rsaBlob(E, Buffer.concat([modulus(2040), Buffer.of(0xfe)]))],
    [
      'an RSA modulus with a zero too many',
      new SshWriter()
        .string('ssh-rsa')
        .mpint(E)
        .string(Buffer.concat([Buffer.of(0, 0), modulus(2048)]))
        .toBuffer(),
    ],
    ['nothing', Buffer.alloc(0)],
    ['5000 bytes', Buffer.alloc(5000)],
  ])('%s', (_, blob) => {
    expect(() => parsePublicKey(blob)).toThrow(FormatError)
  })

  test('an X25519 key, which SSH has no type for', () => {
    expect(() => publicKeyOf(generateKeyPairSync('x25519').publicKey)).toThrow(FormatError)
  })
})

describe('a line of a .pub file', () => {
  test('is read and written back', () => {
    const line = parsePublicKeyLine(`${LINE}\n`)
    expect(line).toMatchObject({ type: 'ssh-ed25519', comment: 'ada@laptop' })
    expect(formatPublicKeyLine(line.blob, line.comment)).toBe(LINE)
    expect(parsePublicKeyLine(LINE.replace(' ada@laptop', '')).comment).toBe('')
    expect(parsePublicKeyLine(`${LINE} with blanks  \r\n`).comment).toBe('ada@laptop with blanks')
  })

  test('has the fingerprint that ssh-keygen -l prints', () => {
    expect(fingerprint(parsePublicKeyLine(LINE).blob)).toBe('SHA256:ZkAslGjFiUHdGf/WUL8rQvkib4PTvQatUV0OUQSncCA')
  })

  test.each([
    ['empty', ''],
    ['one word', 'ssh-ed25519'],
    ['with options', `no-pty ${LINE}`],
    ['of two lines', `${LINE}\n${LINE}`],
    ['with another type than the key', LINE.replace('ssh-ed25519', 'ssh-rsa')],
    ['with a broken base64', LINE.replace('AAAAC3', 'AAAAC')],
    ['with bits after the base64', 'ssh-rsa AAAAB3NzaC1yc2F='],
    ['of 40000 characters', `ssh-rsa ${'A'.repeat(40_000)}`],
  ])('%s is refused', (_, line) => {
    expect(() => parsePublicKeyLine(line)).toThrow(FormatError)
  })

  test('cannot be made to have two lines', () => {
    expect(() => formatPublicKeyLine(parsePublicKeyLine(LINE).blob, 'a\nb')).toThrow(FormatError)
  })

  test('holds a view that does not change with the input', () => {
    const blob = Buffer.from(publicKeyOf(keys['ssh-ed25519']).blob)
    const key = parsePublicKey(blob)
    blob.fill(0)
    expect(new SshReader(key.blob).text(64)).toBe('ssh-ed25519')
  })
})
