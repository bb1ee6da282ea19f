import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readFunctionCall } from './function-call.ts'
import { ProtocolError } from './protocol-error.ts'

const int16 = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff])
const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
const call = (oid: number, values: readonly (Buffer | null)[]): Buffer =>
  Buffer.concat([
    ...[int32(oid), int16(1), int16(1), int16(values.length)],
    ...values.flatMap((value) => (value ? [int32(value.length), value] : [int32(-1)])),
    int16(1),
  ])

test('calls of large objects are told by name and arguments, data by its length', () => {
  expect(readFunctionCall(call(952, [int32(4242), int32(0x40000)]))).toEqual({
    text: 'lo_open(4242, 262144)',
    writes: false,
  })
  expect(readFunctionCall(call(955, [int32(0), Buffer.alloc(16_384)])).text).toBe('lowrite(0, 16384 bytes)')
  expect(readFunctionCall(call(3172, [int32(0), Buffer.alloc(8, 1)]))).toEqual({
    text: 'lo_truncate64(0, 72340172838076673)',
    writes: true,
  })
  expect(readFunctionCall(call(957, [null])).text).toBe('lo_creat(null)')
})

test.each([0, 1, 2100, 3448, 2 ** 31 - 1])('function %d is not passed on', (oid) => {
  expect(() => readFunctionCall(call(oid, []))).toThrow('for large objects alone')
})

test.each([
  ['nothing', Buffer.alloc(0)],
  ['no arguments', int32(952)],
  ['more formats than there are bytes', Buffer.concat([int32(952), int16(0xffff), int16(1)])],
  [
    'more arguments than any takes',
    call(
      952,
      Array.from({ length: 4 }, () => null),
    ),
  ],
  ['an argument that is cut off', call(955, [int32(0), Buffer.alloc(100)]).subarray(0, -50)],
])('%s is refused', (_name, body) => {
  expect(() => readFunctionCall(body)).toThrow(ProtocolError)
})

test('any bytes give a call or a refusal', () => {
  fc.assert(
    fc.property(fc.constantFrom(952, 955, 964), fc.uint8Array({ maxLength: 40 }), (oid, rest) => {
      try {
        expect(readFunctionCall(Buffer.concat([int32(oid), rest])).text).toMatch(/^lo\w+\(.*\)$/)
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError)
      }
    }),
    { numRuns: 300 },
  )
})
