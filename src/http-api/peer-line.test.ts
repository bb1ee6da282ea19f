import fc from 'fast-check'
import { expect, test } from 'vitest'
import { anyText } from '../../test/support/any-text.ts'
import { parsePeerLine } from './peer-line.ts'

test.each([
  ['PEER 192.0.2.1 4711', { address: '192.0.2.1', port: 4711 }],
  ['PEER 2001:DB8::1 0', { address: '2001:db8::1', port: 0 }],
  ['PEER ::ffff:192.0.2.1 65535', { address: '192.0.2.1', port: 65_535 }],
])('"%s" is read', (line, peer) => {
  expect(parsePeerLine(line)).toEqual(peer)
})

test.each([
  ...['', 'PEER', 'PEER ', 'PEER 192.0.2.1', 'PEER 192.0.2.1 ', 'PEER 192.0.2.1 65536', 'PEER 192.0.2.1 -1'],
  ...['PEER 192.0.2.1 1 ', ' PEER 192.0.2.1 1', 'PEER 192.0.2.1  1', 'peer 192.0.2.1 1', 'PEER 192.0.2.1 1\r'],
  ...['PEER 192.0.2.256 1', 'PEER 192.0.2 1', 'PEER 010.0.0.1 1', 'PEER localhost 1', 'PEER ::g 1', 'PEER 1::2::3 1'],
  ...['PEER fe80::1%1 1', 'PEER [::1] 1', 'PEER 192.0.2.1,10.0.0.1 1', 'PEER 192.0.2.1 1\nPEER 10.0.0.1 1'],
])('"%s" is refused', (line) => {
  expect(parsePeerLine(line)).toBeNull()
})

test('what is read is an address and a port, whatever the line', () => {
  const lines = fc.oneof(
    anyText(),
    fc.tuple(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string()), fc.nat(99_999)).map(([a, p]) => `PEER ${a} ${p}`),
  )
  fc.assert(
    fc.property(lines, (line) => {
      const peer = parsePeerLine(line)
      if (!peer) return
      expect(peer.port).toBeLessThanOrEqual(65_535)
      expect(peer.address).toMatch(/^[0-9a-f.:]+$/)
      expect(parsePeerLine(`PEER ${peer.address} ${peer.port}`)).toEqual(peer)
    }),
  )
})
