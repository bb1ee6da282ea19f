import { duplexPair } from 'node:stream'
import { expect, test } from 'vitest'
import { ManualClock } from '../../../../test/support/manual-clock.ts'
import { QueryRelay } from './query-relay.ts'

const message = (type: string, body = ''): Buffer => {
  const bytes = Buffer.from(`${type}....${body}`)
  bytes.writeUInt32BE(bytes.length - 1, 1)
  return bytes
}
const READY = message('Z', 'I')
const query = (sql: string): Buffer => message('Q', `${sql}\0`)
const COMPLETE = message('C', 'SELECT 1\0')

/** A relay whose two sides are ours: `client` is what a client has, `server` what a server has. */
function relayed(
  change: { readonly refusal?: (sql: string) => string | null; readonly statementTimeoutMs?: number } = {},
) {
  const [client, ofClient] = duplexPair()
  const [server, ofServer] = duplexPair()
  const heard = { client: '', server: '' }
  client.on('data', (bytes: Buffer) => void (heard.client += bytes.toString('latin1')))
  server.on('data', (bytes: Buffer) => void (heard.server += bytes.toString('latin1')))
  const told: string[] = []
  const recorded: string[] = []
  let stored: Promise<void> | undefined
  const clock = new ManualClock()
  const relay = new QueryRelay({
    client: ofClient,
    upstream: {
      socket: ofServer,
      tcp: {
        resetAndDestroy: () => {
          throw new Error('only of a real connection')
        },
      },
      ready: READY,
      cancel: () => Promise.resolve(void told.push('cancel')),
    },
    recorder: {
      query: (sql) => recorded.push(`query ${String(sql)}`),
      prepare: () => recorded.push('prepare'),
      execute: () => recorded.push('execute'),
      command: (text) => recorded.push(text),
      result: (number, { outcome }) => void recorded.push(`${number} ${outcome}`),
      commit: () => stored,
      seen: () => undefined,
    },
    host: {
      active: () => undefined,
      clientLeft: () => void told.push('client left'),
      serverLeft: () => void told.push('server left'),
      fail: (error, side) => void told.push(`${side}: ${error.message}`),
    },
    clock,
    refusal: change.refusal ?? null,
    statementTimeoutMs: change.statementTimeoutMs ?? null,
  })
  const storeBy = (promise: Promise<void> | undefined): void => void (stored = promise)
  return { relay, client, server, heard, told, recorded, clock, storeBy }
}

test('bytes go on as they come, and a statement is recorded before its last byte goes on', async () => {
  const { relay, client, server, heard, recorded } = relayed()
  relay.start(Buffer.alloc(0))
  const sent = query('select 1')
  client.write(sent.subarray(0, 7))
  await expect.poll(() => heard.server.length).toBe(7)
  expect(recorded).toEqual([])
  client.write(sent.subarray(7))
  await expect.poll(() => heard.server).toBe(sent.toString('latin1'))
  expect(recorded).toHaveLength(1)
  expect(relay.isBusy).toBe(true)
  server.write(Buffer.concat([COMPLETE, READY]))
  await expect.poll(() => relay.isBusy).toBe(false)
  await expect.poll(() => heard.client).toBe(Buffer.concat([READY, COMPLETE, READY]).toString('latin1'))
})

test('what is not stored yet is not passed on; what was sent ahead of the answer is run first', async () => {
  const { relay, client, heard, storeBy } = relayed()
  const disk = Promise.withResolvers<void>()
  storeBy(disk.promise)
  relay.start(query('first'))
  client.write(query('second'))
  await new Promise((resolve) => setImmediate(resolve))
  expect(heard.server).toBe('')
  storeBy(undefined)
  disk.resolve()
  await expect.poll(() => heard.server).toContain('second')
  expect(heard.server.indexOf('first')).toBeLessThan(heard.server.indexOf('second'))
})

test('a text that is refused never reaches the server, and the client is at fault', async () => {
  const { relay, client, heard, told } = relayed({
    refusal: (sql) => (sql.startsWith('drop') ? 'not with your access' : null),
  })
  relay.start(Buffer.alloc(0))
  client.write(query('drop table items'))
  await expect.poll(() => told).toEqual(['client: not with your access'])
  expect(heard.server).toBe('')
})

test('a notice waits until the message that is half passed on is whole', async () => {
  const { relay, client, server, heard } = relayed()
  relay.start(Buffer.alloc(0))
  client.write(query('select 1'))
  server.write(COMPLETE.subarray(0, 8))
  await expect.poll(() => heard.client).toContain('C')
  relay.tell('access ends soon')
  expect(heard.client).not.toContain('access ends soon')
  server.write(COMPLETE.subarray(8))
  await expect.poll(() => heard.client).toContain('access ends soon')
  expect(heard.client.indexOf('SELECT 1')).toBeLessThan(heard.client.indexOf('access ends soon'))
})

test('a statement that takes longer than it may is cancelled, once for each time that it is over', async () => {
  const { relay, client, clock, told } = relayed({ statementTimeoutMs: 1000 })
  relay.start(Buffer.alloc(0))
  client.write(query('select pg_sleep(600)'))
  await expect.poll(() => relay.isBusy).toBe(true)
  clock.advance(1250)
  expect(told).toEqual([])
  clock.advance(500)
  expect(told).toEqual(['cancel'])
})

test('an idle session that ends says goodbye to the server and the reason to the client', async () => {
  const { relay, heard } = relayed()
  relay.start(Buffer.alloc(0))
  await relay.windUp({ code: '57P01', text: 'your access was revoked' })
  await expect.poll(() => heard.client).toContain('57P01')
  await expect.poll(() => heard.server).toBe('X\0\0\0\x04')
})

test('a client that leaves without goodbye, and a server that does, are told apart', async () => {
  const one = relayed()
  one.relay.start(Buffer.alloc(0))
  one.client.end()
  await expect.poll(() => one.told).toEqual(['client left'])
  const other = relayed()
  other.relay.start(Buffer.alloc(0))
  other.server.end()
  await expect.poll(() => other.told).toEqual(['server left'])
})

test('bytes that are no protocol are the fault of whoever sent them', async () => {
  const { relay, client, server, told } = relayed()
  relay.start(Buffer.alloc(0))
  server.write(Buffer.from([0x5a, 0x7f, 0xff, 0xff, 0xff]))
  client.write(Buffer.from('!!!!!!!!'))
  await expect.poll(() => told).toHaveLength(2)
  expect(told.toSorted()).toEqual([expect.stringMatching(/^client: invalid/), 'server: invalid message length'])
})
