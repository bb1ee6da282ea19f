// The daemon's processes are killed while statements run, access ends, and the store stands still. What ran on the server, by the
// server's own log, is in the recordings, and nothing that has ended goes on there.
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DatabaseHouse, PROTOCOLS } from '../support/database-house.ts'
import { killControl, played, relayWorkers, verified } from '../support/fault-house.ts'
import type { RunningProgram } from '../support/run.ts'
import { until } from '../support/until.ts'

const WORKERS = 2
const SETS = 3

describe.each(PROTOCOLS)('%s', (protocol) => {
  let house: DatabaseHouse
  beforeAll(async () => {
    // strict_sync: a statement is on the disk before the server sees it.
    house = await DatabaseHouse.start(protocol, {
      config: { workers: WORKERS },
      roleOptions: { record_session: 'strict_sync' },
    })
    await house.server.sql('create table ran (tag text, n int)')
    if (protocol === 'postgres') await house.server.sql('grant all on ran to bycert')
  })
  afterAll(() => house?.[Symbol.asyncDispose]())

  /** A client that runs numbered statements until it is cut off. */
  function counting(tag: string): RunningProgram {
    const client = house.start()
    const lines = Array.from({ length: 3000 }, (_, n) => `insert into ran values ('${tag}', ${n});\n`)
    client.child.stdin?.on('error', () => {})
    client.write(lines.join(''))
    return client
  }

  async function ranOf(tag: string): Promise<readonly string[]> {
    const text = await house.server.sql(`select n from ran where tag = '${tag}'`)
    return text.split('\n').filter((line) => line !== '')
  }

  /** Numbers of a tag that any recording shows, from all sessions that have one */
  async function recordedOf(tags: readonly string[]): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
    const shown = new Map(tags.map((tag) => [tag, new Set<string>()]))
    for (const { id, recording } of await house.sallyport.sessions()) {
      if (recording.state === 'missing') continue
      for (const record of await played(house.alice, id)) {
        if (record.kind !== 'statement') continue
        const [, tag = '', n = ''] = /values \('(\w+)', (\d+)\)/.exec(record.text?.text ?? '') ?? []
        shown.get(tag)?.add(n)
      }
    }
    return shown
  }

  test('every statement that ran is in the recording of its session, whichever process was killed and when', async () => {
    const tags: string[] = []
    for (let set = 0; set < SETS; set++) {
      const now = Array.from({ length: 3 }, (_, index) => `k${set}s${index}`)
      tags.push(...now)
      const clients = now.map(counting)
      await until('all of them to be at work', async () => {
        const counts = await Promise.all(now.map(ranOf))
        return counts.every(({ length }) => length > 3)
      })
      const [worker] = relayWorkers(house.sallyport)
      if (worker !== undefined) process.kill(worker, 'SIGKILL')
      await pause(30 * set)
      await killControl(house.sallyport)
      await house.sallyport.restart()
      for (const client of clients) client.child.kill('SIGKILL')
      await Promise.all(clients.map(({ finished }) => finished))
    }
    await until('the sessions of the server to go', async () => (await house.server.sessions()).length === 0)
    const shown = await recordedOf(tags)
    let total = 0
    for (const tag of tags) {
      const ran = await ranOf(tag)
      total += ran.length
      expect(
        ran.filter((n) => shown.get(tag)?.has(n) !== true),
        tag,
      ).toEqual([])
    }
    expect(total).toBeGreaterThan(SETS * 3 * 3)
    await until('every session to be ended', async () => (await house.sallyport.sessions({ live: true })).length === 0)
    expect((await verified(house.sallyport)).problems).toEqual([])
    process.stdout.write(`${protocol}: ${total} statements ran around ${SETS * 2} kills, all of them recorded\n`)
  }, 300_000)

  test('access that ends while a statement runs: it is gone from the server within a second of the deed', async () => {
    const client = house.start(house.sleep(600))
    await until('it to run', async () => (await house.server.sessions()).includes(house.sleep(600)))
    const lock = await house.sallyport.api.addLock({
      body: { kind: 'user', target: 'alice', message: 'gone', ttl: '1h' },
    })
    await client.finished
    await until('the server to be free of it', async () => (await house.server.sessions()).length === 0)
    const [set] = await house.sallyport.events({ type: 'lock.create' })
    const ended = (await house.sallyport.events({ type: 'db.session.end' })).at(-1)
    expect((ended?.time ?? Infinity) - (set?.time ?? 0)).toBeLessThanOrEqual(1000)
    await house.sallyport.api.removeLock({ params: { id: lock.id } })
  })

  test('a control process that stands still stops no statement, and neither does the end of that', async () => {
    const client = house.start()
    client.write('select 6 * 7;\n')
    await client.prints(/42/)
    process.kill(house.sallyport.pid, 'SIGSTOP')
    try {
      client.write('select 7 * 7;\n')
      await client.prints(/49/)
    } finally {
      process.kill(house.sallyport.pid, 'SIGCONT')
    }
    client.end('select 8 * 8;\n')
    expect((await client.finished).stdout).toContain('64')
  })
})
