import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeParameters } from '../../../../formats/statement-parameters.ts'
import { parametersOf, type ParameterTypes } from './execute-parameters.ts'

const read = (
  payload: Buffer,
  count: number,
  types: ParameterTypes | null,
  apart: readonly (readonly [number, string])[] = [],
) =>
  parametersOf({
    ...{ payload, isWhole: true, count, types },
    apart: new Map(apart.map(([index, value]) => [index, Buffer.from(value)])),
  })

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
  expect(texts(read(execute(0, [[type, flag]], [value]), 1, null)?.encoded)).toEqual([expected])
})

test('NULL has no value, and types that were given before need not be given again', () => {
  const first = read(
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
  expect(texts(read(again, 2, first?.types ?? null)?.encoded)).toEqual(['b', '5'])
  expect(read(again, 2, null)).toBeNull()
})

test('a value that was sent ahead has none in the execution, wherever it stands', () => {
  const types = [
    [253, 0],
    [252, 0],
    [253, 0],
  ] as const
  const payload = execute(0, types, [Buffer.from('\x01a'), Buffer.from('\x01c')])
  expect(texts(read(payload, 3, null, [[1, 'sent ahead']])?.encoded)).toEqual(['a', 'sent ahead', 'c'])
})

test('of an execution of which only the front is there, the values in it are kept and all are counted', () => {
  const types = [
    [253, 0],
    [253, 0],
  ] as const
  const payload = execute(0, types, [Buffer.from('\x01a'), Buffer.from('\xfd\x00\x00\x02abc', 'latin1')])
  const given = parametersOf({ ...{ payload, count: 2, types: null }, isWhole: false, apart: new Map() })
  expect(texts(given?.encoded)).toEqual(['a'])
  expect(decodeParameters(given?.encoded ?? Buffer.alloc(0)).count).toBe(2)
  expect(read(payload, 2, null)).toBeNull()
})

test('whatever a client sends, it is parameters or it is not: nothing is thrown', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(70), (bytes, count) => {
      const given = read(Buffer.concat([head, Buffer.from(bytes)]), count, null)
      if (given) expect(decodeParameters(given.encoded).count).toBe(count)
    }),
    { numRuns: 300 },
  )
})
