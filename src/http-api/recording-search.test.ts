import { createSecretKey, randomBytes } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { seededStore, type SeededStore } from '../../test/support/seeded-store.ts'
import { tempFolder, type TempFolder } from '../../test/support/temp-folder.ts'
import { RecordingSearchPage } from '../contract/recording-search.ts'
import type { RecordingEntry } from '../formats/recording-record.ts'
import { encodeParameters } from '../formats/statement-parameters.ts'
import type { Tables } from '../foundation/database/tables.ts'
import { newId } from '../foundation/ids.ts'
import { silentLog } from '../foundation/log.ts'
import { createSealer } from '../identity/sealing.ts'
import { RecordingWriter } from '../recording/recording-writer.ts'
import { recordingFile } from '../recording/recordings-folder.ts'
import type { CallContext } from './handler.ts'
import { recordingSearchHandlers } from './recording-search.ts'

const sealer = createSealer({ id: '0123456789abcdef', key: createSecretKey(randomBytes(32)) })
let store: SeededStore
let folder: TempFolder
let handlers: ReturnType<typeof recordingSearchHandlers>
let storeIsFull: boolean

beforeEach(async () => {
  store = await seededStore()
  folder = tempFolder('search')
  storeIsFull = false
  handlers = recordingSearchHandlers({
    db: store.database.reads,
    deeds: {
      commitTakingAway: () => Promise.reject(new Error('unused')),
      onSpilled: () => () => {},
      onCommitted: () => () => {},
      commitDeed: (work) => (storeIsFull ? Promise.reject(new Error('full')) : store.deeds.commitDeed(work)),
    },
    recordingsDir: folder.path,
    sealer,
    mayOperate: (user, resource, verb) =>
      Promise.resolve(user === 'usr_auditor' && resource === 'recording' && verb === 'read'),
    stillSignedIn: () => true,
    liveBytes: () => undefined,
    terminate: () => false,
  })
  for (const name of ['ada', 'bob', 'carol', 'auditor']) await store.user(name, [])
})
afterEach(async () => {
  await store.database.close()
  folder[Symbol.dispose]()
})

const as = (name: string, secondFactorAt: number | null = 1): CallContext => ({
  actor: { kind: 'user', id: `usr_${name}`, name },
  login: { id: `lgn_${name}`, userId: `usr_${name}`, secondFactorAt },
  local: false,
  address: '127.0.0.1',
  signal: new AbortController().signal,
  requireOperator: () => Promise.resolve(),
  requireFresh: () => Promise.resolve(null),
  confirmation: null,
  log: silentLog,
})

const kept = (bytes: Uint8Array) => ({ bytes, length: bytes.length, sha256: null })
const statement = (text: string, values: readonly string[] = []): RecordingEntry => ({
  kind: 'statement',
  number: 1,
  command: 'query',
  prepared: null,
  name: '',
  text: kept(Buffer.from(text)),
  parameters: values.length === 0 ? null : kept(encodeParameters(values.map((value) => Buffer.from(value)))),
})

async function session(user: string, entries: readonly RecordingEntry[]): Promise<{ id: string; path: string }> {
  store.clock.advance(1000)
  const id = newId('session', store.clock.now())
  const key = randomBytes(32)
  const path = folder.file(recordingFile(id))
  const meta = { session: id, user, node: 'db-box', login: 'postgres' }
  const surroundings = { clock: store.clock, onFailure: () => {} }
  const writer = RecordingWriter.create({ path, keyId: 'key_1', key, mode: 'strict' }, meta, surroundings)
  for (const entry of entries) void writer.write(entry)
  const { head } = await writer.close('exit')
  const row: Tables['sessions'] = {
    id,
    event_id: '',
    user_id: `usr_${user}`,
    login_id: `lgn_${user}`,
    protocol: 'ssh',
    node_id: 'nod_db-box',
    node_name: 'db-box',
    login: 'postgres',
    address: '127.0.0.1',
    request_ids_json: '[]',
    grant_ids_json: '[]',
    started_at: store.clock.now(),
    ended_at: store.clock.now(),
    end_reason: 'exit',
    recording_file: recordingFile(id),
    recording_key_sealed: sealer.seal({ table: 'sessions', row: id, column: 'recording_key_sealed' }, key),
    recording_key_id: 'key_1',
    recording_mode: 'strict',
    recording_state: 'complete',
    recording_bytes: head.bytes,
    recording_head: head.digest,
    recording_chunks: head.chunks,
    instance_id: null,
    contents_json: '["statements"]',
    db_name: null,
    just_in_time_id: null,
  }
  await store.deeds.commitDeed(async (tx) => {
    await tx.insertInto('sessions').values(row).execute()
    const rows = [{ table: 'sessions' as const, id }]
    return { result: null, events: [{ type: 'resource.update', actor: as('ada').actor, outcome: 'success', rows }] }
  })
  return { id, path }
}

async function search(context: CallContext, text: string, more: object = {}): Promise<RecordingSearchPage> {
  const query = { text, ...more }
  return RecordingSearchPage.parse(await handlers.searchRecordings?.(context, { params: {}, query, body: undefined }))
}
const idsOf = (page: RecordingSearchPage): string[] => page.items.map((item) => item.session.id)

describe('a search', () => {
  test('finds a table name in statements, parameters, commands and file names, whatever its case', async () => {
    const file = {
      kind: 'file',
      channel: 0,
      via: 'sftp',
      operation: 'open',
      path: '/tmp/Orders.csv',
      ok: true,
    } as const
    const made = [
      await session('ada', [statement('SELECT * FROM "ORDERS" WHERE id = 7')]),
      await session('ada', [statement('select $1', ['from orders'])]),
      await session('ada', [{ kind: 'exec', channel: 0, command: 'pg_dump -t orders' }]),
      await session('ada', [file]),
    ]
    await session('ada', [statement('select 1')])
    const page = await search(as('ada'), 'orders')
    expect(idsOf(page)).toEqual(made.map(({ id }) => id).toReversed())
    expect(page.items.at(-1)?.matches).toEqual([
      { at: 0, kind: 'statement', number: 1, excerpt: 'SELECT * FROM "ORDERS" WHERE id = 7' },
    ])
    expect([page.searched, page.next]).toEqual([5, null])
  })

  test('shows the first matches of a session and counts the others', async () => {
    await session(
      'ada',
      Array.from({ length: 12 }, () => statement(`${'x'.repeat(500)} orders ${'y'.repeat(500)}`)),
    )
    const [item] = (await search(as('ada'), 'orders')).items
    expect([item?.matches.length, item?.more]).toEqual([5, 7])
    expect(item?.matches[0]?.excerpt).toMatch(/^\.\.\.x{59} orders y+\.\.\.$/)
  })

  test('goes on where its page ended, without loss or repetition', async () => {
    const made: string[] = []
    for (let i = 0; i < 5; i++) made.unshift((await session('ada', [statement('orders')])).id)
    const seen: string[] = []
    for (let cursor: string | null = ''; cursor !== null;) {
      const page = await search(as('ada'), 'orders', { limit: 2, ...(cursor === '' ? {} : { cursor }) })
      seen.push(...idsOf(page))
      cursor = page.next
    }
    expect(seen).toEqual(made)
  })

  test('is for those who may play, and looks into nothing else', async () => {
    const { id } = await session('ada', [statement('orders')])
    expect(idsOf(await search(as('ada', null), 'orders'))).toEqual([id])
    expect(idsOf(await search(as('auditor'), 'orders'))).toEqual([id])
    expect(await search(as('carol'), 'orders')).toMatchObject({ items: [], searched: 0, withheld: 0 })
    await expect(search({ ...as('ada'), login: null, local: true }, 'orders')).rejects.toMatchObject({
      code: 'not_allowed',
    })
  })

  test('of what others did needs a second factor on this sign-in, and says that something is withheld', async () => {
    await session('ada', [statement('orders')])
    expect(await search(as('auditor', null), 'orders')).toMatchObject({ items: [], searched: 0, withheld: 1 })
  })

  test('is an event that names the text and every session, and a playing of each that is shown', async () => {
    const hit = await session('ada', [statement('orders')])
    const other = await session('ada', [statement('select 1')])
    await search(as('auditor'), 'orders')
    const [event] = await store.events('session.recording.search')
    expect(event).toMatchObject({ user_id: 'usr_auditor', outcome: 'success' })
    expect(JSON.parse(event?.details_json ?? '')).toEqual({ text: 'orders', sessions: [other.id, hit.id] })
    const played = await store.events('session.recording.access')
    expect(played.map((one) => one.session_id)).toEqual([hit.id])
    expect(JSON.parse(played[0]?.details_json ?? '')).toEqual({ of: 'ada', as: 'rule', by: 'search' })
  })

  test('answers nothing when its event cannot be stored', async () => {
    await session('ada', [statement('orders')])
    storeIsFull = true
    await expect(search(as('ada'), 'orders')).rejects.toThrow('full')
  })

  test.each([
    ['missing', (path: string) => rmSync(path)],
    ['no recording', (path: string) => writeFileSync(path, 'x'.repeat(1000))],
    ['empty', (path: string) => writeFileSync(path, '')],
  ])('names a session whose file is %s, finds the others, and that is an event too', async (_what, change) => {
    const broken = await session('ada', [statement('orders')])
    const whole = await session('ada', [statement('orders')])
    change(broken.path)
    const page = await search(as('ada'), 'orders')
    expect([idsOf(page), page.unreadable]).toEqual([[whole.id], [broken.id]])
    const outcomes = (await store.events('session.recording.access')).map((one) => [one.session_id, one.outcome])
    expect(outcomes).toContainEqual([broken.id, 'failure'])
  })

  test('waits for its turn, and only so many may wait', async () => {
    await session('ada', [statement('orders')])
    const answers = await Promise.allSettled(Array.from({ length: 12 }, () => search(as('ada'), 'orders')))
    const refused = answers.filter((answer) => answer.status === 'rejected')
    expect(refused.map((answer) => (answer.reason as { code?: string }).code)).toEqual([
      'too_many_attempts',
      'too_many_attempts',
    ])
  })
})
