import { chmodSync, existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openSpillFile } from '../audit/spill-file.ts'
import { verifyAudit } from '../audit/verify/verify-audit.ts'
import type { CommandContext } from '../cli/shared/command-context.ts'
import { CommandFailed } from '../cli/shared/command-failed.ts'
import type { Verification } from '../contract/audit.ts'
import { systemClock } from '../foundation/clock.ts'
import type { Config } from '../foundation/config.ts'
import { openDatabase } from '../foundation/database/open-database.ts'
import { openSnapshot, type Snapshot } from '../foundation/database/open-snapshot.ts'
import { describePostgres, type PostgresSettings } from '../foundation/database/postgres/postgres-settings.ts'
import { takeStoreLock } from '../foundation/database/store-lock.ts'
import { Refused } from '../foundation/errors.ts'
import { movedStore } from './moved-store.ts'
import { postgresSettings } from './postgres-settings.ts'
import { readConfigFile } from './read-config-file.ts'

/**
 * `sallyport storage move`: the whole SQLite store into an empty PostgreSQL database, verified before and, inside the very
 * transaction that makes it, after. The old file is kept beside, read-only, under another name.
 */
export async function moveStorage(file: string, to: string, context: CommandContext): Promise<number> {
  const config = readConfigFile(file)
  if (config.storage !== null)
    throw new CommandFailed(
      'usage',
      `${file} names a storage already`,
      'Take the key storage out to move what lies in data_dir.',
    )
  const target = readConfigFile(file, { storage: to }).storage
  if (target === null) throw new CommandFailed('usage', '--to names no database')
  const settings = postgresSettings(target, process.env)
  const result = await move(config, settings)
  await context.show(result, () =>
    [
      `Moved ${String(result.rows)} rows with ${String(result.events)} events to ${result.to}; the chain is whole.`,
      `The old file is ${result.kept}: keep it until you are sure.`,
      `Now write into ${file}:  storage: ${to}`,
    ].join('\n'),
  )
  return 0
}

interface Moved {
  readonly to: string
  readonly kept: string
  readonly events: number
  readonly rows: number
}

async function move(config: Config, settings: PostgresSettings): Promise<Moved> {
  mkdirSync(config.dataDir, { recursive: true, mode: 0o700 })
  const path = join(config.dataDir, 'sallyport.db')
  const { moving, moved } = movedStore(path)
  const lock = takeStoreLock(`${path}.lock`)
  try {
    if (existsSync(moving)) await resume(path, settings)
    if (!existsSync(path))
      throw new Refused(
        'not_found',
        existsSync(moved) ? `${path} was moved before, to ${moved}` : `${path} is not there`,
      )
    const before = await verifySource(config, path)
    renameSync(path, moving)
    const rows = await copy(moving, path, settings, before)
    keep(path, settings)
    return { to: describePostgres(settings), kept: moved, events: before.events, rows }
  } finally {
    lock.release()
  }
}

/** Brings the file to the newest schema, everything in one file, and asks the chain, the rows and the checkpoints outside. */
async function verifySource(config: Config, path: string): Promise<Verification> {
  const spill = openSpillFile(join(config.dataDir, 'spill'))
  const waiting = spill.kept().length
  spill.close()
  if (waiting > 0)
    throw new Refused(
      'changed_meanwhile',
      `${String(waiting)} orders wait in the spill file`,
      'start the daemon once on the old store: it stores them; stop it, then move',
    )
  await openDatabase(path, { lock: false }).close()
  const outside = existsSync(config.checkpointFile) ? config.checkpointFile : null
  const found = await verifyAudit({ database: path, outside, checkFile: true })
  const [first] = found.problems
  if (first)
    throw new Refused(
      'row_altered',
      `the store is not whole, so it is not moved: ${first.message}`,
      `see: sallyctl audit verify --database=${path}`,
    )
  return found
}

async function copy(moving: string, path: string, settings: PostgresSettings, before: Verification): Promise<number> {
  const { importStore, ImportUnsure } = await import('../foundation/database/postgres/import-store.ts')
  const source = openSnapshot(moving)
  try {
    const check = (copied: Snapshot): Promise<void> => requireSame(settings, copied, before)
    return await importStore({ settings, source, now: systemClock.now(), check })
  } catch (error) {
    if (error instanceof ImportUnsure)
      throw new Refused('store_unavailable', error.message, 'run the same command again: it looks what happened')
    await source.close()
    renameSync(moving, path)
    throw error
  } finally {
    await source.close().catch(() => {})
  }
}

async function requireSame(settings: PostgresSettings, copied: Snapshot, before: Verification): Promise<void> {
  const after = await verifyAudit({
    database: describePostgres(settings),
    open: async () => ({ ...only(copied), close: async () => {} }),
  })
  const same = (['events', 'rows', 'checkpoints'] as const).every((each) => after[each] === before[each])
  const [first] = after.problems
  if (first || !same)
    throw new Refused('row_altered', `the copy is not what was copied: ${first?.message ?? 'rows are missing'}`)
}

const only = (copied: Snapshot): Omit<Snapshot, 'close'> => ({
  rows: (sql, ...parameters) => copied.rows(sql, ...parameters),
  get: (sql, ...parameters) => copied.get(sql, ...parameters),
  foreignObjects: () => copied.foreignObjects(),
  damage: () => copied.damage(),
})

/** An earlier move was cut off: the copy is there whole or not at all. */
async function resume(path: string, settings: PostgresSettings): Promise<void> {
  const { moving, moved } = movedStore(path)
  const { openPostgresSnapshot } = await import('../foundation/database/postgres/open-postgres-snapshot.ts')
  const source = openSnapshot(moving)
  const head = await source.get('select seq, hash from chain_head where id = 1')
  await source.close()
  const target = await openPostgresSnapshot(settings)
  const found = await target
    .get('select hash from audit_events where seq = ?', Number(head?.['seq'] ?? 0))
    .catch(() => undefined)
    .finally(() => target.close())
  if (head === undefined || found?.['hash'] !== head['hash']) {
    renameSync(moving, path)
    return
  }
  keep(path, settings)
  throw new Refused(
    'exists',
    `the earlier move had succeeded; the old file is ${moved}`,
    'set storage in the configuration',
  )
}

function keep(path: string, settings: PostgresSettings): void {
  const { moving, moved, note } = movedStore(path)
  chmodSync(moving, 0o400)
  renameSync(moving, moved)
  writeFileSync(note, `${describePostgres(settings)}\n`, { mode: 0o600 })
}
