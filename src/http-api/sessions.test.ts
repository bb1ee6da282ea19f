import { createSecretKey, randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync, rmSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { seededStore, type SeededStore } from '../../test/support/seeded-store.ts'
import { tempFolder, type TempFolder } from '../../test/support/temp-folder.ts'
import { PlayedRecord } from '../contract/recording.ts'
import { Session } from '../contract/session.ts'
import type { Tables } from '../foundation/database/tables.ts'
import { Refused } from '../foundation/errors.ts'
import { newId } from '../foundation/ids.ts'
import { silentLog } from '../foundation/log.ts'
import { createSealer } from '../identity/sealing.ts'
import { RecordingWriter } from '../recording/recording-writer.ts'
import { recordingFile } from '../recording/recordings-folder.ts'
import type { CallContext } from './handler.ts'
import { sessionHandlers } from './sessions.ts'

const sealer = createSealer({ id: '0123456789abcdef', key: createSecretKey(randomBytes(32)) })
let store: SeededStore
let folder: TempFolder
let signedOut: string | null
let ended: { id: string; message: string; by: string }[]
let handlers: ReturnType<typeof sessionHandlers>

beforeEach(async () => {
  store = await seededStore()
  folder = tempFolder('sessions')
  ended = []
  signedOut = null
  handlers = sessionHandlers({
    db: store.database.reads,
    deeds: store.deeds,
    recordingsDir: folder.path,
    sealer,
    mayOperate: (user, resource, verb) =>
      Promise.resolve(user === 'usr_auditor' && resource === 'recording' && verb === 'read'),
    stillSignedIn: (loginId) => loginId !== signedOut,
    liveBytes: () => 77,
    terminate: ({ id }, { message, by }) => ended.push({ id, message, by: by.name }) > 0,
  })
  for (const name of ['ada', 'bob', 'carol', 'auditor']) await store.user(name, [])
  await store.grant('1', 'ada', 'dba', 3_600_000)
  await vote('bob', 'req_1')
})
afterEach(async () => {
  await store.database.close()
  folder[Symbol.dispose]()
})

function as(name: string, secondFactorAt: number | null = 1): CallContext {
  const local = name === 'local-admin'
  return {
    actor: { kind: local ? 'local-admin' : 'user', id: local ? null : `usr_${name}`, name },
    login: local ? null : { id: `lgn_${name}`, userId: `usr_${name}`, secondFactorAt },
    local,
    address: '127.0.0.1',
    signal: new AbortController().signal,
    requireOperator: () => Promise.resolve(),
    requireFresh: () => Promise.resolve(null),
    confirmation: null,
    log: silentLog,
  }
}

async function vote(reviewer: string, request: string): Promise<void> {
  const row: Tables['reviews'] = {
    id: `rvw_${reviewer}`,
    event_id: '',
    request_id: request,
    reviewer_id: `usr_${reviewer}`,
    reviewer_kind: 'user',
    decision: 'approve',
    reason: '',
    roles_json: '[]',
    duration_ms: null,
    request_digest: '',
    facts_digest: '',
    created_at: store.clock.now(),
    ordinal: 1,
    superseded_at: null,
    start_at: null,
    on_behalf_of: null,
  }
  await insert('reviews', row)
}

async function insert<T extends 'reviews' | 'sessions'>(table: T, row: Tables[T]): Promise<void> {
  await store.deeds.commitDeed(async (tx) => {
    if (table === 'reviews')
      await tx
        .insertInto('reviews')
        .values(row as Tables['reviews'])
        .execute()
    else
      await tx
        .insertInto('sessions')
        .values(row as Tables['sessions'])
        .execute()
    const rows = [{ table, id: row.id }]
    return {
      result: null,
      events: [{ type: 'resource.update', actor: as('ada').actor, outcome: 'success', rows }],
    }
  })
}

/** A session of ada's that was given by the request on which bob voted. */
async function session(changes: Partial<Tables['sessions']> = {}): Promise<{ id: string; path: string }> {
  store.clock.advance(1000)
  const id = newId('session', store.clock.now())
  const key = randomBytes(32)
  const path = folder.file(recordingFile(id))
  const meta = { session: id, user: 'ada', node: 'db-box', login: 'postgres' }
  const writer = RecordingWriter.create({ path, keyId: 'key_1', key, mode: 'strict' }, meta, {
    clock: store.clock,
    onFailure: () => {},
  })
  void writer.write({ kind: 'output', channel: 0, stream: 'stdout', bytes: Buffer.from('caf\xe9 \x1b[31m', 'latin1') })
  const { head } = await writer.close('exit')
  await insert('sessions', {
    id,
    event_id: '',
    user_id: 'usr_ada',
    login_id: 'lgn_ada',
    protocol: 'ssh',
    node_id: 'nod_db-box',
    node_name: 'db-box',
    login: 'postgres',
    db_name: null,
    just_in_time_id: null,
    address: '127.0.0.1',
    request_ids_json: '["req_1"]',
    grant_ids_json: '["grt_1"]',
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
    contents_json: '["shell"]',
    ...changes,
  })
  return { id, path }
}

async function list(context: CallContext, query: object = {}): Promise<{ ids: string[]; next: string | null }> {
  const answer = await handlers.listSessions?.(context, { params: {}, query, body: undefined })
  if (answer === undefined || !('items' in answer)) throw new Error('no page')
  return { ids: answer.items.map((item) => Session.parse(item).id), next: answer.next }
}

async function play(context: CallContext, id: string): Promise<PlayedRecord[]> {
  const answer = await handlers.playSession?.(context, { params: { id }, query: undefined, body: undefined })
  const lines: PlayedRecord[] = []
  for await (const line of (answer as { lines: AsyncIterable<unknown> }).lines) lines.push(PlayedRecord.parse(line))
  return lines
}

describe('playing', () => {
  test.each([
    ['whose session it is, even without a second factor', 'ada', null, 'own'],
    ['who voted on its request', 'bob', 1, 'voted'],
    ['whose own role reads recordings', 'auditor', 1, 'rule'],
  ])('is for those %s, and each playing is an event', async (_who, name, factor, reason) => {
    const { id } = await session()
    const lines = await play(as(name, factor), id)
    expect(lines.map((line) => line.kind)).toEqual(['start', 'output', 'end'])
    expect(lines[1]).toMatchObject({ bytes: Buffer.from('caf\xe9 \x1b[31m', 'latin1').toString('base64') })
    const [event] = await store.events('session.recording.access')
    expect(event).toMatchObject({ session_id: id, user_id: `usr_${name}`, outcome: 'success' })
    expect(JSON.parse(event?.details_json ?? '')).toMatchObject({ of: 'ada', as: reason })
  })

  test('the event is stored before the first line', async () => {
    const { id } = await session()
    await handlers.playSession?.(as('bob'), { params: { id }, query: undefined, body: undefined })
    expect(await store.events('session.recording.access')).toHaveLength(1)
  })

  test('stops within a line when the login session of the one who looks has ended', async () => {
    const { id } = await session()
    const answer = await handlers.playSession?.(as('ada'), { params: { id }, query: undefined, body: undefined })
    const lines = (answer as { lines: AsyncIterable<PlayedRecord> }).lines[Symbol.asyncIterator]()
    expect((await lines.next()).done).toBe(false)
    signedOut = 'lgn_ada'
    await expect(lines.next()).rejects.toMatchObject({ code: 'login_ended' })
  })

  test('no event, no line', async () => {
    const { id } = await session()
    const full = (): Promise<never> => Promise.reject(new Refused('store_unavailable', 'full'))
    const never = () => () => {}
    const deaf = sessionHandlers({
      db: store.database.reads,
      deeds: { commitDeed: full, commitTakingAway: full, onSpilled: never, onCommitted: never },
      recordingsDir: folder.path,
      sealer,
      mayOperate: () => Promise.resolve(false),
      stillSignedIn: () => true,
      liveBytes: () => undefined,
      terminate: () => false,
    })
    await expect(deaf.playSession?.(as('ada'), { params: { id }, query: undefined, body: undefined })).rejects.toThrow(
      'full',
    )
  })

  test('others, the local admin and callers of an unknown session get one and the same answer', async () => {
    const { id } = await session()
    const unknown = newId('session', 1)
    const answers = await Promise.all(
      [
        [as('carol'), id],
        [as('carol'), unknown],
        [as('local-admin'), id],
        [as('ada'), unknown],
        [as('carol'), '../../etc/passwd'],
      ].map(([context, which]) => play(context as CallContext, which as string).catch((error: unknown) => error)),
    )
    for (const answer of answers) expect(answer).toMatchObject({ code: 'not_found' })
    expect(new Set(answers.map(String)).size).toBe(1)
    expect(await store.events('session.recording.access')).toHaveLength(0)
  })

  test('what others did needs a second factor on this sign-in', async () => {
    const { id } = await session()
    for (const name of ['bob', 'auditor']) {
      await expect(play(as(name, null), id)).rejects.toMatchObject({ code: 'second_factor_required' })
    }
  })

  test('an altered file is refused with the number of its first wrong chunk, and that is an event too', async () => {
    const { id, path } = await session()
    const bytes = readFileSync(path)
    bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) ^ 1
    writeFileSync(path, bytes)
    const refusal = play(as('bob'), id)
    await expect(refusal).rejects.toMatchObject({ code: 'recording_altered', details: { chunk: 2 } })
    await expect(refusal).rejects.toThrow(/chunk 2/)
    const [event] = await store.events('session.recording.access')
    expect(event).toMatchObject({ outcome: 'failure' })
  })

  test.each([
    ['cut', (path: string) => writeFileSync(path, readFileSync(path).subarray(0, -1)), 'recording_altered'],
    ['missing', (path: string) => rmSync(path), 'recording_unavailable'],
    ['empty', (path: string) => writeFileSync(path, ''), 'recording_altered'],
    [
      'of another session',
      (path: string, other: string) => writeFileSync(path, readFileSync(other)),
      'recording_altered',
    ],
  ])('a file that is %s is refused', async (_what, change, code) => {
    const { id, path } = await session()
    const other = await session()
    change(path, other.path)
    await expect(play(as('ada'), id)).rejects.toMatchObject({ code })
  })

  test('a running session plays up to now and says that it goes on', async () => {
    const { id, path } = await session({
      ended_at: null,
      recording_state: 'open',
      recording_head: null,
      recording_chunks: 0,
    })
    writeFileSync(path, readFileSync(path).subarray(0, -5))
    const lines = await play(as('ada'), id)
    expect(lines.at(-1)).toMatchObject({ kind: 'end', reason: 'the session goes on' })
  })

  test('a row that names a file elsewhere opens nothing', async () => {
    const { id } = await session({ recording_file: '../../../etc/passwd' })
    await expect(play(as('ada'), id)).rejects.toMatchObject({ code: 'recording_unavailable' })
  })
})

describe('listing', () => {
  test('shows own sessions, those voted on, and everything to operators', async () => {
    const first = await session()
    const second = await session({ request_ids_json: '[]', grant_ids_json: '[]' })
    expect((await list(as('ada'))).ids).toEqual([second.id, first.id])
    expect((await list(as('bob'))).ids).toEqual([first.id])
    expect((await list(as('carol'))).ids).toEqual([])
    expect((await list(as('auditor'))).ids).toEqual([second.id, first.id])
    expect((await list(as('local-admin'))).ids).toEqual([second.id, first.id])
  })

  test('filters, and pages without loss or repetition', async () => {
    const made: string[] = []
    for (let i = 0; i < 5; i++) made.unshift((await session(i === 2 ? { ended_at: null } : {})).id)
    expect((await list(as('ada'), { live: true })).ids).toEqual([made[2]])
    expect((await list(as('ada'), { node: 'dev-box' })).ids).toEqual([])
    expect((await list(as('auditor'), { user: 'ada' })).ids).toEqual(made)
    const seen: string[] = []
    for (let cursor: string | null = ''; cursor !== null;) {
      const page = await list(as('ada'), { limit: 2, ...(cursor === '' ? {} : { cursor }) })
      seen.push(...page.ids)
      cursor = page.next
    }
    expect(seen).toEqual(made)
    await expect(list(as('ada'), { cursor: 'made up' })).rejects.toMatchObject({ code: 'malformed' })
  })

  test('show answers like list: to others the session does not exist', async () => {
    const { id } = await session({ ended_at: null })
    const input = { params: { id }, query: undefined, body: undefined }
    expect(Session.parse(await handlers.showSession?.(as('bob'), input))).toMatchObject({
      id,
      recording: { bytes: 77 },
    })
    await expect(handlers.showSession?.(as('carol'), input)).rejects.toMatchObject({ code: 'not_found' })
  })
})

describe('terminating', () => {
  test('closes a live session with the message, once', async () => {
    const live = await session({ ended_at: null })
    const over = await session()
    const end = (id: string) =>
      handlers.terminateSession?.(as('auditor'), { params: { id }, query: undefined, body: { message: 'stop' } })
    await end(live.id)
    expect(ended).toEqual([{ id: live.id, message: 'stop', by: 'auditor' }])
    await expect(end(over.id)).rejects.toMatchObject({ code: 'changed_meanwhile' })
    await expect(end('ses_none')).rejects.toMatchObject({ code: 'not_found' })
  })
})
