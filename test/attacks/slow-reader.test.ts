import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { NODE, relayWorkers, startFaultHouse, type FaultHouse } from '../support/fault-house.ts'
import { until } from '../support/until.ts'

const MIB = 1024 * 1024
const BYTES = 400 * MIB
const MOST_GROWTH = 32 * MIB

let house: FaultHouse
beforeEach(async () => {
  house = await startFaultHouse()
})
afterEach(() => house.sallyport.stop())

/** Bytes of memory of the relay worker. */
function resident(): number {
  const [pid] = relayWorkers(house.sallyport)
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kilobytes) * 1024
}

test('a reader that stops while 400 MB wait costs the relay worker at most 32 MiB, and gets all of it once it reads on', async () => {
  // What any transfer takes for good, compiled code for the most part, is not the stopped reader's.
  for (let round = 0; round < 3; round++) await house.alice.ssh(NODE, 'head -c 20M /dev/zero')
  const before = resident()
  const [program, ...words] = house.alice.command('ssh')
  const reader = spawn(program, [...words, NODE, `head -c ${BYTES} /dev/zero`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let received = 0
  reader.stdout.on('data', (bytes: Buffer) => (received += bytes.length))
  const ended = once(reader, 'close')
  await until('the first bytes', () => received > 0)
  reader.kill('SIGSTOP')
  expect(received).toBeLessThan(BYTES)
  let most = 0
  for (let look = 0; look < 50; look++) {
    await pause(100)
    most = Math.max(most, resident())
  }
  const growth = most - before
  process.stdout.write(
    `relay worker: ${(before / MIB).toFixed(1)} MiB before, at most ${(growth / MIB).toFixed(1)} MiB more while its reader stood still\n`,
  )
  expect(growth).toBeLessThanOrEqual(MOST_GROWTH)
  const stopped = received
  reader.kill('SIGCONT')
  expect(await ended).toEqual([0, null])
  expect(stopped).toBeLessThan(BYTES)
  expect(received).toBe(BYTES)
}, 300_000)
