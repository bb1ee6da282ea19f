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

const CHUNKS = 64

test('a chunk and its digest are the same whether its cipher was made ahead, dropped and made again, or made at once', () => {
  const plain = new ChunkSealer(file)
  const busy = new ChunkSealer(file)
  const prepared = new ChunkSealer(file)
  for (let index = 0; index < CHUNKS; index++) {
    plain.rest()
    if (index % 3 !== 2) prepared.prepare()
    if (index % 3 === 0) prepared.prepare()
    if (index % 7 === 1) prepared.rest()
    const body = Buffer.from(`record ${index}`)
    const counters = { bytes: index, packets: index, statements: 0, channels: 1 }
    const flags = { ...NO_FLAGS, last: index === CHUNKS - 1 }
    const chunk = plain.seal(body, counters, index, flags)
    expect(busy.seal(body, counters, index, flags)).toEqual(chunk)
    expect(prepared.seal(body, counters, index, flags)).toEqual(chunk)
    if (index % 2 === 0) expect(prepared.digest).toEqual(plain.digest)
  }
  prepared.prepare()
  expect(() =>
    prepared.seal(Buffer.from('x'), { bytes: 0, packets: 0, statements: 0, channels: 0 }, 9, NO_FLAGS),
  ).toThrow('nothing comes after the last chunk')
})
