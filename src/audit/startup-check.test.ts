import { copyFileSync, rmSync, writeFileSync } from 'node:fs'
import { generateKeyPairSync, sign } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  addAuthority,
  addLock,
  admin,
  type AuditLab,
  fillLab,
  openAuditLab,
  stealDatabase,
  tell,
} from '../../test/support/audit-lab.ts'
import { openDatabase } from '../foundation/database/open-database.ts'
import { silentLog } from '../foundation/log.ts'
import { acceptRollback } from './accept-rollback.ts'
import { Checkpoints } from './checkpoints.ts'
import { StoredDeedLog } from './commit-deed.ts'
import { openOutsideFile } from './outside-file.ts'
import { spillInMemory } from './spill-file.ts'
import { checkStart, type StartFinding } from './startup-check.ts'
import { verifyAudit } from './verify/verify-audit.ts'

let lab: AuditLab

beforeEach(async () => {
  lab = await openAuditLab()
})
afterEach(() => lab.remove())

const check = (database = lab.database, keys = [lab.keys.publicKey]): Promise<StartFinding> =>
  checkStart({ database, outside: lab.outside, installationId: 'ins_lab', keys })

/** Opens the lab's copy `file` as its daemon would after a restart. */
function restart(file: string) {
  const database = openDatabase(file, { durable: false, clock: lab.clock })
  const deeds = new StoredDeedLog({ database, clock: lab.clock, log: silentLog, spill: spillInMemory() })
  const checkpoints = new Checkpoints({
    database,
    clock: lab.clock,
    log: silentLog,
    installationId: 'ins_lab',
    outside: lab.outside,
    signer: () => lab.signer,
    openSessions: () => [],
    readOnly: () => deeds.readOnly,
  })
  const close = async (): Promise<void> => {
    await deeds.close()
    await database.close()
  }
  return { database, deeds, checkpoints, close }
}

describe('the check at start', () => {
  it('goes on when the store continues its last checkpoint outside', async () => {
    expect(await check()).toEqual({ state: 'unanchored', warning: null })
    await fillLab(lab, 5, 5)
    expect(await check()).toEqual({ state: 'continues' })
    await lab.deeds.commitDeed(addLock('lck_after'))
    expect(await check()).toEqual({ state: 'continues' })
  })

  it('finds a store that is shorter, of another history, or of another installation', async () => {
    await fillLab(lab, 5, 5)
    const short = stealDatabase(lab, 'short')
    short.db.exec('update chain_head set seq = 3; delete from audit_events where seq > 3')
    short.db.close()
    const other = stealDatabase(lab, 'other')
    other.db.exec("update audit_events set hash = 'x' where seq = 6")
    other.db.close()
    for (const [file, why] of [
      [short.file, /6 events, the store has 3: it was rolled back/],
      [other.file, /event 6 is not the one/],
    ] as const) {
      const database = openDatabase(file, { durable: false })
      expect(await check(database)).toMatchObject({ state: 'went_back', why: expect.stringMatching(why) as string })
      await database.close()
    }
    const foreign = {
      database: lab.database,
      outside: lab.outside,
      installationId: 'ins_2',
      keys: [lab.keys.publicKey],
    }
    expect(await checkStart(foreign)).toMatchObject({ state: 'went_back' })
    const stranger = generateKeyPairSync('ed25519').publicKey
    expect(await check(lab.database, [stranger])).toMatchObject({ state: 'went_back' })
  })

  it('refuses an empty store beside old checkpoints', async () => {
    await fillLab(lab, 5, 5)
    const database = openDatabase(`${lab.folder}/new/store.db`, { durable: false })
    await expect(check(database)).rejects.toMatchObject({ code: 'read_only' })
    await database.close()
  })

  it('warns when the file outside has become empty', async () => {
    await fillLab(lab, 5, 5)
    writeFileSync(lab.anchorFile, '')
    expect(await check()).toMatchObject({
      state: 'unanchored',
      warning: expect.stringContaining('exchanged') as string,
    })
  })
})

describe('a rollback that an operator accepts', () => {
  it('ends logins, grants, pending requests and invitations in one deed, and verify knows of it ever after', async () => {
    await fillLab(lab, 10, 5)
    await lab.deeds.commitDeed(powers(lab.clock.now()))
    await lab.checkpoints.write()
    const backup = stealDatabase(lab, 'restored')
    backup.db.close()
    await fillLab(lab, 10, 5, 11)

    const { database, deeds, checkpoints, close } = restart(backup.file)
    const finding = await check(database)
    expect(finding.state).toBe('went_back')
    deeds.becomeReadOnly(finding.state === 'went_back' ? finding.why : '')
    await expect(deeds.commitDeed(addLock('lck_x'))).rejects.toMatchObject({ code: 'read_only' })
    await expect(checkpoints.write()).rejects.toMatchObject({ code: 'read_only' })

    await acceptRollback(deeds, {
      actor: admin,
      reason: 'disk died, backup of noon',
      lost: lab.outside.last(),
      sign: lab.signText,
    })
    const one = { database: database.reads }
    expect(await one.database.selectFrom('login_sessions').select('ended_at').execute()).toEqual([
      { ended_at: lab.clock.now() },
    ])
    expect(await one.database.selectFrom('grants').select('state').execute()).toEqual([{ state: 'ended' }])
    expect(await one.database.selectFrom('access_requests').select(['state', 'version']).execute()).toEqual([
      { state: 'cancelled', version: 2 },
    ])
    expect(await one.database.selectFrom('invitations').select('expires_at').execute()).toEqual([
      { expires_at: lab.clock.now() },
    ])
    // A crash right now, before the next checkpoint, must not ask again.
    expect(await check(database)).toEqual({ state: 'continues' })
    await deeds.commitDeed(addLock('lck_new'))
    await checkpoints.write()
    await deeds.commitDeed(addLock('lck_newer'))
    await checkpoints.write()
    expect(await check(database)).toEqual({ state: 'continues' })
    const given = { outside: lab.anchorFile, trusted: [lab.trustedPem] }
    expect((await verifyAudit({ database: backup.file, ...given })).problems).toEqual([])
    await close()
    // The history that was given up is not this installation's any more.
    expect((await verifyAudit({ database: lab.databaseFile, ...given })).problems.length).toBeGreaterThan(0)
  })

  it.each(['by nobody', 'by a key that the thief wrote into the store'])(
    'is not believed to be accepted by an event that a thief wrote, signed %s',
    async (by) => {
      await fillLab(lab, 10, 5)
      const backup = stealDatabase(lab, 'restored')
      backup.db.close()
      await fillLab(lab, 10, 5, 11)

      const own = generateKeyPairSync('ed25519')
      const keys = by === 'by nobody' ? [lab.keys.publicKey] : [lab.keys.publicKey, own.publicKey]
      const { database, deeds, close } = restart(backup.file)
      deeds.becomeReadOnly('as the thief pretends')
      const forged = (text: string): Uint8Array =>
        by === 'by nobody' ? new Uint8Array(64) : sign(null, Buffer.from(text), own.privateKey)
      await acceptRollback(deeds, { actor: admin, reason: 'none', lost: lab.outside.last(), sign: forged })
      if (keys.length > 1) {
        const pem = own.publicKey.export({ type: 'spki', format: 'pem' }).toString()
        await deeds.commitDeed(addAuthority(pem, 'aut_thief'))
      }
      expect(await check(database, keys)).toMatchObject({ state: 'went_back' })
      const found = await verifyAudit({ database: backup.file, outside: lab.anchorFile, trusted: [lab.trustedPem] })
      expect(found.problems.map(({ kind }) => kind)).toContain('rolled_back')
      await close()
    },
  )

  it('cannot be accepted when there is none', async () => {
    const acceptance = { actor: admin, reason: 'x', lost: null, sign: lab.signText }
    await expect(acceptRollback(lab.deeds, acceptance)).rejects.toMatchObject({ code: 'changed_meanwhile' })
  })
})

describe('checkpoints', () => {
  it('are written every minute, idle or not, and once more at stop', async () => {
    lab.checkpoints.start()
    for (let minute = 1; minute <= 3; minute++) {
      lab.clock.advance(60_000)
      await expect.poll(() => lab.outside.last()?.ordinal ?? 0).toBe(minute)
      // The timer of the next minute is set once this one is written.
      await new Promise((resolve) => {
        setImmediate(resolve)
      })
    }
    await lab.checkpoints.stop()
    expect(lab.outside.last()?.ordinal).toBe(4)
    lab.clock.advance(600_000)
    const rows = await lab.database.reads.selectFrom('checkpoints').select(['ordinal', 'size']).execute()
    expect(rows.map((row) => row.size)).toEqual([1, 1, 1, 1])
  })

  it('are caught up outside after the file could not be reached, also after a line was cut', async () => {
    await fillLab(lab, 2, 1)
    copyFileSync(lab.anchorFile, `${lab.anchorFile}.kept`)
    rmSync(lab.anchorFile)
    await fillLab(lab, 3, 1, 3)
    expect(lab.outside.last).toThrow()
    copyFileSync(`${lab.anchorFile}.kept`, lab.anchorFile)
    writeFileSync(lab.anchorFile, '{"ordinal":3,"no', { flag: 'a' })
    await fillLab(lab, 1, 1, 6)
    const result = await verifyAudit({ database: lab.databaseFile, outside: lab.anchorFile, trusted: [lab.trustedPem] })
    expect(result.problems).toEqual([])
    expect(lab.outside.last()?.ordinal).toBe(6)
  })

  it('carry the heads of open session files to the verifier of those files', async () => {
    lab.openSessions.push({ id: 'ses_1', chunks: 3, bytes: 99, digest: 'ab'.repeat(32) })
    await lab.checkpoints.write()
    await lab.deeds.commitDeed(session('ses_1'))
    const seen: unknown[] = []
    const result = await verifyAudit({
      database: lab.databaseFile,
      sessionFile: async (row, head) => {
        seen.push(row.recording_file, head)
        return { state: 'altered', message: 'chunk 2 is another' }
      },
    })
    expect(seen).toEqual(['ses_1.rec', { id: 'ses_1', chunks: 3, bytes: 99, digest: 'ab'.repeat(32) }])
    expect(result.sessionFiles).toBe(1)
    expect(result.problems).toEqual([
      { kind: 'session_file_altered', where: 'session ses_1', message: 'chunk 2 is another' },
    ])
  })

  it('may not lie in the folder of the database that they vouch for', () => {
    const inside = `${lab.folder}/data/checkpoints`
    expect(() => openOutsideFile(inside, lab.databaseFile)).toThrow(/must not be in the database's folder/)
  })
})

type Work = Parameters<StoredDeedLog['commitDeed']>[0]

/** A user with a login session, an active grant, a pending request and an open invitation. */
function powers(now: number): Work {
  const far = now + 3_600_000
  const blank = { event_id: '' as const }
  return async (tx) => {
    await tx
      .insertInto('users')
      .values({
        ...blank,
        id: 'usr_1',
        name: 'eve',
        email: null,
        role_ids_json: '[]',
        traits_json: '{}',
        password_hash: null,
        disabled: 0,
        deleted_at: null,
        created_at: now,
        votes_count_from: null,
        service_owner_id: null,
        disabled_at: null,
      })
      .execute()
    await tx
      .insertInto('login_sessions')
      .values({
        ...blank,
        id: 'lgn_1',
        user_id: 'usr_1',
        token_hash: 'h',
        device: 'd',
        factors_json: '[]',
        second_factor_at: null,
        key_fingerprint: 'k',
        address: 'a',
        created_at: now,
        expires_at: far,
        ended_at: null,
        end_reason: null,
      })
      .execute()
    await tx
      .insertInto('invitations')
      .values({ ...blank, id: 'inv_1', user_id: 'usr_1', code_hash: 'c', expires_at: far, used_at: null })
      .execute()
    await tx
      .insertInto('access_requests')
      .values({
        ...blank,
        id: 'req_1',
        kind: 'role',
        user_id: 'usr_1',
        roles_json: '[]',
        reason: 'r',
        duration_ms: 1,
        created_at: now,
        pending_until: far,
        state: 'pending',
        decided_at: null,
        resolution: null,
        login_id: null,
        facts_json: '{}',
        facts_digest: 'f',
        request_digest: 'r',
        annotations_json: '{}',
        suggested_json: '[]',
        identity_hash: 'i',
        version: 1,
      })
      .execute()
    await tx
      .insertInto('grants')
      .values({
        ...blank,
        id: 'grt_1',
        request_id: 'req_1',
        user_id: 'usr_1',
        kind: 'role',
        roles_json: '[]',
        state: 'active',
        starts_at: now,
        ends_at: far,
        ended_at: null,
        end_reason: null,
        ended_by: null,
        end_comment: null,
        login_id: null,
      })
      .execute()
    const rows = [
      { table: 'users', id: 'usr_1' },
      { table: 'login_sessions', id: 'lgn_1' },
      { table: 'invitations', id: 'inv_1' },
      { table: 'access_requests', id: 'req_1' },
      { table: 'grants', id: 'grt_1' },
    ] as const
    return { result: null, events: [tell({ type: 'user.create', rows })] }
  }
}

function session(id: string): Work {
  return async (tx, now) => {
    await tx
      .insertInto('sessions')
      .values({
        ...{
          id,
          event_id: '',
          user_id: 'usr_1',
          login_id: 'lgn_1',
          protocol: 'ssh',
          node_id: 'nod_1',
          node_name: 'db',
        },
        login: 'root',
        address: 'a',
        request_ids_json: '[]',
        grant_ids_json: '[]',
        started_at: now,
        ended_at: null,
        end_reason: null,
        recording_file: `${id}.rec`,
        recording_key_sealed: 's',
        recording_key_id: 'k',
        recording_mode: 'strict',
        recording_state: 'open',
        recording_bytes: 0,
        recording_head: null,
        recording_chunks: 0,
        contents_json: '[]',
      })
      .execute()
    return { result: null, events: [tell({ type: 'session.start', session: id, rows: [{ table: 'sessions', id }] })] }
  }
}
