import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FormatError } from '../format-error.ts'
import { SshReader, SshWriter } from './ssh-bytes.ts'

const written = (write: (writer: SshWriter) => void): Buffer => {
  const writer = new SshWriter(1)
  write(writer)
  return writer.toBuffer()
}

describe('what is written can be read', () => {
  test('for every kind of field', () => {
    fc.assert(
      fc.property(
        fc.record({
          small: fc.integer({ min: 0, max: 255 }),
          flag: fc.boolean(),
          middle: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
          big: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
          bytes: fc.uint8Array({ maxLength: 300 }),
          text: fc
            .string({ unit: 'grapheme', maxLength: 50 })
            .filter((text) => !text.includes('\0') && text.isWellFormed()),
          names: fc.array(fc.stringMatching(/^[a-z0-9@.-]{1,20}$/), { maxLength: 5 }),
          number: fc.uint8Array({ minLength: 1, maxLength: 40 }).filter((bytes) => bytes.some((byte) => byte > 0)),
        }),
        (all) => {
          const bytes = written((writer) => {
            writer.u8(all.small).bool(all.flag).u32(all.middle).u64(all.big)
            writer.string(all.bytes).string(all.text).names(all.names).mpint(all.number)
          })
          const reader = new SshReader(bytes)
          expect([reader.u8(), reader.bool(), reader.u32(), reader.u64()]).toEqual([
            all.small,
            all.flag,
            all.middle,
            all.big,
          ])
          expect(Buffer.compare(reader.string(300), all.bytes)).toBe(0)
          expect(reader.text(1000)).toBe(all.text)
          expect(reader.names(200)).toEqual(all.names)
          expect(BigInt(`0x${reader.mpint(41).toString('hex')}`)).toBe(
            BigInt(`0x${Buffer.from(all.number).toString('hex')}`),
          )
          reader.end()
          // Cut anywhere, some read fails and none reads on.
          for (let length = 0; length < bytes.length; length++) {
            const cut = new SshReader(bytes.subarray(0, length))
            expect(() => {
              cut.skip(1 + 1 + 4 + 8)
              cut.string(300)
              cut.text(1000)
              cut.names(200)
              cut.mpint(41)
            }).toThrow(FormatError)
          }
        },
      ),
      { numRuns: 50 },
    )
  })
})

describe('the reader refuses', () => {
  test.each<[string, Buffer, (reader: SshReader) => unknown]>([
    ['a string over its limit', written((w) => w.string('12345')), (r) => r.string(4)],
    ['a length of 4 GiB', Buffer.from('ffffffff00', 'hex'), (r) => r.string(2 ** 32)],
    ['NUL in text', written((w) => w.string('a\0b')), (r) => r.text(9)],
    ['text that is not UTF-8', written((w) => w.string(Buffer.of(0xc3, 0x28))), (r) => r.text(9)],
    ['half a surrogate pair in UTF-8', written((w) => w.string(Buffer.of(0xed, 0xa0, 0x80))), (r) => r.text(9)],
    ['an empty name', written((w) => w.string('a,,b')), (r) => r.names(9)],
    ['a name-list that ends in a comma', written((w) => w.string('a,')), (r) => r.names(9)],
    ['a blank in a name-list', written((w) => w.string('a b')), (r) => r.names(9)],
    ['a negative mpint', written((w) => w.string(Buffer.of(0x80))), (r) => r.mpint(9)],
    ['the mpint zero', written((w) => w.string('')), (r) => r.mpint(9)],
    ['an mpint of one zero byte', written((w) => w.string(Buffer.of(0))), (r) => r.mpint(9)],
    ['an mpint with a zero too many', written((w) => w.string(Buffer.of(0, 0x7f))), (r) => r.mpint(9)],
    ['bytes left over', Buffer.of(1), (r) => r.end()],
    ['an empty message', Buffer.alloc(0), (r) => r.u8()],
  ])('%s', (_, bytes, read) => {
    expect(() => read(new SshReader(bytes))).toThrow(FormatError)
  })
})

test('a byte order mark stays part of the text', () => {
  expect(new SshReader(written((w) => w.string('\ufeffada'))).text(20)).toBe('\ufeffada')
})
