import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, rmSync, statfsSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { StoredDeedLog } from '../../src/audit/commit-deed.ts'
import { openSpillFile, type SpillFile } from '../../src/audit/spill-file.ts'
import { verifyAudit } from '../../src/audit/verify/verify-audit.ts'
import { systemClock } from '../../src/foundation/clock.ts'
import { type Database, openDatabase } from '../../src/foundation/database/open-database.ts'
import { Refused } from '../../src/foundation/errors.ts'
import { silentLog } from '../../src/foundation/log.ts'
import { addLock, liftLock } from '../support/audit-lab.ts'
import { needProgram } from '../support/need-program.ts'
import { type TempFolder, tempFolder } from '../support/temp-folder.ts'
import { until } from '../support/until.ts'

let folder: TempFolder
let disk: string
let opened: (() => Promise<void> | void)[]

beforeEach(() => {
  folder = tempFolder('full')
  disk = folder.file('disk')
  opened = []
  mkdirSync(disk)
  execFileSync(needProgram('mount'), ['-t', 'tmpfs', '-o', 'size=8m,mode=700', 'tmpfs', disk])
})
afterEach(async () => {
  for (const close of opened.toReversed()) await close()
  execFileSync(needProgram('umount'), ['-l', disk])
  folder[Symbol.dispose]()
})

interface Store {
  readonly database: Database
  readonly deeds: StoredDeedLog
  readonly spill: SpillFile
}

function open(): Store {
  const database = openDatabase(join(disk, 'data', 'store.db'))
  const spill = openSpillFile(join(disk, 'data', 'orders.spill'))
  const deeds = new StoredDeedLog({ database, clock: systemClock, log: silentLog, spill })
  deeds.registerReplay('lift', (input) => liftLock(String(input['id'])))
  opened.push(
    () => database.close(),
    () => spill.close(),
    () => deeds.close(),
  )
  return { database, deeds, spill }
}

async function close(): Promise<void> {
  for (const step of opened.splice(0).toReversed()) await step()
}

function fillDisk(): string {
  const filler = join(disk, 'filler')
  const fd = openSync(filler, 'w')
  for (let block = 65_536; block >= 1;) {
    try {
      writeSync(fd, Buffer.alloc(block, 1))
    } catch {
      block = Math.floor(block / 2)
    }
  }
  closeSync(fd)
  expect(statfsSync(disk).bavail).toBe(0)
  return filler
}

/** Commits until the store refuses: a full disk still has room inside the write-ahead log. */
async function commitUntilRefused(deeds: StoredDeedLog): Promise<number> {
  for (let index = 0; index < 3000; index++) {
    try {
      await deeds.commitDeed(addLock(`lck_fill_${String(index)}`))
    } catch (error) {
      expect(error).toBeInstanceOf(Refused)
      expect(error).toMatchObject({ code: 'store_unavailable' })
      return index
    }
  }
  throw new Error('the store never became full')
}

describe('a full disk under the audit store', () => {
  it('refuses what gives power with nothing half done, takes what takes power away, and stores it when there is room', async () => {
    const { database, deeds, spill } = open()
    await deeds.commitDeed(addLock('lck_first'))
    const filler = fillDisk()
    const stored = await commitUntilRefused(deeds)

    const events = await database.reads.selectFrom('audit_events').select('seq').execute()
    const locks = await database.reads.selectFrom('locks').select(['id', 'event_id']).execute()
    expect(events).toHaveLength(stored + 1)
    expect(locks).toHaveLength(stored + 1)
    expect(locks.filter((lock) => lock.event_id === '')).toEqual([])
    expect(deeds.health().ok).toBe(false)

    expect(await deeds.commitTakingAway({ name: 'lift', input: { id: 'lck_first' } }, liftLock('lck_first'))).toBe(
      'spilled',
    )
    expect(spill.kept()).toHaveLength(1)
    unlinkSync(filler)
    await until('the order to be stored by itself', () => deeds.spilled === 0)
    expect(deeds.health()).toEqual({ ok: true })
    const lifted = await database.reads
      .selectFrom('locks')
      .select('removed_at')
      .where('id', '=', 'lck_first')
      .executeTakeFirst()
    expect(lifted?.removed_at).toBeGreaterThan(0)
    await deeds.commitDeed(addLock('lck_last'))
    expect((await verifyAudit({ database: database.path, checkFile: true })).problems).toEqual([])
  })

  it('loses no order to a restart', async () => {
    const first = open()
    await first.deeds.commitDeed(addLock('lck_first'))
    const filler = fillDisk()
    await commitUntilRefused(first.deeds)
    const order = { name: 'lift', input: { id: 'lck_first' } }
    expect(await first.deeds.commitTakingAway(order, liftLock('lck_first'))).toBe('spilled')
    await close()
    rmSync(filler)
    const second = open()
    expect(second.deeds.spilled).toBe(1)
    await second.deeds.retrySpilled()
    expect(second.deeds.spilled).toBe(0)
    const events = await second.database.reads
      .selectFrom('audit_events')
      .select('type')
      .orderBy('seq', 'desc')
      .execute()
    expect(events[0]?.type).toBe('lock.delete')
    await close()
    expect(open().deeds.spilled).toBe(0)
  })
})
