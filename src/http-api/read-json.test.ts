import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Refused } from '../foundation/errors.ts'
import { readJson } from './read-json.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

test('what JSON.stringify writes is read back', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 8 }), (value) => {
      if (JSON.stringify(value).includes('"__proto__"')) return
      expect(readJson(bytes(JSON.stringify(value)))).toEqual(JSON.parse(JSON.stringify(value)))
    }),
  )
})

test('bytes of any kind are read or refused, never anything else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (input) => {
      try {
        readJson(input)
      } catch (error) {
        expect(error).toBeInstanceOf(Refused)
      }
    }),
  )
})

test('32 levels are read, 33 not, and brackets in texts are no levels', () => {
  expect(readJson(bytes('['.repeat(32) + ']'.repeat(32)))).toBeDefined()
  expect(() => readJson(bytes('['.repeat(33) + ']'.repeat(33)))).toThrow('nested')
  expect(() => readJson(bytes('{"a":'.repeat(33) + '1' + '}'.repeat(33)))).toThrow('nested')
  expect(readJson(bytes(`"${'['.repeat(1000)}"`))).toBe('['.repeat(1000))
  expect(readJson(bytes(`"\\"${'['.repeat(1000)}"`))).toBe(`"${'['.repeat(1000)}`)
  expect(() => readJson(bytes(`"\\\\",${'['.repeat(40)}`))).toThrow('nested')
  expect(() => readJson(bytes('['.repeat(1_000_000)))).toThrow('nested')
})

test.each([
  '',
  ' ',
  '{',
  '{"a":1',
  'NaN',
  "{'a':1}",
  '{"a":1,}',
  '1 2',
  '\ufeff{',
  '{"a":{"__proto__":{}}}',
  '// x\n1',
])('the body %j is refused', (text) => {
  expect(() => readJson(bytes(text))).toThrow(Refused)
})

test('bytes that are no UTF-8 are refused', () => {
  for (const bad of [
    [0x22, 0xff, 0x22],
    [0x22, 0xc0, 0x80, 0x22],
    [0x22, 0xed, 0xa0, 0x80, 0x22],
    [0xe2, 0x82],
  ])
    expect(() => readJson(Uint8Array.from(bad))).toThrow('UTF-8')
})
