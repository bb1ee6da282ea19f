import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isInAddressList } from './address-list.ts'

test.each([
  ['10.1.2.3', '10.1.2.3', true],
  ['10.1.2.4', '10.1.2.3', false],
  ['10.1.2.3', '10.0.0.0/8', true],
  ['11.1.2.3', '10.0.0.0/8', false],
  ['10.1.2.3', '192.0.2.1,10.1.2.0/24', true],
  ['10.1.2.3', '0.0.0.0/0', true],
  ['10.1.2.3', '::/0', false],
  ['::ffff:10.1.2.3', '10.0.0.0/8', true],
  ['10.1.2.3', '::ffff:10.1.2.3', true],
  ['2001:db8::1', '2001:db8::/32', true],
  ['2001:db9::1', '2001:db8::/32', false],
  ['2001:db8::1', '2001:DB8:0:0:0:0:0:1', true],
  ['2001:db8::1', '0.0.0.0/0', false],
  // One odd entry spoils the list.
  ['10.1.2.3', '10.1.2.3,', false],
  ['10.1.2.3', ',10.1.2.3', false],
  ['10.1.2.3', '', false],
  ['10.1.2.3', '10.1.2.3, 10.1.2.4', false],
  ['10.1.2.3', '10.1.2.3,!10.0.0.0/8', false],
  ['10.1.2.3', '10.1.2.3/8', false],
  ['10.1.2.3', '10.1.2.3/33', false],
  ['10.1.2.3', '10.0.0.0/08', false],
  ['10.1.2.3', '10.0.0.0/', false],
  ['10.1.2.3', '10.0.0.0/8/8', false],
  ['10.1.2.3', '10.0.0.0/-1', false],
  ['10.1.2.3', '10.*', false],
  ['10.1.2.3', 'localhost', false],
  ['2001:db8::1', '2001:db8::1/32', false],
  ['fe80::1', 'fe80::1%eth0', false],
  ['', '0.0.0.0/0', false],
  ['localhost', '0.0.0.0/0', false],
])('%s in "%s" is %s', (address, list, expected) => {
  expect(isInAddressList(address, list)).toBe(expected)
})

test('a block holds exactly the addresses that share its first bits', () => {
  const ip = fc.integer({ min: 0, max: 2 ** 32 - 1 })
  const text = (n: number): string => [24, 16, 8, 0].map((shift) => (n >>> shift) & 255).join('.')
  fc.assert(
    fc.property(ip, ip, fc.integer({ min: 0, max: 32 }), (address, network, bits) => {
      const mask = bits === 0 ? 0 : (0xffff_ffff << (32 - bits)) >>> 0
      const base = (network & mask) >>> 0
      expect(isInAddressList(text(address), `${text(base)}/${bits}`)).toBe((address & mask) >>> 0 === base)
    }),
  )
})

test('no text makes it throw', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (address, list) => {
      expect(typeof isInAddressList(address, list)).toBe('boolean')
    }),
  )
})
