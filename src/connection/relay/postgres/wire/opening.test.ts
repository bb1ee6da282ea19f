import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { OPENING_CODE } from './codes.ts'
import { cancelRequest, readOpening, SSL_REQUEST, startupMessage, type Opening } from './opening.ts'
import { ProtocolError } from './protocol-error.ts'

const packet = (code: number, rest: string | Buffer, length?: number): Buffer => {
  const body = Buffer.from(rest)
  const head = Buffer.alloc(8)
  head.writeUInt32BE(length ?? 8 + body.length, 0)
  head.writeUInt32BE(code, 4)
  return Buffer.concat([head, body])
}
const V3 = 3 << 16

describe('the first packet of a connection', () => {
  test('what is asked for is told apart, and what follows is left alone', () => {
    expect(readOpening(Buffer.concat([SSL_REQUEST, Buffer.from('more')]))).toEqual({ kind: 'ssl', consumed: 8 })
    expect(readOpening(packet(OPENING_CODE.gss, ''))).toEqual({ kind: 'gss', consumed: 8 })
    const key = Buffer.from('12345678')
    expect(readOpening(cancelRequest(key))).toEqual({ kind: 'cancel', key, consumed: 16 })
    const long = Buffer.alloc(260, 7)
    expect(readOpening(cancelRequest(long))).toMatchObject({ kind: 'cancel', key: long })
  })

  test('a startup message gives its parameters, its minor version and the extensions that it asks for', () => {
    const bytes = packet(V3 | 2, 'user\0app\0database\0orders\0_pq_.command_tag\0on\0\0')
    expect(readOpening(bytes)).toEqual({
      kind: 'startup',
      minor: 2,
      parameters: new Map([
        ['user', 'app'],
        ['database', 'orders'],
      ]),
      extensions: ['_pq_.command_tag'],
      consumed: bytes.length,
    })
  })

  test.each<[string, Buffer]>([
    ['a length of 0', packet(V3, '\0', 0)],
    ['a length that is too short for its code', packet(V3, '\0', 7)],
    ['a length of 10,001', packet(V3, '\0', 10_001)],
    ['a negative length', packet(V3, '\0', 0xffffffff)],
    ['a length of 2^31 - 1', packet(V3, '\0', 0x7fffffff)],
    ['protocol 2', packet(2 << 16, '')],
    ['protocol 4', packet(4 << 16, '')],
    ['an SSLRequest with a body', packet(OPENING_CODE.ssl, 'x')],
    ['a GSSENCRequest with a body', packet(OPENING_CODE.gss, 'x')],
    ['a cancel request without a secret', packet(OPENING_CODE.cancel, '1234')],
    ['a cancel request with a secret of 257 bytes', packet(OPENING_CODE.cancel, Buffer.alloc(4 + 257))],
    ['no terminator', packet(V3, 'user\0app\0')],
    ['no terminator at all', packet(V3, 'user')],
    ['a name without a value', packet(V3, 'user\0')],
    ['a nameless packet with bytes behind its end', packet(V3, '\0user\0app\0\0')],
    ['a second user', packet(V3, 'user\0app\0user\0postgres\0\0')],
    ['a name that is not UTF-8', packet(V3, Buffer.from([0xff, 0, 0x61, 0, 0]))],
    ['65 parameters', packet(V3, `${Array.from({ length: 65 }, (_, n) => `p${n}\0v\0`).join('')}\0`)],
  ])('%s is refused', (_name, bytes) => {
    expect(() => readOpening(bytes)).toThrow(ProtocolError)
  })

  test('however it is cut, nothing is decided before it is whole', () => {
    for (const bytes of [packet(V3, 'user\0app\0\0'), cancelRequest(Buffer.alloc(8)), SSL_REQUEST]) {
      for (let cut = 0; cut < bytes.length; cut++)
        expect(readOpening(bytes.subarray(0, cut))).toEqual({ kind: 'need_more' })
    }
  })

  test('what we write is what is read', () => {
    const field = fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme' }).filter((text) => !text.includes('\0'))
    fc.assert(
      fc.property(
        fc.dictionary(
          field.map((name) => `n${name}`),
          field,
        ),
        (parameters) => {
          const entries = Object.entries(parameters)
          const read = readOpening(startupMessage(entries)) as Extract<Opening, { kind: 'startup' }>
          expect([...read.parameters]).toEqual(entries)
          expect(read.minor).toBe(0)
        },
      ),
      { numRuns: 200 },
    )
    expect(() => startupMessage([['user', 'a\0database']])).toThrow(ProtocolError)
  })

  test('no bytes do anything but give an answer or a ProtocolError', () => {
    const start = fc.constantFrom<Buffer>(Buffer.alloc(0), packet(V3, '', 60), packet(OPENING_CODE.cancel, '', 40))
    fc.assert(
      fc.property(start, fc.uint8Array({ maxLength: 80 }), (head, noise) => {
        try {
          readOpening(Buffer.concat([head, noise]))
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolError)
        }
      }),
      { numRuns: 2000 },
    )
  })
})
