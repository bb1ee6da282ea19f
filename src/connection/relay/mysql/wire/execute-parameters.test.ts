import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeParameters } from '../../../../formats/statement-parameters.ts'
import { parametersOf } from './execute-parameters.ts'

const head = Buffer.from([0x17, 7, 0, 0, 0, 0, 1, 0, 0, 0])
const execute = (nulls: number, types: readonly (readonly [number, number])[], values: readonly Buffer[]): Buffer =>
  Buffer.concat([head, Buffer.from([nulls, 1, ...types.flat()]), ...values])
const texts = (encoded: Buffer | undefined): (string | null)[] =>
  decodeParameters(encoded ?? Buffer.alloc(0)).values.map(({ bytes }) =>
    bytes === null ? null : Buffer.from(bytes).toString(),
  )

const double = Buffer.alloc(8)
double.writeDoubleLE(1.5)

test.each<[string, number, number, Buffer, string]>([
  ['a signed byte', 1, 0, Buffer.from([0xff]), '-1'],
  ['an unsigned byte', 1, 0x80, Buffer.from([0xff]), '255'],
  ['a small number', 2, 0, Buffer.from([0xfe, 0xff]), '-2'],
  ['a number', 3, 0x80, Buffer.from([0xff, 0xff, 0xff, 0xff]), '4294967295'],
  ['a big number', 8, 0, Buffer.alloc(8, 0xff), '-1'],
  ['a double', 5, 0, double, '1.5'],
  ['a text', 253, 0, Buffer.from('\x05hello'), 'hello'],
  ['a date', 10, 0, Buffer.from([4, 0xea, 7, 11, 22]), '2026-11-22'],
  ['an instant', 12, 0, Buffer.from([11, 0xea, 7, 11, 22, 13, 5, 9, 1, 0, 0, 0]), '2026-11-22 13:05:09.000001'],
  ['a span of time', 11, 0, Buffer.from([8, 1, 1, 0, 0, 0, 2, 3, 4]), '-26:03:04'],
])('%s is recorded as text', (_name, type, flag, value, expected) => {
  expect(texts(parametersOf(execute(0, [[type, flag]], [value]), 1, null)?.encoded)).toEqual([expected])
})

test('NULL has no value, and types that were given before need not be given again', () => {
  const first = parametersOf(
    execute(
      0b10,
      [
        [253, 0],
        [3, 0],
      ],
      [Buffer.from('\x01a')],
    ),
    2,
    null,
  )
  expect(texts(first?.encoded)).toEqual(['a', null])
  const again = Buffer.concat([head, Buffer.from([0, 0]), Buffer.from('\x01b'), Buffer.from([5, 0, 0, 0])])
  expect(texts(parametersOf(again, 2, first?.types ?? null)?.encoded)).toEqual(['b', '5'])
  expect(parametersOf(again, 2, null)).toBeNull()
})

test('whatever a client sends, it is parameters or it is not: nothing is thrown', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(70), (bytes, count) => {
      const read = parametersOf(Buffer.concat([head, Buffer.from(bytes)]), count, null)
      if (read) expect(decodeParameters(read.encoded).count).toBe(count)
    }),
    { numRuns: 300 },
  )
})
