import { expect, test } from 'vitest'
import { ChunkSealer } from './recording-seal.ts'

const file = {
  session: 'ses_01890000-0000-7000-8000-000000000000',
  keyId: 'key-1',
  key: Buffer.alloc(32, 1),
  salt: Buffer.alloc(32, 2),
  time: 1_000,
}
const NO_FLAGS = { last: false, gap: false }

test('a chunk and its digest are the same whether they were prepared, dropped again or made at once', () => {
  const plain = new ChunkSealer(file)
  const prepared = new ChunkSealer(file)
  for (let index = 0; index < 8; index++) {
    prepared.prepare()
    if (index % 3 === 0) prepared.prepare()
    if (index % 4 === 1) prepared.rest()
    const body = Buffer.from(`record ${index}`)
    const counters = { bytes: index, packets: index, statements: 0, channels: 1 }
    const flags = { ...NO_FLAGS, last: index === 7 }
    expect(prepared.seal(body, counters, index, flags)).toEqual(plain.seal(body, counters, index, flags))
    if (index % 2 === 0) expect(prepared.digest).toEqual(plain.digest)
  }
  prepared.prepare()
  expect(() =>
    prepared.seal(Buffer.from('x'), { bytes: 0, packets: 0, statements: 0, channels: 0 }, 9, NO_FLAGS),
  ).toThrow('nothing comes after the last chunk')
})
