// 400 MB on their way to a client that has stopped reading, and from one to a server that takes nothing: a relay worker holds none of it.
import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DatabaseHouse, PROTOCOLS } from '../support/database-house.ts'
import { relayWorkers } from '../support/fault-house.ts'
import { message } from '../support/raw-postgres-client.ts'
import { until } from '../support/until.ts'

const MIB = 1024 * 1024
const ROW = 100_000
const BYTES = 400_000_000
const MOST_GROWTH = 32 * MIB
/** The most that a packet of MySQL takes; a command goes on in the next one */
const PACKET = 0xffffff

describe.each(PROTOCOLS)('%s', (protocol) => {
  let house: DatabaseHouse
  beforeAll(async () => {
    house = await DatabaseHouse.start(protocol, { config: { workers: 1 } })
    await house.server.sql('create table bulk (t text)')
    if (protocol === 'postgres') await house.server.sql('grant all on bulk to bycert')
    // What any transfer takes for good, compiled code for the most part, is not the stopped one's.
    for (let round = 0; round < 3; round++) await house.run(rows(20_000_000))
  })
  afterAll(() => house?.[Symbol.asyncDispose]())

  const rows = (bytes: number): string =>
    protocol === 'mysql'
      ? `select repeat('x', ${ROW}) from seq_1_to_${bytes / ROW}`
      : `select repeat('x', ${ROW}) from generate_series(1, ${bytes / ROW})`

  const OUTWARDS = [['rows', rows(BYTES)]]
  if (protocol === 'postgres') OUTWARDS.push(['COPY', `copy (${rows(BYTES)}) to stdout`])

  test.each(OUTWARDS)(
    '%s: a client that stops while 400 MB wait gets all of it once it reads on',
    async (what, sql) => {
      const before = resident(house)
      const client = await house.raw()
      let received = 0
      client.pause()
      client.on('data', (bytes: Buffer) => (received += bytes.length))
      client.pause()
      client.write(house.statement(sql ?? ''))
      await until('the statement to run', async () => (await house.server.sessions()).includes(sql ?? ''))
      const growth = await growthOf(house, before)
      told(`${protocol}, ${what ?? ''} to a client that has stopped`, before, growth)
      expect(growth).toBeLessThanOrEqual(MOST_GROWTH)
      expect(received).toBeLessThan(BYTES)
      expect(await house.server.sessions()).toContain(sql)
      client.resume()
      await until('all of it', () => received > BYTES, { within: 100_000 })
      client.destroy()
    },
  )

  test('a server that takes nothing while a client has 200 MB for it makes the client wait', async () => {
    const before = resident(house)
    const client = await house.raw()
    let isAnswered = false
    if (protocol === 'postgres') client.write(house.statement('copy bulk from stdin'))
    client.on('data', () => (isAnswered = true))
    if (protocol === 'postgres') await until('the server to want data', () => isAnswered)
    isAnswered = false
    house.network.goDark('hold')
    let sent = 0
    const feeding = feed(client, protocol === 'mysql' ? longCommand() : copyData(), (bytes) => (sent += bytes))
    const growth = await growthOf(house, before)
    told(`${protocol}, to a server that takes nothing`, before, growth)
    expect(growth).toBeLessThanOrEqual(MOST_GROWTH)
    expect(sent).toBeLessThan(BYTES / 2)
    house.network.lightUp()
    await feeding
    await until('the answer', () => isAnswered, { within: 100_000 })
    client.destroy()
  })
})

/** Bytes of memory of the relay worker. */
function resident(house: DatabaseHouse): number {
  const [pid] = relayWorkers(house.sallyport)
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
}

/** The most that there was more within four seconds */
async function growthOf(house: DatabaseHouse, before: number): Promise<number> {
  let most = 0
  for (let look = 0; look < 40; look++) {
    await pause(100)
    most = Math.max(most, resident(house))
  }
  return most - before
}

const told = (what: string, before: number, growth: number): void =>
  void process.stdout.write(
    `${what}: relay worker ${(before / MIB).toFixed(1)} MiB before, at most ${(growth / MIB).toFixed(1)} MiB more\n`,
  )

/** 200 MB of COPY, and its end */
function* copyData(): Generator<Buffer> {
  const data = message('d', `${'x'.repeat(65_000)}\n`)
  for (let sent = 0; sent < BYTES / 2; sent += data.length) yield data
  yield message('c')
}

/** One statement of 200 MB, in as many packets as it takes */
function* longCommand(): Generator<Buffer> {
  const text = [Buffer.from("\x03select length('"), Buffer.from("')")] as const
  const length = BYTES / 2
  const filler = Buffer.alloc(65_536, 'x')
  const [front, end] = text
  for (let at = 0, packet = 0; ; packet++) {
    const size = Math.min(PACKET, length - at)
    const header = Buffer.alloc(4)
    header.writeUIntLE(size, 0, 3)
    header[3] = packet & 0xff
    yield header
    let left = size
    if (at === 0) {
      yield front
      left -= front.length
    }
    const isLast = size < PACKET
    if (isLast) left -= end.length
    for (; left > 0; left -= filler.length) yield filler.subarray(0, left)
    if (isLast) {
      yield end
      return
    }
    at += size
  }
}

/** Writes as fast as it is taken. */
async function feed(client: Socket, pieces: Iterable<Buffer>, onTaken: (bytes: number) => void): Promise<void> {
  for (const piece of pieces) {
    if (client.destroyed) return
    await new Promise<void>((resolve) => {
      client.write(piece, () => resolve())
      client.once('close', () => resolve())
    })
    client.removeAllListeners('close')
    onTaken(piece.length)
  }
}
