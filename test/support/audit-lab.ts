import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type CheckpointSigner, Checkpoints } from '../../src/audit/checkpoints.ts'
import { StoredDeedLog } from '../../src/audit/commit-deed.ts'
import type { Deed, NewEvent, Tx } from '../../src/audit/deed.ts'
import { openOutsideFile, type OutsideFile } from '../../src/audit/outside-file.ts'
import { spillInMemory } from '../../src/audit/spill-file.ts'
import { type Database, openDatabase } from '../../src/foundation/database/open-database.ts'
import { silentLog } from '../../src/foundation/log.ts'
import { ManualClock } from './manual-clock.ts'
import type { SessionHead } from '../../src/formats/checkpoint-note.ts'

export const admin = { kind: 'local-admin', id: null, name: 'local-admin' } as const

/** A store with its chain, checkpoints and anchor file in a temporary folder, and what tests do with it. */
export interface AuditLab {
  readonly folder: string
  readonly databaseFile: string
  readonly anchorFile: string
  readonly database: Database
  readonly deeds: StoredDeedLog
  readonly checkpoints: Checkpoints
  readonly outside: OutsideFile
  readonly clock: ManualClock
  readonly keys: { readonly publicKey: KeyObject; readonly privateKey: KeyObject }
  readonly signer: CheckpointSigner
  readonly signText: (text: string) => Uint8Array
  readonly trustedPem: string
  readonly openSessions: SessionHead[]
  close(): Promise<void>
  remove(): Promise<void>
}

export async function openAuditLab(options: { durable?: boolean } = {}): Promise<AuditLab> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-audit-'))
  const databaseFile = join(folder, 'data', 'store.db')
  const anchorFile = join(folder, 'anchor', 'checkpoints.jsonl')
  const clock = new ManualClock()
  const database = openDatabase(databaseFile, { clock, durable: options.durable ?? false })
  const deeds = new StoredDeedLog({ database, clock, log: silentLog, spill: spillInMemory() })
  const outside = openOutsideFile(anchorFile, databaseFile)
  const keys = generateKeyPairSync('ed25519')
  const signText = (text: string): Uint8Array => sign(null, Buffer.from(text), keys.privateKey)
  const signer: CheckpointSigner = { publicKey: keys.publicKey, sign: signText }
  const openSessions: SessionHead[] = []
  const checkpoints = new Checkpoints({
    database,
    clock,
    log: silentLog,
    installationId: 'ins_lab',
    outside,
    signer: () => signer,
    openSessions: () => openSessions,
    readOnly: () => deeds.readOnly,
  })
  const trustedPem = keys.publicKey.export({ type: 'spki', format: 'pem' }).toString()
  await deeds.commitDeed(addAuthority(trustedPem))
  const close = async (): Promise<void> => {
    await deeds.close()
    await database.close()
  }
  return {
    ...{
      folder,
      databaseFile,
      anchorFile,
      database,
      deeds,
      checkpoints,
      outside,
      clock,
      keys,
      signer,
      signText,
      trustedPem,
      openSessions,
    },
    close,
    remove: async () => {
      await close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Adds `count` locks from number `first` on, of which some are lifted or removed again; a checkpoint after every `each`. */
export async function fillLab(lab: AuditLab, count: number, each = 10, first = 1): Promise<void> {
  for (let index = first; index < first + count; index++) {
    const id = `lck_${String(index).padStart(4, '0')}`
    await lab.deeds.commitDeed(addLock(id))
    if (index % 7 === 0) await lab.deeds.commitDeed(liftLock(id))
    if (index % 11 === 0) await lab.deeds.commitDeed(removeLock(id))
    lab.clock.advance(1000)
    if (index % each === 0) await lab.checkpoints.write()
  }
}

export const tell = (event: Omit<NewEvent, 'actor' | 'outcome'>): NewEvent => ({
  actor: admin,
  outcome: 'success',
  ...event,
})

export function addLock(id: string, target = 'usr_1') {
  return async (tx: Tx, now: number): Promise<Deed<string>> => {
    await tx
      .insertInto('locks')
      .values({
        id,
        event_id: '',
        target_kind: 'user',
        target_id: target,
        target_name: 'eve',
        message: 'left',
        created_by: 'local-admin',
        created_at: now,
        expires_at: null,
        removed_at: null,
      })
      .execute()
    const resource = { kind: 'lock', id, name: id }
    const rows = [{ table: 'locks', id }] as const
    return { result: id, events: [tell({ type: 'lock.create', resource, details: { why: `text of ${id}` }, rows })] }
  }
}

export function liftLock(id: string) {
  return async (tx: Tx, now: number): Promise<Deed<string>> => {
    await tx.updateTable('locks').set({ removed_at: now }).where('id', '=', id).execute()
    return { result: id, events: [tell({ type: 'lock.delete', rows: [{ table: 'locks', id }] })] }
  }
}

export function removeLock(id: string) {
  return async (tx: Tx): Promise<Deed<string>> => {
    await tx.deleteFrom('locks').where('id', '=', id).execute()
    return { result: id, events: [tell({ type: 'lock.delete', rows: [{ table: 'locks', id }] })] }
  }
}

export function addAuthority(publicKey: string, id = 'aut_1') {
  return async (tx: Tx, now: number): Promise<Deed<null>> => {
    await tx
      .insertInto('authorities')
      .values({
        id,
        event_id: '',
        kind: 'checkpoint',
        state: 'active',
        algorithm: 'ed25519',
        public_key: publicKey,
        certificate: null,
        private_sealed: 'sealed',
        created_at: now,
      })
      .execute()
    return { result: null, events: [tell({ type: 'ca.create', rows: [{ table: 'authorities', id }] })] }
  }
}

/** A thief's copy of the database file in `folder`, with WAL contents in it, opened for any edit. */
export function stealDatabase(lab: AuditLab, name: string): { readonly file: string; readonly db: DatabaseSync } {
  const folder = join(lab.folder, name)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const file = join(folder, 'store.db')
  const live = new DatabaseSync(lab.databaseFile)
  live.exec('pragma wal_checkpoint(truncate)')
  live.close()
  copyFileSync(lab.databaseFile, file)
  return { file, db: new DatabaseSync(file, { enableForeignKeyConstraints: false }) }
}
