import type { KeyObject } from 'node:crypto'
import { checkpointDigest, isSignedBy, type ParsedNote, parseNote } from '../formats/checkpoint-note.ts'
import type { Database } from '../foundation/database/open-database.ts'
import { Refused } from '../foundation/errors.ts'
import { acceptedDigests } from './accept-rollback.ts'
import { originOf } from './checkpoints.ts'
import type { OutsideEntry, OutsideFile } from './outside-file.ts'

export type StartFinding =
  /** The store continues what the last checkpoint outside says. */
  | { readonly state: 'continues' }
  /** Nothing outside to compare with. `warning` is for the log when there should be something. */
  | { readonly state: 'unanchored'; readonly warning: string | null }
  /** Shorter than or different from the last checkpoint outside: read-only until accepted. */
  | { readonly state: 'went_back'; readonly why: string }

export interface StartCheckInput {
  readonly database: Database
  readonly outside: OutsideFile | null
  readonly installationId: string
  /** Public checkpoint keys of the store's authorities that are not dropped */
  readonly keys: readonly KeyObject[]
}

/**
 * Compares the chain's head with the last checkpoint that was written outside. To be called before anything is stored.
 * Errors: Refused('read_only') when the store is empty but the file outside is not: the data folder was taken away.
 */
export async function checkStart(input: StartCheckInput): Promise<StartFinding> {
  const { database, outside } = input
  const entry = outside?.last() ?? null
  const head = await database.reads.selectFrom('chain_head').select(['seq', 'hash']).executeTakeFirst()
  if (!outside || !entry) return await withoutAnchor(database, outside)
  const note = readNote(entry)
  if (!note) return { state: 'went_back', why: `the last checkpoint in ${outside.path} cannot be read` }
  if (!head) throw emptyStore(outside.path, note.checkpoint.origin)
  // By a key that vouched for what is given up: other keys may have been written into the store.
  const vouching = input.keys.filter((key) => isSignedBy(note, [key]))
  if ((await acceptedDigests(database, vouching)).has(checkpointDigest(note.text))) return { state: 'continues' }
  const why = await difference(input, note, head)
  return why === null ? { state: 'continues' } : { state: 'went_back', why }
}

async function withoutAnchor(database: Database, outside: OutsideFile | null): Promise<StartFinding> {
  if (!outside) return { state: 'unanchored', warning: null }
  const row = await database.reads.selectFrom('checkpoints').select('ordinal').limit(1).executeTakeFirst()
  const warning = row ? `${outside.path} is empty, but checkpoints were made before: was it exchanged?` : null
  return { state: 'unanchored', warning }
}

async function difference(
  { database, installationId, keys }: StartCheckInput,
  note: ParsedNote,
  head: { seq: number; hash: string },
): Promise<string | null> {
  const { origin, size, head: told, time } = note.checkpoint
  const when = new Date(time).toISOString()
  if (origin !== originOf(installationId)) return `the checkpoint of ${when} is of another installation (${origin})`
  if (!isSignedBy(note, keys)) return `the checkpoint of ${when} is not signed by this store's key`
  if (head.seq < size) {
    return `the checkpoint of ${when} tells of ${String(size)} events, the store has ${String(head.seq)}: it was rolled back`
  }
  if (size === 0) return null
  const event = await database.reads
    .selectFrom('audit_events')
    .select('hash')
    .where('seq', '=', size)
    .executeTakeFirst()
  return event?.hash === told
    ? null
    : `event ${String(size)} is not the one of the checkpoint of ${when}: another history`
}

function readNote(entry: OutsideEntry): ParsedNote | null {
  try {
    return parseNote(entry.note)
  } catch {
    return null
  }
}

function emptyStore(file: string, origin: string): Refused {
  return new Refused(
    'read_only',
    `the store is empty, but ${file} holds checkpoints of ${origin}`,
    'restore the data folder; for a new installation, move that file away',
  )
}
