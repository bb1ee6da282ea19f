import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { UNANCHORED, verifyAudit } from '../../src/audit/verify/verify-audit.ts'
import type { Verification } from '../../src/contract/audit.ts'
import { checkpointDigest, checkpointText, parseNote, signedNote } from '../../src/formats/checkpoint-note.ts'
import { type AuditLab, fillLab, openAuditLab, stealDatabase } from '../support/audit-lab.ts'
import { rewriteChain } from '../support/rewrite-chain.ts'

let lab: AuditLab
/** A whole copy of the database and of the anchor file, taken in the middle of the log's life. */
let backup: { database: string; anchor: string }
let copies = 0

beforeAll(async () => {
  lab = await openAuditLab()
  await fillLab(lab, 30)
  const old = stealDatabase(lab, 'backup')
  old.db.close()
  backup = { database: old.file, anchor: `${lab.anchorFile}.backup` }
  copyFileSync(lab.anchorFile, backup.anchor)
  await fillLab(lab, 30, 10, 31)
})
afterAll(() => lab.remove())

/** What verify says about a stolen copy after `edit`, with the outside file and key unless told otherwise. */
async function after(
  edit: (db: DatabaseSync) => void,
  given: { outside?: string | null; trusted?: readonly string[] } = {},
): Promise<Verification> {
  copies += 1
  const { file, db } = stealDatabase(lab, `stolen-${String(copies)}`)
  edit(db)
  db.close()
  return await verifyAudit({ database: file, outside: lab.anchorFile, trusted: [lab.trustedPem], ...given })
}

const found = (result: Verification): string[] => result.problems.map((problem) => `${problem.kind} ${problem.where}`)
const untouched = (): void => {}

describe('an untouched log', () => {
  it('is whole, and anchored by key and file from outside', async () => {
    const result = await after(untouched)
    expect(result.problems).toEqual([])
    expect(result).toMatchObject({ anchored: true, checkpoints: 6 })
    expect(result.events).toBeGreaterThan(60)
    expect(result.rows).toBeGreaterThan(50)
  })

  it('is whole while the daemon has it open', async () => {
    const result = await verifyAudit({ database: lab.databaseFile, outside: lab.anchorFile, checkFile: true })
    expect(result.problems).toEqual([])
  })

  it('is called UNANCHORED with local material alone', async () => {
    const result = await after(untouched, { outside: null, trusted: [] })
    expect(result).toMatchObject({ problems: [], anchored: false })
    expect(result.notes).toContain(UNANCHORED)
  })
})

describe('every kind of edit is found and the first bad place is named', () => {
  const edits: readonly (readonly [string, string, (db: DatabaseSync) => void])[] = [
    ['details edited', 'event_edited event 20', set(20, "details_json = '{}'")],
    ['actor edited', 'event_edited event 20', set(20, "actor_json = replace(actor_json, 'local-admin', 'bob')")],
    ['time edited', 'event_edited event 20', set(20, 'time = time + 1')],
    ['outcome edited', 'event_edited event 20', set(20, "outcome = 'refused'")],
    ['search column edited', 'event_edited event 20', set(20, "resource_key = 'lock/other'")],
    ['bound rows edited', 'event_edited event 20', set(20, "rows_json = '[]'")],
    ['salt edited', 'event_edited event 20', set(20, "salt = '00'")],
    ['leaf edited', 'event_edited event 20', set(20, "leaf = replace(leaf, 'a', 'b')")],
    ['chain hash edited', 'event_edited event 20', set(20, `hash = '${'0'.repeat(64)}'`)],
    [
      'last chain hash edited',
      'event_edited event',
      (db) => void db.exec("update audit_events set hash = 'x' where seq = (select max(seq) from audit_events)"),
    ],
    ['details of a young event removed', 'details_removed event 20', set(20, 'details_json = null')],
    ['event deleted', 'event_missing event 20', (db) => db.exec('delete from audit_events where seq = 20')],
    ['first event deleted', 'event_missing event 1', (db) => db.exec('delete from audit_events where seq = 1')],
    [
      'event deleted, rest renumbered',
      'event_missing event 20',
      (db) => {
        db.exec('delete from audit_events where seq = 20')
        renumber(db, 21, -1)
      },
    ],
    [
      'event put in, rest renumbered',
      'event_inserted event 20',
      (db) => {
        renumber(db, 20, 1)
        duplicate(db, 5, 20)
      },
    ],
    [
      'two events swapped',
      'event_moved event 20',
      (db) => {
        db.exec('update audit_events set seq = -1 where seq = 20')
        db.exec('update audit_events set seq = 20 where seq = 30')
        db.exec('update audit_events set seq = 30 where seq = -1')
      },
    ],
    [
      'neighbours swapped',
      'event_moved event 20',
      (db) => {
        db.exec('update audit_events set seq = -1 where seq = 20')
        db.exec('update audit_events set seq = 20 where seq = 21')
        db.exec('update audit_events set seq = 21 where seq = -1')
      },
    ],
    [
      'fork: one event replaced and made right up to itself',
      'chain_forked event 20',
      (db) => {
        db.exec("update audit_events set outcome = 'refused' where seq = 20")
        const tail = db.prepare('select seq, leaf, hash from audit_events where seq > 20').all()
        const head = db.prepare('select * from chain_head').get()
        rewriteChain(db)
        const restore = db.prepare('update audit_events set leaf = ?, hash = ? where seq = ?')
        for (const row of tail) restore.run(row['leaf'] ?? '', row['hash'] ?? '', row['seq'] ?? 0)
        db.prepare('update chain_head set hash = ?').run(head?.['hash'] ?? '')
      },
    ],
    ['tail cut', 'tail_cut event 61', (db) => db.exec('delete from audit_events where seq > 60')],
    [
      'tail cut, head set back',
      'rolled_back event 61',
      (db) => {
        db.exec('delete from audit_events where seq > 60')
        db.exec('update chain_head set seq = 60, hash = (select hash from audit_events where seq = 60)')
      },
    ],
    ['head row deleted', 'head_altered chain_head', (db) => db.exec('delete from chain_head')],
    ['all events deleted', 'tail_cut event 1', (db) => db.exec('delete from audit_events')],
    ['table dropped', 'database_damaged', (db) => db.exec('drop table audit_events')],
    [
      'trigger put in',
      'schema_altered trigger sneaky',
      (db) => db.exec('create trigger sneaky after insert on locks begin select 1; end'),
    ],
    [
      'checkpoint deleted',
      'checkpoint_missing checkpoint 3',
      (db) => db.exec('delete from checkpoints where ordinal = 3'),
    ],
    [
      'checkpoint deleted, rest renumbered',
      'checkpoint_missing checkpoint 3',
      (db) => {
        db.exec('delete from checkpoints where ordinal = 3')
        db.exec('update checkpoints set ordinal = ordinal - 1 where ordinal > 3')
      },
    ],
    [
      'last checkpoint deleted',
      'checkpoint_missing checkpoint 6 outside',
      (db) => db.exec('delete from checkpoints where ordinal = 6'),
    ],
    ['all checkpoints deleted', 'checkpoint_missing checkpoint 6 outside', (db) => db.exec('delete from checkpoints')],
    [
      'checkpoint edited',
      'wrong_key checkpoint 3',
      (db) => db.exec("update checkpoints set note = replace(note, 'time 1', 'time 2') where ordinal = 3"),
    ],
    [
      'checkpoint made unreadable',
      'checkpoint_altered checkpoint 3',
      (db) => db.exec("update checkpoints set note = 'x' where ordinal = 3"),
    ],
    [
      'checkpoint size edited',
      'checkpoint_altered checkpoint 3',
      (db) => db.exec('update checkpoints set size = size + 1 where ordinal = 3'),
    ],
    [
      'row put in',
      'row_without_event locks/lck_new',
      (db) =>
        db.exec(
          "insert into locks select 'lck_new', event_id, target_kind, target_id, target_name, message, created_by, created_at, expires_at, removed_at from locks limit 1",
        ),
    ],
    [
      'row edited',
      'row_altered locks/lck_0005',
      (db) => db.exec("update locks set target_id = 'usr_2' where id = 'lck_0005'"),
    ],
    [
      'row edited from null',
      'row_altered locks/lck_0005',
      (db) => db.exec("update locks set removed_at = 5 where id = 'lck_0005'"),
    ],
    [
      'row edited to null',
      'row_altered locks/lck_0007',
      (db) => db.exec("update locks set removed_at = null where id = 'lck_0007'"),
    ],
    [
      'row names another event',
      'row_altered locks/lck_0005',
      (db) => db.exec("update locks set event_id = (select id from audit_events where seq = 1) where id = 'lck_0005'"),
    ],
    ['row deleted', 'row_missing locks/lck_0005', (db) => db.exec("delete from locks where id = 'lck_0005'")],
    [
      'removed row brought back',
      'row_left_over locks/lck_0011',
      (db) =>
        db.exec(
          "insert into locks select 'lck_0011', event_id, target_kind, target_id, target_name, message, created_by, created_at, expires_at, removed_at from locks limit 1",
        ),
    ],
    [
      'ids of two rows exchanged',
      'row_altered locks/lck_0002',
      (db) => {
        db.exec("update locks set id = 'x' where id = 'lck_0001'")
        db.exec("update locks set id = 'lck_0001' where id = 'lck_0002'")
        db.exec("update locks set id = 'lck_0002' where id = 'x'")
      },
    ],
  ]
  it.each(edits)('%s: %s', async (_, expected, edit) => {
    const result = await after(edit)
    expect(found(result).join('\n')).toContain(expected)
  })

  it('is the first of the list, when nothing else was touched', async () => {
    const result = await after(set(20, "details_json = '{}'"))
    expect(found(result)).toEqual(['event_edited event 20'])
    expect(result.problems[0]?.message).toContain('event 20')
  })

  it.each([
    ['[null]', "rows_json = '[null]'"],
    ['numbers for rows', 'rows_json = \'[1, {"table": 2}]\''],
    ['an object for rows', "rows_json = '{}'"],
    ['a number beyond 2^53', 'time = 9223372036854775807'],
    ['a text that is no JSON for details', "details_json = '{'"],
  ])('also when the cell holds %s', async (_, assignment) => {
    expect((await after(set(20, assignment))).problems.length).toBeGreaterThan(0)
  })

  it('also in tables made anew without types, full of bytes', async () => {
    const result = await after((db) => {
      db.exec('create table copy as select * from audit_events; drop table audit_events')
      db.exec('alter table copy rename to audit_events')
      const columns = "id = x'00ff', leaf = x'00', hash = x'ff', rows_json = x'5b5d', details_json = x'00', salt = null"
      db.exec(`update audit_events set ${columns} where seq = 20`)
    })
    expect(found(result)).toContain('event_edited event 20')
  })

  it('also in a file that is half overwritten', async () => {
    const { file, db } = stealDatabase(lab, 'damaged')
    db.close()
    const bytes = readFileSync(file)
    writeFileSync(file, bytes.fill(0xaa, bytes.length / 2))
    const result = await verifyAudit({ database: file, outside: lab.anchorFile })
    expect(result.problems.length).toBeGreaterThan(0)
    writeFileSync(file, 'no database at all')
    expect(found(await verifyAudit({ database: file }))).toEqual([`database_damaged ${file}`])
  })
})

describe('a thief who has the database and makes everything in it right again', () => {
  /** Rewrites history from event 20 on, with a checkpoint key of his own in the place of ours. */
  const forge = (db: DatabaseSync): void => {
    db.exec("update audit_events set actor_json = replace(actor_json, 'local-admin', 'bob') where seq = 20")
    const own = generateKeyPairSync('ed25519')
    db.prepare('update authorities set public_key = ?').run(pem(own.publicKey))
    rewriteChain(db)
    resign(db, own)
  }

  it('is not found without anything from outside: verify says UNANCHORED, and docs/audit.md says why', async () => {
    const result = await after(forge, { outside: null, trusted: [] })
    expect(result.problems).toEqual([])
    expect(result.anchored).toBe(false)
    expect(result.notes).toContain(UNANCHORED)
  })

  it('is found with the file outside', async () => {
    const result = await after(forge, { trusted: [] })
    expect(found(result)).toContain('wrong_key checkpoint 1 outside')
  })

  it('is found with the public key from outside', async () => {
    const result = await after(forge, { outside: null })
    expect(found(result)).toContain('wrong_key the last checkpoint')
  })

  it('is found with the file outside even when he has our private key', async () => {
    const result = await after((db) => {
      db.exec("update audit_events set actor_json = replace(actor_json, 'local-admin', 'bob') where seq = 20")
      rewriteChain(db)
      resign(db, lab.keys)
    })
    expect(found(result)).toContain('history_rewritten event 13')
  })

  it('who cuts the tail with its checkpoints is found with the file outside, not with the key alone', async () => {
    const cut = (db: DatabaseSync): void => {
      const { size } = db.prepare('select size from checkpoints where ordinal = 4').get() as { size: number }
      db.exec(`delete from checkpoints where ordinal > 4; delete from audit_events where seq > ${String(size)}`)
      db.exec(
        'update chain_head set seq = (select max(seq) from audit_events), hash = (select hash from audit_events order by seq desc limit 1)',
      )
      const ids = db
        .prepare('select rows_json from audit_events')
        .all()
        .map((row) => String(row['rows_json']))
        .join()
      for (const { id } of db.prepare('select id from locks').all() as { id: string }[]) {
        if (!ids.includes(id)) db.prepare('delete from locks where id = ?').run(id)
      }
    }
    expect(found(await after(cut)).join()).toContain('rolled_back event')
    const unseen = await after(cut, { outside: null })
    expect(unseen.problems).toEqual([])
    expect(unseen.notes.join()).toContain('a return to an older state')
  })

  it('who restores a backup is found with the file outside, not without', async () => {
    const result = await verifyAudit({ database: backup.database, outside: lab.anchorFile, trusted: [lab.trustedPem] })
    expect(found(result).join()).toContain('rolled_back event')
    const both = await verifyAudit({ database: backup.database, outside: backup.anchor, trusted: [lab.trustedPem] })
    expect(both.problems).toEqual([])
  })
})

describe('the file outside', () => {
  const outsideAfter = async (edit: (lines: string[]) => string[]): Promise<Verification> => {
    const file = `${lab.anchorFile}.${String((copies += 1))}`
    writeFileSync(file, `${edit(readFileSync(lab.anchorFile, 'utf8').trimEnd().split('\n')).join('\n')}\n`)
    return await after(untouched, { outside: file })
  }

  it.each<readonly [string, string, (lines: string[]) => string[]]>([
    ['a line taken out', 'checkpoint_missing checkpoint 4 outside', (lines) => lines.toSpliced(2, 1)],
    [
      'two lines exchanged',
      'checkpoint_missing checkpoint 3 outside',
      ([a = '', b = '', c = '', ...rest]) => [a, c, b, ...rest],
    ],
    ['a line broken', 'checkpoint_missing checkpoint 4 outside', (lines) => lines.with(2, '{"ordinal":3,')],
    [
      'a signature of somebody else',
      'wrong_key checkpoint 3 outside',
      (lines) => lines.with(2, foreignLine(lines[2] ?? '')),
    ],
    ['nothing left', 'checkpoint_missing', () => []],
  ])('is found with %s', async (_, expected, edit) => {
    expect(found(await outsideAfter(edit)).join('\n')).toContain(expected)
  })

  it('that is not there is a problem, not an exception', async () => {
    const result = await after(untouched, { outside: '/nonexistent/checkpoints' })
    expect(found(result).join()).toContain('checkpoint_missing')
  })

  it('may have been moved away at its beginning, or be some days old', async () => {
    const result = await outsideAfter((lines) => lines.slice(2, 5))
    expect(result.problems).toEqual([])
    expect(result.notes.join()).toMatch(/reach event \d+ of \d+/)
  })
})

describe('random edits', () => {
  it('of any cell of the log, its checkpoints and its rows are found', async () => {
    const cells = [
      ...['id', 'time', 'type', 'actor_json', 'user_id', 'login_id', 'request_id', 'grant_ids_json', 'session_id'],
      ...[
        'resource_json',
        'resource_key',
        'outcome',
        'rows_json',
        'salt',
        'details_json',
        'details_hash',
        'leaf',
        'hash',
      ],
    ].map((column) => ['audit_events', 'seq', column] as const)
    const others = [
      ...[
        'target_kind',
        'target_id',
        'target_name',
        'message',
        'created_by',
        'created_at',
        'removed_at',
        'event_id',
      ].map((column) => ['locks', 'rowid', column] as const),
      ['checkpoints', 'ordinal', 'note'] as const,
      ['chain_head', 'id', 'hash'] as const,
    ]
    const { file, db } = stealDatabase(lab, 'random')
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...cells, ...others), fc.nat(), fc.nat(99_999), async (cell, pick, value) => {
        const [table, key, column] = cell
        const rows = db.prepare(`select ${key} as k, ${column} as v from ${table}`).all()
        const row = rows[pick % rows.length]
        const other =
          typeof row?.['v'] === 'number' ? row['v'] + value + 1 : `${String(row?.['v'] ?? '')}${String(value)}`
        const write = db.prepare(`update or ignore ${table} set ${column} = ? where ${key} = ?`)
        const { changes } = write.run(/_at$|^time$/.test(column) ? Number(value) + 5 : other, row?.['k'] ?? 0)
        const result = await verifyAudit({ database: file, outside: lab.anchorFile, trusted: [lab.trustedPem] })
        write.run(row?.['v'] ?? null, row?.['k'] ?? 0)
        expect(changes === 0 || result.problems.length > 0, `${table}.${column} of ${String(row?.['k'])}`).toBe(true)
      }),
      { numRuns: 150 },
    )
    db.close()
  })
})

function set(seq: number, assignment: string) {
  return (db: DatabaseSync): void => db.exec(`update audit_events set ${assignment} where seq = ${String(seq)}`)
}

function renumber(db: DatabaseSync, from: number, by: number): void {
  db.exec(`update audit_events set seq = -seq where seq >= ${String(from)}`)
  db.exec(`update audit_events set seq = -seq + ${String(by)} where seq < 0`)
  db.exec(`update chain_head set seq = seq + ${String(by)}`)
}

/** Puts a copy of an event, right in itself, at another place. */
function duplicate(db: DatabaseSync, seq: number, as: number): void {
  const columns = db
    .prepare("select name from pragma_table_info('audit_events')")
    .all()
    .map((row) => String(row['name']))
  const values = columns.map((name) => (name === 'seq' ? String(as) : name === 'id' ? "'evt_copy'" : name))
  db.exec(`insert into audit_events select ${values.join(', ')} from audit_events where seq = ${String(seq)}`)
}

function pem(key: KeyObject): string {
  return key.export({ type: 'spki', format: 'pem' }).toString()
}

/** Makes all checkpoints of the table anew over the chain that is there. */
function resign(db: DatabaseSync, keys: { publicKey: KeyObject; privateKey: KeyObject }): void {
  let previous: string | null = null
  for (const row of db.prepare('select * from checkpoints order by ordinal').all()) {
    const { checkpoint } = parseNote(String(row['note']))
    const event = db.prepare('select hash from audit_events where seq = ?').get(checkpoint.size)
    const text: string = checkpointText({ ...checkpoint, head: String(event?.['hash']), previous })
    const note = signedNote(text, checkpoint.origin, keys.publicKey, sign(null, Buffer.from(text), keys.privateKey))
    db.prepare('update checkpoints set note = ? where ordinal = ?').run(note, row['ordinal'] ?? 0)
    previous = checkpointDigest(text)
  }
}

function foreignLine(line: string): string {
  const entry = JSON.parse(line) as { ordinal: number; note: string }
  const own = generateKeyPairSync('ed25519')
  const { text, checkpoint } = parseNote(entry.note)
  const note = signedNote(text, checkpoint.origin, own.publicKey, sign(null, Buffer.from(text), own.privateKey))
  return JSON.stringify({ ...entry, note })
}
