import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { bodyOf, GcmOpener, GcmSealer, payloadOf } from './packet-codec.ts'

const keys = {
  cipher: 'aes-256-gcm',
  key: Buffer.alloc(32, 7),
  iv: Buffer.from('00000001fffffffffffffffe', 'hex'),
} as const
const bodies = Array.from({ length: 6 }, (_, index) => bodyOf(Buffer.from(`message ${index}`), true))

test('a frame is the same whether its cipher was prepared, dropped again or made at once', () => {
  const plain = new GcmSealer(keys)
  const prepared = new GcmSealer(keys)
  for (const [index, body] of bodies.entries()) {
    prepared.prepare()
    prepared.prepare()
    if (index % 3 === 0) prepared.rest()
    expect(prepared.seal(body)).toEqual(plain.seal(body))
  }
})

test('a prepared opener opens one frame only, and the next with the next counter', () => {
  const sealer = new GcmSealer(keys)
  const opener = new GcmOpener(keys)
  for (const [index, body] of bodies.entries()) {
    if (index !== 2) opener.prepare()
    if (index === 4) opener.rest()
    expect(payloadOf(opener.open(sealer.seal(body))).toString()).toBe(`message ${index}`)
  }
})

test('a prepared opener refuses a frame that is not authentic', () => {
  const opener = new GcmOpener(keys)
  opener.prepare()
  const frame = new GcmSealer(keys).seal(bodyOf(randomBytes(20), true))
  frame[10] = (frame[10] ?? 0) ^ 1
  expect(() => opener.open(frame)).toThrow('packet is not authentic')
})
