import fc from 'fast-check'
import { createSecretKey, randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { createSealer, SealError } from './sealing.ts'

const place = { table: 'authorities', row: 'aut_1', column: 'private_sealed' }
const sealerOf = (id: string) => createSealer({ id, key: createSecretKey(randomBytes(32)) })
const sealer = sealerOf('00112233aabbccdd')

test('what is sealed opens at its place', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2000 }), (value) => {
      expect(sealer.unseal(place, sealer.seal(place, value)).equals(value)).toBe(true)
    }),
  )
})

test('the same value sealed twice looks different', () => {
  const value = Buffer.from('secret')
  expect(sealer.seal(place, value)).not.toBe(sealer.seal(place, value))
})

test.each([
  ['table', { ...place, table: 'factors' }],
  ['row', { ...place, row: 'aut_2' }],
  ['column', { ...place, column: 'secret_sealed' }],
])('a value moved to another %s does not open', (_what, elsewhere) => {
  const sealed = sealer.seal(place, Buffer.from('secret'))
  expect(() => sealer.unseal(elsewhere, sealed)).toThrow(SealError)
})

test('every changed character and every cut is noticed', () => {
  // 5 bytes: the last base64url character has no unused bits.
  const sealed = sealer.seal(place, Buffer.from('quiet'))
  for (let at = 0; at < sealed.length; at++) {
    const other = sealed[at] === 'A' ? 'B' : 'A'
    expect(() => sealer.unseal(place, sealed.slice(0, at))).toThrow(SealError)
    expect(() => sealer.unseal(place, sealed.slice(0, at) + other + sealed.slice(at + 1))).toThrow(SealError)
  }
})

test('a value of another key says which key is missing', () => {
  const sealed = sealerOf('ffffffffffffffff').seal(place, Buffer.from('secret'))
  expect(() => sealer.unseal(place, sealed)).toThrow(/ffffffffffffffff/)
})

test('the halves of two values do not mix', () => {
  const [a, b] = [sealer.seal(place, Buffer.from('one')), sealer.seal(place, Buffer.from('two'))]
  const mixed = [...a.split('.').slice(0, 3), b.split('.')[3]].join('.')
  expect(() => sealer.unseal(place, mixed)).toThrow(SealError)
})
