import { DatabaseSync } from 'node:sqlite'
import { sql } from 'kysely'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Database } from '../foundation/database/open-database.ts'
import { openTemporaryDatabase } from '../foundation/database/open-database.ts'
import { Refused } from '../foundation/errors.ts'
import { silentLog } from '../foundation/log.ts'
import { ManualClock } from '../../test/support/manual-clock.ts'
import { detailsHash, GENESIS, leafHash, nextHead, rowHash } from '../formats/audit-chain.ts'
import { StoredDeedLog } from './commit-deed.ts'
import type { Deed, NewEvent, Tx } from './deed.ts'
import { spillInMemory } from './spill-file.ts'

let clock: ManualClock
let database: Database
let deeds: StoredDeedLog

beforeEach(() => {
  clock = new ManualClock()
  database = openTemporaryDatabase(clock)
  deeds = new StoredDeedLog({ database, clock, log: silentLog, spill: spillInMemory() })
})
afterEach(async () => {
  await deeds.close()
  await database.close()
})

const actor = { kind: 'local-admin', id: null, name: 'local-admin' } as const

function lockEvent(id: string, more: Partial<NewEvent> = {}): NewEvent {
  return { type: 'lock.create', actor, outcome: 'success', rows: [{ table: 'locks', id }], ...more }
}

function addLock(id: string, events?: readonly [NewEvent, ...NewEvent[]]) {
  return async (tx: Tx, now: number): Promise<Deed<string>> => {
    await tx
      .insertInto('locks')
      .values({
        id,
        event_id: '',
        target_kind: 'user',
        target_id: 'usr_1',
        target_name: 'eve',
        message: 'no',
        created_by: 'local-admin',
        created_at: now,
        expires_at: null,
        removed_at: null,
      })
      .execute()
    return { result: id, events: events ?? [lockEvent(id)] }
  }
}

const allEvents = () => database.reads.selectFrom('audit_events').selectAll().orderBy('seq').execute()

describe('a deed', () => {
  it('stores its change, its events, the change log and the outbox together', async () => {
    const result = await deeds.commitDeed(async (tx, now) => ({
      ...(await addLock('lck_1')(tx, now)),
      outbox: [{ topic: 'lock', body: { id: 'lck_1' } }],
    }))
    expect(result).toBe('lck_1')
    const [event] = await allEvents()
    const row = await database.reads.selectFrom('locks').selectAll().executeTakeFirstOrThrow()
    expect(row.event_id).toBe(event?.id)
    expect(JSON.parse(event?.rows_json ?? '')).toEqual([
      { table: 'locks', id: 'lck_1', hash: rowHash('locks', { ...row }) },
    ])
    expect(await database.reads.selectFrom('change_log').selectAll().execute()).toEqual([
      { seq: 1, position: 0, table_name: 'locks', row_id: 'lck_1' },
    ])
    expect(await database.reads.selectFrom('outbox').select(['topic', 'body_json']).execute()).toEqual([
      { topic: 'lock', body_json: '{"id":"lck_1"}' },
    ])
  })

  it('links each event to the one before, without gaps, from parallel callers', async () => {
    await Promise.all(Array.from({ length: 20 }, (_, index) => deeds.commitDeed(addLock(`lck_${String(index)}`))))
    const events = await allEvents()
    expect(events.map((event) => event.seq)).toEqual(Array.from({ length: 20 }, (_, index) => index + 1))
    let head = GENESIS
    for (const event of events) {
      expect(event.details_hash).toBe(detailsHash(event.salt, event.details_json ?? ''))
      expect(event.leaf).toBe(leafHash(event))
      head = nextHead(head, event.leaf)
      expect(event.hash).toBe(head)
    }
    expect(await database.reads.selectFrom('chain_head').selectAll().execute()).toEqual([
      { id: 1, seq: 20, hash: head, time: clock.now() },
    ])
  })

  it('keeps nothing when its work throws, and the next one goes on without a gap', async () => {
    const failing = deeds.commitDeed(async (tx, now) => {
      await addLock('lck_bad')(tx, now)
      throw new Refused('not_allowed', 'no')
    })
    await expect(failing).rejects.toMatchObject({ code: 'not_allowed' })
    await deeds.commitDeed(addLock('lck_good'))
    expect((await allEvents()).map((event) => event.seq)).toEqual([1])
    expect((await database.reads.selectFrom('locks').select('id').execute()).map((row) => row.id)).toEqual(['lck_good'])
  })

  it('cannot write a power row that no event names', async () => {
    const silent: NewEvent = { type: 'lock.create', actor, outcome: 'success' }
    await expect(deeds.commitDeed(addLock('lck_1', [silent]))).rejects.toThrow(/locks\/lck_1/)
    expect(await allEvents()).toEqual([])
  })

  it('cannot name a row that is not there', async () => {
    const work = async () => ({ result: 1, events: [lockEvent('lck_none')] as const })
    await expect(deeds.commitDeed(work)).rejects.toThrow(/names locks\/lck_none, which is not there/)
  })

  it('binds a removed row by its absence', async () => {
    await deeds.commitDeed(addLock('lck_1'))
    await deeds.commitDeed(async (tx) => {
      await tx.deleteFrom('locks').where('id', '=', 'lck_1').execute()
      return { result: null, events: [lockEvent('lck_1', { type: 'lock.delete' })] }
    })
    const [, removal] = await allEvents()
    expect(JSON.parse(removal?.rows_json ?? '')).toEqual([{ table: 'locks', id: 'lck_1', hash: null }])
  })

  it('gives several events of one deed the same content of a row, and the last one its name', async () => {
    await deeds.commitDeed(addLock('lck_1', [lockEvent('lck_1'), lockEvent('lck_1')]))
    const [one, two] = await allEvents()
    expect(one?.rows_json).toBe(two?.rows_json)
    expect((await database.reads.selectFrom('locks').select('event_id').executeTakeFirstOrThrow()).event_id).toBe(
      two?.id,
    )
  })

  it('refuses details that are too long or no JSON', async () => {
    const tell = (details: Record<string, unknown>) =>
      deeds.commitDeed(async () => ({ result: 1, events: [{ type: 'exec', actor, outcome: 'success', details }] }))
    await expect(tell({ text: 'x'.repeat(70_000) })).rejects.toMatchObject({ code: 'over_limit' })
    await expect(tell({ when: undefined })).rejects.toThrow(TypeError)
    await expect(tell({ text: '\ud800' })).rejects.toThrow(TypeError)
    expect(await allEvents()).toEqual([])
  })
})

describe('deeds that wait together', () => {
  const tellNothing: NewEvent = { type: 'auth.fail', actor, outcome: 'refused' }
  const locksSeen = async (tx: Tx): Promise<Deed<number>> => {
    const rows = await tx.selectFrom('locks').select('id').execute()
    return { result: rows.length, events: [tellNothing] }
  }
  const failing = async (tx: Tx, now: number): Promise<Deed<string>> => {
    await addLock('lck_bad')(tx, now)
    throw new Refused('not_allowed', 'no')
  }
  /** Fails at the commit alone: a foreign key is checked there. */
  const dangling = async (tx: Tx): Promise<Deed<string>> => {
    const row = { id: 'inv_1', event_id: '', user_id: 'usr_none', code_hash: 'x', expires_at: 1, used_at: null }
    await tx.insertInto('invitations').values(row).execute()
    return { result: 'never', events: [lockEvent('inv_1', { rows: [{ table: 'invitations', id: 'inv_1' }] })] }
  }

  it('share a transaction; one that fails takes back its own alone, and each sees those before it', async () => {
    const heard: number[] = []
    deeds.onCommitted((committed) => void heard.push(committed.position))
    const results = await Promise.allSettled([
      deeds.commitDeed(addLock('lck_1')),
      deeds.commitDeed(failing),
      deeds.commitDeed(locksSeen),
      deeds.commitDeed(addLock('lck_2', [{ ...lockEvent('lck_2'), rows: [] }])),
      deeds.commitDeed(addLock('lck_3')),
      deeds.commitDeed(locksSeen),
    ])
    expect(results.map((result) => (result.status === 'fulfilled' ? result.value : 'failed'))).toEqual([
      'lck_1',
      'failed',
      1,
      'failed',
      'lck_3',
      2,
    ])
    expect((await allEvents()).map((event) => event.seq)).toEqual([1, 2, 3, 4])
    expect((await database.reads.selectFrom('locks').select('id').execute()).map((row) => row.id)).toEqual([
      'lck_1',
      'lck_3',
    ])
    expect(heard).toEqual([4])
  })

  it('are stored one by one when the commit refuses what one of them wrote, and nobody keeps what it saw of it', async () => {
    const invitations = async (tx: Tx): Promise<Deed<number>> => {
      const rows = await tx.selectFrom('invitations').select('id').execute()
      return { result: rows.length, events: [tellNothing] }
    }
    const results = await Promise.allSettled([
      deeds.commitDeed(addLock('lck_1')),
      deeds.commitDeed(dangling),
      deeds.commitDeed(invitations),
    ])
    expect(results).toMatchObject([{ value: 'lck_1' }, { status: 'rejected' }, { value: 0 }])
    expect((await allEvents()).map((event) => event.seq)).toEqual([1, 2])
  })

  it('on a disk that is full for one of them alone, the others are stored', async () => {
    await deeds.commitDeed(addLock('lck_1'))
    const big: NewEvent = lockEvent('lck_2', { details: { text: 'x'.repeat(60_000) } })
    const pages = await sql<{ page_count: number }>`pragma page_count`.execute(database.reads)
    const most = (pages.rows[0]?.page_count ?? 0) + 3
    await database.transact((tx) => sql.raw(`pragma max_page_count = ${String(most)}`).execute(tx))
    const results = await Promise.allSettled([
      deeds.commitDeed(addLock('lck_a')),
      deeds.commitDeed(addLock('lck_2', [big])),
      deeds.commitDeed(addLock('lck_b')),
    ])
    expect(results).toMatchObject([{ value: 'lck_a' }, { reason: { code: 'store_unavailable' } }, { value: 'lck_b' }])
    expect((await allEvents()).map((event) => event.seq)).toEqual([1, 2, 3])
    expect(deeds.health()).toEqual({ ok: true })
  })

  it('one that must be first finds a head that is committed', async () => {
    const heads: (readonly [number, number])[] = []
    const look = async (tx: Tx): Promise<Deed<null>> => {
      const inside = await tx.selectFrom('chain_head').select('seq').executeTakeFirst()
      const committed = await database.reads.selectFrom('chain_head').select('seq').executeTakeFirst()
      heads.push([inside?.seq ?? 0, committed?.seq ?? 0])
      return { result: null, events: [tellNothing] }
    }
    await Promise.all([
      deeds.commitDeed(addLock('lck_1')),
      deeds.commitDeed(look),
      deeds.commitDeed(look, { first: true }),
      deeds.commitDeed(look),
    ])
    expect(heads).toEqual([
      [1, 0],
      [2, 2],
      [3, 2],
    ])
  })

  it('are refused together once the log is closed', async () => {
    const stored = deeds.commitDeed(addLock('lck_1'))
    await stored
    await deeds.close()
    const late = await Promise.allSettled([deeds.commitDeed(addLock('lck_2')), deeds.commitDeed(addLock('lck_3'))])
    expect(late).toMatchObject([{ reason: { code: 'shutting_down' } }, { reason: { code: 'shutting_down' } }])
  })
})

describe('listeners', () => {
  it('hear of each deed after its commit, in order, before its promise resolves', async () => {
    const heard: string[] = []
    deeds.onCommitted(async (committed) => {
      const rows = await database.reads.selectFrom('locks').select('id').execute()
      heard.push(`${String(committed.position)} of ${String(rows.length)}`)
    })
    const stop = deeds.onCommitted((committed) => {
      expect(committed.rows).toEqual([{ table: 'locks', id: `lck_${String(committed.position)}` }])
    })
    await deeds.commitDeed(addLock('lck_1'))
    expect(heard).toEqual(['1 of 1'])
    stop()
    await Promise.all([deeds.commitDeed(addLock('lck_b')), deeds.commitDeed(addLock('lck_c'))])
    await deeds.commitDeed(addLock('lck_d'))
    expect(heard).toEqual(['1 of 1', '3 of 3', '4 of 4'])
  })

  it('may store deeds of their own, and cannot fail the deed that they hear of', async () => {
    deeds.onCommitted(async (committed) => {
      if (committed.position === 1) await deeds.commitDeed(addLock('lck_nested'))
      throw new Error('listener broke')
    })
    await deeds.commitDeed(addLock('lck_1'))
    expect(await allEvents()).toHaveLength(2)
  })
})

describe('the clock', () => {
  it('set back by more than a minute stops what gives power, not what only tells or takes away', async () => {
    await deeds.commitDeed(addLock('lck_1'))
    const before = clock.now()
    clock.jumpTo(before - 60_001)
    await expect(deeds.commitDeed(addLock('lck_2'))).rejects.toMatchObject({ code: 'clock_set_back' })
    await deeds.commitDeed(async () => ({ result: 1, events: [{ type: 'auth.fail', actor, outcome: 'refused' }] }))
    await deeds.commitTakingAway({ name: 'lock', input: {} }, addLock('lck_3'))
    expect((await allEvents()).map((event) => event.time)).toEqual([before, before, before])
    clock.jumpTo(before - 60_000)
    await deeds.commitDeed(addLock('lck_4'))
  })
})

describe('a store that cannot write', () => {
  it('because it went back under our feet takes nothing but an acceptance', async () => {
    await deeds.commitDeed(addLock('lck_1'))
    await database.transact((tx) => tx.updateTable('chain_head').set({ seq: 0 }).execute())
    await expect(deeds.commitDeed(addLock('lck_2'))).rejects.toMatchObject({ code: 'read_only' })
    expect(deeds.health()).toEqual({ ok: false, why: expect.stringContaining('went back') as string })
    expect(await deeds.commitTakingAway({ name: 'unknown', input: {} }, addLock('lck_2'))).toBe('spilled')
    expect(deeds.spilled).toBe(1)
  })

  it('keeps orders that take away and stores them when it can again', async () => {
    deeds.registerReplay('lock', (input) => addLock(String(input['id'])))
    deeds.becomeReadOnly('test')
    expect(await deeds.commitTakingAway({ name: 'lock', input: { id: 'lck_7' } }, addLock('lck_7'))).toBe('spilled')
    await deeds.commitAcceptance(async () => ({
      result: 1,
      events: [{ type: 'audit.accept_rollback', actor, outcome: 'success' }],
    }))
    await deeds.retrySpilled()
    expect(deeds.spilled).toBe(0)
    expect((await allEvents()).map((event) => event.type)).toEqual(['audit.accept_rollback', 'lock.create'])
    expect(deeds.health()).toEqual({ ok: true })
  })

  it('refuses on a full disk, keeps what takes away, and stores it within the next second', async () => {
    await deeds.commitDeed(addLock('lck_1'))
    // Belongs to the connection, which is given up after the failure: one failure for each time it is set.
    const full = () => database.transact((tx) => sql`pragma max_page_count = 1`.execute(tx))
    const big: NewEvent = lockEvent('lck_2', { details: { text: 'x'.repeat(60_000) } })
    await full()
    await expect(deeds.commitDeed(addLock('lck_2', [big]))).rejects.toMatchObject({ code: 'store_unavailable' })
    expect(deeds.health()).toEqual({ ok: false, why: 'the disk is full' })
    expect(await database.reads.selectFrom('locks').select('id').execute()).toEqual([{ id: 'lck_1' }])
    await full()
    deeds.registerReplay('lock', (input) => addLock(String(input['id'])))
    expect(await deeds.commitTakingAway({ name: 'lock', input: { id: 'lck_2' } }, addLock('lck_2', [big]))).toBe(
      'spilled',
    )
    clock.advance(1000)
    await expect.poll(() => deeds.spilled).toBe(0)
    expect(deeds.health()).toEqual({ ok: true })
    expect((await allEvents()).map((event) => event.seq)).toEqual([1, 2])
  })

  it('keeps an order that nobody can replay, and drops one that is refused for what it is', async () => {
    deeds.becomeReadOnly('test')
    await deeds.commitTakingAway({ name: 'gone', input: {} }, addLock('lck_1'))
    await deeds.commitTakingAway({ name: 'unknown', input: {} }, addLock('lck_2'))
    deeds.registerReplay('gone', () => async () => {
      throw new Refused('not_found', 'it has ended meanwhile')
    })
    const event: NewEvent = { type: 'audit.accept_rollback', actor, outcome: 'success' }
    await deeds.commitAcceptance(async () => ({ result: 1, events: [event] }))
    await deeds.retrySpilled()
    expect(deeds.spilled).toBe(1)
  })

  it('says store_unavailable, changes nothing, and works again after its trouble is over', async () => {
    await deeds.commitDeed(addLock('lck_1'))
    const other = new DatabaseSync(database.path, { timeout: 0 })
    other.exec('begin immediate')
    await expect(deeds.commitDeed(addLock('lck_2'))).rejects.toMatchObject({ code: 'store_unavailable' })
    expect(deeds.health().ok).toBe(false)
    other.exec('rollback')
    other.close()
    await deeds.commitDeed(addLock('lck_3'))
    expect(deeds.health()).toEqual({ ok: true })
    expect((await allEvents()).map((event) => event.seq)).toEqual([1, 2])
  })
})
