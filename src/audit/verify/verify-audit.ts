import type { KeyObject } from 'node:crypto'
import type { Verification } from '../../contract/audit.ts'
import { checkpointKey, type SessionHead } from '../../formats/checkpoint-note.ts'
import { openSnapshot, type Snapshot } from '../../foundation/database/open-snapshot.ts'
import { storeTrouble } from '../../foundation/database/store-errors.ts'
import type { SessionsTable } from '../../foundation/database/tables.ts'
import { Refused } from '../../foundation/errors.ts'
import { type Anchors, readAnchors } from './anchors.ts'
import { type ChainFacts, verifyChain } from './chain.ts'
import { Problems } from './problems.ts'
import { verifyRows } from './rows.ts'

export type SessionFileState =
  | { readonly state: 'whole' }
  | { readonly state: 'altered' | 'missing'; readonly message: string }

export interface VerifyInput {
  /** The database file: of a running daemon, or a copy. Opened read-only. With `open` a name for people. */
  readonly database: string
  /** Opens a store that is no file */
  readonly open?: () => Promise<Snapshot>
  /** Public checkpoint keys (SPKI PEM) that come from outside the store */
  readonly trusted?: readonly string[]
  /** File of checkpoints outside; null: none */
  readonly outside?: string | null
  /** Checks one session's file; `head` is what the last checkpoint tells of it. Left out: files are not checked. */
  readonly sessionFile?: (session: SessionsTable, head: SessionHead | null) => Promise<SessionFileState>
  /** Also asks the database whether its own files are whole. */
  readonly checkFile?: boolean
  readonly signal?: AbortSignal
}

export const UNANCHORED = 'UNANCHORED: proves consistency only'
/** Checkpoints come each minute; this much without one is not an accident of timing. */
const UNCOVERED_MS = 10 * 60_000

/**
 * Verifies chain, checkpoints, rows and session files of one unmoving state of the store. What is wrong is in the answer, also
 * when the file is damaged. Errors: Refused('malformed') for a key or outside file that cannot be read; the signal's reason.
 */
export async function verifyAudit(input: VerifyInput): Promise<Verification> {
  const problems = new Problems()
  const answer = { events: 0, rows: 0, checkpoints: 0, sessionFiles: 0, anchored: false, notes: [] as string[] }
  const trusted = (input.trusted ?? []).map(readTrusted)
  let snapshot: Snapshot | null = null
  try {
    snapshot = await (input.open?.() ?? openSnapshot(input.database))
    Object.assign(answer, await verifySnapshot(input, snapshot, trusted, problems))
  } catch (error) {
    const trouble = storeTrouble(error) ?? schemaTrouble(error)
    if (trouble === null) throw error
    problems.add('database_damaged', input.database, `the database cannot be read: ${trouble}`)
  } finally {
    await snapshot?.close()
  }
  return { ...answer, problems: problems.list() }
}

async function verifySnapshot(
  input: VerifyInput,
  snapshot: Snapshot,
  trusted: readonly KeyObject[],
  problems: Problems,
): Promise<Omit<Verification, 'problems'>> {
  await checkFileAndSchema(input, snapshot, problems)
  const pause = async (): Promise<void> => {
    input.signal?.throwIfAborted()
    await new Promise<void>((resolve) => {
      setImmediate(resolve)
    })
  }
  const outside = input.outside ?? null
  const local = await localKeys(snapshot)
  const anchors = await readAnchors({ snapshot, problems, trusted, local, outside, pause })
  const chain = await verifyChain({ snapshot, problems, reached: (seq, head) => anchors.reached(seq, head), pause })
  anchors.finish(chain.lastSeq)
  checkCovered(input, anchors, chain, problems)
  const rows = await verifyRows({ snapshot, problems, index: chain.rows, pause })
  await checkInstallation(snapshot, problems)
  const sessionFiles = await verifySessionFiles(input, snapshot, anchors, problems)
  const anchored = anchors.outsideCheckpoints > 0 || (trusted.length > 0 && anchors.lastIsTrusted)
  return {
    events: chain.events,
    rows,
    checkpoints: anchors.checkpoints,
    sessionFiles,
    anchored,
    notes: [...notes(input, anchors, chain, anchored), ...(await acceptances(snapshot))],
  }
}

async function checkFileAndSchema(input: VerifyInput, snapshot: Snapshot, problems: Problems): Promise<void> {
  for (const what of await snapshot.foreignObjects())
    problems.add('schema_altered', what, `the database holds a ${what} that Sallyport never made`)
  if (input.checkFile !== true) return
  for (const line of await snapshot.damage()) problems.add('database_damaged', input.database, line)
}

function checkCovered(input: VerifyInput, anchors: Anchors, chain: ChainFacts, problems: Problems): void {
  const expected = (input.trusted ?? []).length > 0 || (input.outside ?? null) !== null || anchors.checkpoints > 0
  if (!expected || chain.events === 0) return
  if ((input.trusted ?? []).length > 0 && anchors.lastTime !== null && !anchors.lastIsTrusted) {
    problems.add('wrong_key', 'the last checkpoint', 'the last checkpoint is not signed by the trusted key')
  }
  if (anchors.lastTime === null) {
    problems.add('checkpoint_missing', 'checkpoint 1', 'there is no checkpoint that can be trusted')
  } else if (chain.lastTime - anchors.lastTime > UNCOVERED_MS) {
    const since = new Date(anchors.lastTime).toISOString()
    problems.add('checkpoint_missing', 'the last checkpoint', `no checkpoint after ${since}, while events went on`)
  }
  if ((input.outside ?? null) !== null && anchors.outsideCheckpoints === 0) {
    problems.add('checkpoint_missing', String(input.outside), 'the file outside holds no checkpoint')
  }
}

async function verifySessionFiles(
  input: VerifyInput,
  snapshot: Snapshot,
  anchors: Anchors,
  problems: Problems,
): Promise<number> {
  if (!input.sessionFile) return 0
  let count = 0
  for await (const row of snapshot.rows('select * from sessions order by started_at, id')) {
    input.signal?.throwIfAborted()
    // Both drivers type a row as a bag of values; the select names every column of the table.
    const session = row as unknown as SessionsTable
    const result = await input.sessionFile(session, anchors.sessions.get(session.id) ?? null)
    count += 1
    if (result.state === 'whole') continue
    problems.add(`session_file_${result.state}`, `session ${session.id}`, result.message)
  }
  return count
}

function notes(input: VerifyInput, anchors: Anchors, chain: ChainFacts, anchored: boolean): string[] {
  const lines: string[] = []
  if (!anchored) lines.push(UNANCHORED)
  else if (anchors.outsideSize === null) {
    lines.push('no checkpoint file from outside: a return to an older state with its own checkpoints would not be seen')
  } else if (anchors.outsideSize < chain.lastSeq) {
    lines.push(`the checkpoints outside reach event ${String(anchors.outsideSize)} of ${String(chain.lastSeq)}`)
  }
  if (chain.pruned > 0) lines.push(`pruned: ${String(chain.pruned)} events have lost their details to retention`)
  if (!input.sessionFile) lines.push('session files were not checked')
  return lines
}

/** Its row is as old as the chain and never changes: the chain's first words say what it is. */
async function checkInstallation(snapshot: Snapshot, problems: Problems): Promise<void> {
  const first = "select seq, details_json from audit_events where type = 'installation.create' order by seq limit 1"
  const event = await snapshot.get(first)
  if (!event || event['details_json'] === null) return
  const where = 'installation'
  let rows = 0
  for await (const row of snapshot.rows('select id, name from installation')) {
    rows += 1
    const same = ['installation', 'name'].map((key) => partOf(event['details_json'], key)).join(' ')
    if (same !== `${String(row['id'])} ${String(row['name'])}`)
      problems.add('row_altered', where, `the installation is not the one that event ${String(event['seq'])} tells of`)
  }
  if (rows !== 1) problems.add('row_missing', where, `there are ${String(rows)} installations; there was one`)
}

/** What operators have accepted is whole for the chain, and still something that a reader must know. */
async function acceptances(snapshot: Snapshot): Promise<string[]> {
  const lines: string[] = []
  const events = "select seq, time, actor_json, details_json from audit_events where type = 'audit.accept_rollback'"
  for await (const row of snapshot.rows(`${events} order by seq`)) {
    const actor = partOf(row['actor_json'], 'name')
    const when = new Date(Number(row['time'])).toISOString()
    const why = partOf(row['details_json'], 'why')
    lines.push(`event ${String(row['seq'])} of ${when}: ${actor} accepted what had been found: ${why}`)
  }
  return lines
}

function partOf(json: unknown, key: string): string {
  try {
    const found: unknown = JSON.parse(String(json))
    return typeof found === 'object' && found !== null && key in found ? String(Object(found)[key]) : 'unknown'
  } catch {
    return 'unknown'
  }
}

async function localKeys(snapshot: Snapshot): Promise<KeyObject[]> {
  const keys: KeyObject[] = []
  for await (const row of snapshot.rows("select public_key from authorities where kind = 'checkpoint'")) {
    try {
      keys.push(checkpointKey(String(row['public_key'])))
    } catch {
      // A key that somebody made unreadable signs nothing; its row tells of it.
    }
  }
  return keys
}

function readTrusted(pem: string): KeyObject {
  try {
    return checkpointKey(pem)
  } catch (error) {
    const why = error instanceof Error ? error.message : ''
    throw new Refused('malformed', `the trusted key cannot be used: ${why}`, 'run: sallyctl ca export')
  }
}

/** A table or column is gone, or holds a number that we would never have stored. */
function schemaTrouble(error: unknown): string | null {
  const { code, message } = error as { code?: unknown; message?: unknown }
  const isOfServer = error instanceof Error && 'severity' in error
  const isOfFile = code === 'ERR_SQLITE_ERROR' || code === 'ERR_OUT_OF_RANGE'
  return isOfServer || isOfFile || error instanceof RangeError ? String(message) : null
}
