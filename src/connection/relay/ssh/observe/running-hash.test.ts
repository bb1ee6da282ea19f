import { createHash, hash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { HashRing, HashThreadSilent, serveHashes } from './hash-ring.ts'
import { HashThread } from './hash-thread.ts'
import { newFileSha256, newSha256, type RunningHash, SHORT } from './running-hash.ts'

/** Small, so that records wrap around its end and it is full all the time. */
const SMALL_RING = 4096
const content = randomBytes(100_000)
const sha256 = (bytes: Uint8Array): string => hash('sha256', bytes)

let thread: HashThread

beforeAll(async () => {
  thread = new HashThread(new HashRing(SMALL_RING))
  await ready(thread)
})
afterAll(async () => void (await thread.stop()))

async function ready(started: HashThread): Promise<void> {
  while (started.state === 'starting') await new Promise(setImmediate)
}

test.each([1, 7, 8, 9, 1000, 4088, 5000, 100_000])('pieces of %i bytes get the digest of the whole', (size) => {
  const some = content.subarray(0, Math.max(size, 20_000))
  const id = thread.open()
  for (let from = 0; from < some.length; from += size) thread.update(id, some.subarray(from, from + size))
  expect(thread.digest(id)).toBe(sha256(some))
})

test('hashes that run at the same time are kept apart, and one that is dropped disturbs none', () => {
  const ids = [thread.open(), thread.open(), thread.open()] as const
  const hashes = ids.map(() => createHash('sha256'))
  for (let round = 0; round < 300; round++) {
    const at = round % 3
    const piece = content.subarray(round * 100, round * 200)
    thread.update(ids[at] ?? 0, piece)
    hashes[at]?.update(piece)
  }
  thread.drop(ids[1])
  expect(thread.digest(ids[2])).toBe(hashes[2]?.digest('hex'))
  expect(thread.digest(ids[0])).toBe(hashes[0]?.digest('hex'))
})

test('the digest of nothing is that of the empty text', () => {
  expect(thread.digest(thread.open())).toBe(sha256(Buffer.alloc(0)))
})

test.each([2 ** 31 - 2048, 2 ** 32 - 2048])('the count of bytes may pass %i', async (start) => {
  const late = new HashRing(SMALL_RING, { start })
  const worker = new Worker(`(${serveHashes.toString()})()`, { eval: true, workerData: late.memory })
  await once(worker, 'online')
  late.update(1, content)
  expect(late.digest(1)).toBe(sha256(content))
  await worker.terminate()
})

test('a thread that does not answer is an error, not a wrong digest', () => {
  const nobody = new HashRing(SMALL_RING, { patienceMs: 10 })
  expect(() => nobody.update(1, content)).toThrow(HashThreadSilent)
  expect(() => nobody.digest(1)).toThrow(HashThreadSilent)
})

test('a thread that has ended is an error', async () => {
  const ended = new HashThread(new HashRing(SMALL_RING))
  await ready(ended)
  const id = ended.open()
  await ended.stop()
  await new Promise(setImmediate)
  expect(ended.state).toBe('gone')
  expect(() => ended.update(id, content)).toThrow('the hash thread is gone')
  expect(() => ended.digest(id)).toThrow('the hash thread is gone')
})

test('short and long streams, started before and after the thread, get their digest', async () => {
  const long = randomBytes(3 * SHORT)
  const feed = (running: RunningHash, bytes: Uint8Array): RunningHash => {
    for (let from = 0; from < bytes.length; from += 32_768) running.update(bytes.subarray(from, from + 32_768))
    return running
  }
  const first = feed(newSha256(), long)
  const short = feed(newSha256(), content)
  const unfinished = newSha256()
  feed(unfinished, long.subarray(0, SHORT))
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setTimeout(resolve, 1))
  feed(unfinished, long.subarray(SHORT))
  feed(first, long)
  expect(first.digest()).toBe(sha256(Buffer.concat([long, long])))
  expect(short.digest()).toBe(sha256(content))
  expect(unfinished.digest()).toBe(sha256(long))
})

test('many short streams together hold little: those that began first are hashed at once', () => {
  const streams = Array.from({ length: 200 }, () => newSha256())
  for (const stream of streams) stream.update(content)
  expect(new Set(streams.map((stream) => stream.digest()))).toEqual(new Set([sha256(content)]))
})

test('the bytes of a file get their digest, whichever way they are hashed on this machine', () => {
  const files = [newFileSha256(), newFileSha256(), newFileSha256()]
  for (const [index, byte] of content.entries()) files[index % 2]?.update(Buffer.of(byte))
  const half = (which: number): Buffer => Buffer.from(content.filter((_byte, index) => index % 2 === which))
  files[2]?.drop()
  expect(files.slice(0, 2).map((file) => file.digest())).toEqual([sha256(half(0)), sha256(half(1))])
})
