import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FormatError } from '../../../../formats/format-error.ts'
import {
  buildKexInit,
  CIPHER_NAMES,
  guessedRight,
  negotiate,
  parseKexInit,
  requireStrict,
  wantsExtInfo,
} from './kex-init.ts'
import type { KexInit } from './kex-init.ts'
import { ProtocolError } from './protocol-error.ts'

const client = parseKexInit(buildKexInit('client', ['ssh-ed25519-cert-v01@openssh.com', 'ssh-ed25519'], CIPHER_NAMES))
const server = parseKexInit(buildKexInit('server', ['ssh-ed25519'], CIPHER_NAMES))

describe('KEXINIT', () => {
  test('of ours offers post-quantum first, AES-GCM only, and no compression', () => {
    expect(client.kex[0]).toBe('mlkem768x25519-sha256')
    expect(client.ciphersToServer).toEqual(['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com'])
    expect(client.compressionToClient).toEqual(['none'])
    expect([wantsExtInfo(client), wantsExtInfo(server)]).toEqual([true, false])
  })

  test('cut at any byte is refused', () => {
    const payload = buildKexInit('client', ['ssh-ed25519'], CIPHER_NAMES)
    for (let length = 1; length < payload.length; length++) {
      expect(() => parseKexInit(payload.subarray(0, length))).toThrow(FormatError)
    }
    expect(() => parseKexInit(Buffer.concat([payload, Buffer.of(0)]))).toThrow(FormatError)
  })

  test('of random bytes is refused or read, nothing else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        try {
          parseKexInit(Buffer.from(bytes))
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError)
        }
      }),
    )
  })
})

describe('what is negotiated', () => {
  test("is the first of the client's names that the server has", () => {
    const picky: KexInit = {
      ...client,
      kex: ['sntrup761x25519-sha512', 'curve25519-sha256', 'mlkem768x25519-sha256'],
      ciphersToServer: ['chacha20-poly1305@openssh.com', 'aes256-gcm@openssh.com', 'aes128-gcm@openssh.com'],
    }
    expect(negotiate(server, picky, 'server')).toEqual({
      kex: 'curve25519-sha256',
      hostKey: 'ssh-ed25519',
      toServer: 'aes-256-gcm',
      toClient: 'aes-128-gcm',
    })
    expect(negotiate(picky, server, 'client')).toEqual(negotiate(server, picky, 'server'))
  })

  test('is never one of the marks that stand among the names', () => {
    const marks = ['ext-info-c', 'kex-strict-c-v00@openssh.com', 'kex-strict-s-v00@openssh.com']
    expect(() => negotiate(server, { ...client, kex: marks }, 'server')).toThrow(ProtocolError)
  })

  test.each<[string, Partial<KexInit>]>([
    ['key exchange', { kex: ['diffie-hellman-group1-sha1'] }],
    ['host key', { hostKeys: ['ssh-rsa'] }],
    ['cipher to the server', { ciphersToServer: ['none'] }],
    ['cipher to the client', { ciphersToClient: ['aes128-ctr'] }],
    ['compression', { compressionToServer: ['zlib'] }],
    ['compression to the client', { compressionToClient: [] }],
  ])('without a common %s is nothing', (_, over) => {
    expect(() => negotiate(server, { ...client, ...over }, 'server')).toThrow(ProtocolError)
    expect(() => negotiate({ ...client, ...over }, server, 'client')).toThrow(ProtocolError)
  })
})

test('strictness is marked by the other side only', () => {
  expect(() => requireStrict(client, 'server')).not.toThrow()
  expect(() => requireStrict(server, 'client')).not.toThrow()
  expect(() => requireStrict(client, 'client')).toThrow(ProtocolError)
  expect(() => requireStrict(server, 'server')).toThrow(ProtocolError)
})

test('a guess is right when the first names of both lists agree', () => {
  expect(guessedRight(server, { ...client, hostKeys: ['ssh-ed25519'] })).toBe(true)
  expect(guessedRight(server, client)).toBe(false)
  expect(guessedRight(server, { ...client, kex: ['curve25519-sha256'], hostKeys: ['ssh-ed25519'] })).toBe(false)
})
