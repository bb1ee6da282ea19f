import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeParameters, encodeParameters } from './statement-parameters.ts'

const bytes = fc.uint8Array({ maxLength: 20 }).map((b) => Buffer.from(b))
const texts = (values: readonly (Uint8Array | null)[]) => values.map((value) => ({ format: 'text', bytes: value }))

test('values come back as they were, NULL told from empty', () => {
  fc.assert(
    fc.property(fc.array(fc.option(bytes), { maxLength: 20 }), (values) => {
      expect(decodeParameters(encodeParameters(values))).toEqual({ values: texts(values), count: values.length })
    }),
  )
})

test('cut anywhere it gives whole values from the front and the count of all', () => {
  fc.assert(
    fc.property(fc.array(fc.option(bytes), { minLength: 1, maxLength: 5 }), fc.nat(100), (values, cut) => {
      const whole = encodeParameters(values)
      const { values: seen, count } = decodeParameters(whole.subarray(0, cut))
      expect(seen).toEqual(texts(values.slice(0, seen.length)))
      expect(count).toBe(cut < 4 ? 0 : values.length)
    }),
  )
})

test.each([
  ['none', [], ['text', 'text']],
  ['one for all', [1], ['binary', 'binary']],
  ['one each', [0, 1], ['text', 'binary']],
  ['fewer than values', [0, 1, 0], ['text', 'binary']],
])('formats: %s', (_what, formats, expected) => {
  const uint16 = (value: number): Buffer => Buffer.of(value >> 8, value & 255)
  const value = Buffer.of(0, 0, 0, 1, 65)
  const message = Buffer.concat([uint16(formats.length), ...formats.map(uint16), uint16(2), value, value, uint16(0)])
  expect(decodeParameters(message).values.map(({ format }) => format)).toEqual(expected)
})

test('65,535 values are taken, one more is refused', () => {
  const values = Array.from({ length: 65_535 }, () => null)
  expect(decodeParameters(encodeParameters(values)).values.length).toBe(65_535)
  expect(() => encodeParameters([...values, null])).toThrow(RangeError)
})

test('any bytes are read as far as they make sense', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (random) => {
      const { values, count } = decodeParameters(random)
      expect(values.length).toBeLessThanOrEqual(count)
    }),
  )
})
