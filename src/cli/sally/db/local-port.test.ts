import fc from 'fast-check'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { greetMysql, Renumbering } from './greet-mysql.ts'
import { uidOf } from './own-connections.ts'
import { readExactly } from './read-exactly.ts'

const open: (() => void)[] = []
afterEach(() => {
  for (const close of open.splice(0)) close()
})

/** Two ends of one connection. */
async function pair(): Promise<[Socket, Socket]> {
  const accepted = Promise.withResolvers<Socket>()
  const server = createServer((socket) => accepted.resolve(socket)).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const one = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const other = await accepted.promise
  open.push(
    () => [one, other].forEach((socket) => socket.destroy()),
    () => server.close(),
  )
  return [one, other]
}

const packet = (number: number, payload: Buffer): Buffer => {
  const head = Buffer.alloc(4)
  head.writeUIntLE(payload.length, 0, 3)
  head.writeUInt8(number, 3)
  return Buffer.concat([head, payload])
}
const greeting = (capabilities: number): Buffer => {
  const tail = Buffer.alloc(20)
  tail.writeUInt16LE(capabilities, 0)
  return packet(0, Buffer.concat([Buffer.from('\x0a8.0.0\0'), Buffer.alloc(13), tail]))
}
const answer = (capabilities: number): Buffer => {
  const fixed = Buffer.alloc(32)
  fixed.writeUInt32LE(capabilities, 0)
  return packet(1, Buffer.concat([fixed, Buffer.from('app\0')]))
}

describe('a MySQL client without TLS behind a proxy that wants it', () => {
  async function greet(said: Buffer, answered: Buffer) {
    const [client, local] = await pair()
    const [proxy, server] = await pair()
    server.write(said)
    const greeted = greetMysql(local, proxy)
    // Looked at once the client has seen the greeting.
    greeted.catch(() => undefined)
    const shown = readExactly(client, said.length)
    client.write(answered)
    return { greeted, shown: await shown }
  }

  test('is not offered TLS, and asks the proxy for it with its own capabilities', async () => {
    const { greeted, shown } = await greet(greeting(0xf800), answer(0x0200))
    expect(shown).toEqual(greeting(0xf000))
    const { sslRequest, answer: forward } = await greeted
    expect(sslRequest).toEqual(packet(1, answer(0x0a00).subarray(4, 36)))
    expect(forward).toEqual(packet(2, answer(0x0a00).subarray(4)))
  })

  test.each<[string, Buffer, string]>([
    ['wants TLS all the same', answer(0x0a00), 'wants TLS'],
    ['speaks too old a protocol', packet(1, Buffer.alloc(10)), 'old protocol'],
    ['sends more than a sign-in', packet(1, Buffer.alloc(100_000)), 'too long'],
  ])('that %s is sent away', async (_what, said, why) => {
    const { greeted } = await greet(greeting(0xf800), said)
    await expect(greeted).rejects.toThrow(why)
  })

  test('has its packets numbered as it expects, however they are cut, and untouched after the first command', () => {
    const packets = fc.array(fc.uint8Array({ maxLength: 20 }), { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(packets, fc.integer({ min: 1, max: 9 }), fc.boolean(), (payloads, size, isOver) => {
        const sent = Buffer.concat(payloads.map((payload, n) => packet(n + 1, Buffer.from(payload))))
        const wanted = Buffer.concat(payloads.map((payload, n) => packet(isOver ? n + 1 : n + 2, Buffer.from(payload))))
        const row = new Renumbering(1, () => isOver)
        const seen: number[] = []
        const got: Buffer[] = []
        for (let at = 0; at < sent.length; at += size)
          got.push(row.pass(sent.subarray(at, at + size), (number) => seen.push(number)))
        expect(Buffer.concat(got)).toEqual(wanted)
        expect(seen).toEqual(payloads.map((_, n) => n + 1))
      }),
      { numRuns: 200 },
    )
  })
})

test('whose connection it is stands in the table of the kernel', () => {
  const table = [
    '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode',
    '   0: 0100007F:1539 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1',
    '   1: 0100007F:8A1C 0100007F:1539 01 00000000:00000000 00:00000000 00000000  1000        0 2 1',
    '   2: 0100007F:1539 0100007F:8A1C 01 00000000:00000000 00:00000000 00000000     0        0 3 1',
  ].join('\n')
  expect(uidOf(table, 0x8a1c, 0x1539)).toBe(1000)
  expect(uidOf(table, 0x8a1d, 0x1539)).toBeNull()
  expect(uidOf('', 1, 2)).toBeNull()
})
