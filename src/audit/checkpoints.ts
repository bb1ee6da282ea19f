import type { Kysely } from 'kysely'
import type { KeyObject } from 'node:crypto'
import {
  checkpointDigest,
  checkpointText,
  parseNote,
  type SessionHead,
  signedNote,
} from '../formats/checkpoint-note.ts'
import { GENESIS } from '../formats/audit-chain.ts'
import type { Clock, Timer } from '../foundation/clock.ts'
import type { Database } from '../foundation/database/open-database.ts'
import type { CheckpointsTable, Tables } from '../foundation/database/tables.ts'
import { Refused } from '../foundation/errors.ts'
import type { Log } from '../foundation/log.ts'
import type { Tx } from './deed.ts'
import type { OutsideFile } from './outside-file.ts'

const EVERY_MS = 60_000
/** How many checkpoints are written outside at once when the file was unreachable for a while. */
const CATCH_UP = 500

export interface CheckpointSigner {
  readonly publicKey: KeyObject
  /** Ed25519 over the text's UTF-8, 64 bytes */
  readonly sign: (text: string) => Uint8Array | Promise<Uint8Array>
}

export interface CheckpointsParts {
  readonly database: Database
  readonly clock: Clock
  readonly log: Log
  readonly installationId: string
  /** Asked each time: the key may have been rotated. */
  readonly signer: () => CheckpointSigner
  /** null: nothing outside, which `verify` calls UNANCHORED */
  readonly outside: OutsideFile | null
  /** Heads of the session files that are open now */
  readonly openSessions: () => readonly SessionHead[]
  /** DeedLog.readOnly: no checkpoint may make a rollback look right */
  readonly readOnly: () => string | null
  readonly everyMs?: number
}

export function originOf(installationId: string): string {
  return `sallyport/${installationId}`
}

/** Signs the chain's head every minute, even when idle, and at stop: into the table, then to the file outside. */
export class Checkpoints {
  readonly #parts: CheckpointsParts
  #turn: Promise<unknown> = Promise.resolve()
  #timer: Timer | null = null
  #stopped = false

  constructor(parts: CheckpointsParts) {
    this.#parts = parts
  }

  start(): void {
    this.#arm()
  }

  /** Errors: Refused('store_unavailable' | 'read_only'); what cannot be written outside is logged and written next time. */
  write(): Promise<void> {
    const mine = this.#turn.then(() => this.#write())
    this.#turn = mine.catch(() => {})
    return mine
  }

  /** The last checkpoint, then no more. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    await this.#writeLogged()
  }

  #arm(): void {
    if (this.#stopped) return
    this.#timer = this.#parts.clock.after(this.#parts.everyMs ?? EVERY_MS, () => {
      void this.#writeLogged().finally(() => this.#arm())
    })
  }

  async #writeLogged(): Promise<void> {
    try {
      await this.write()
    } catch (error) {
      this.#parts.log.error({ err: error }, 'no checkpoint could be stored')
    }
  }

  async #write(): Promise<void> {
    const readOnly = this.#parts.readOnly()
    if (readOnly !== null) throw new Refused('read_only', readOnly)
    const { database } = this.#parts
    // Read inside: other daemons on the store make theirs, and each continues the one before it.
    const { ordinal, note } = await database.transact(async (tx) => {
      const row = await this.#next(tx)
      await tx.insertInto('checkpoints').values(row).execute()
      return row
    })
    await this.#writeOutside(ordinal, note)
  }

  async #next(tx: Tx): Promise<CheckpointsTable> {
    const { database, clock, installationId, openSessions } = this.#parts
    const head = await tx.selectFrom('chain_head').select(['seq', 'hash']).executeTakeFirst()
    const last = await lastCheckpoint(tx)
    const now = await database.storeNow(tx, clock)
    const text = checkpointText({
      origin: originOf(installationId),
      size: head?.seq ?? 0,
      head: head?.hash ?? GENESIS,
      time: now,
      previous: last ? checkpointDigest(parseNote(last.note).text) : null,
      sessions: openSessions(),
    })
    const signer = this.#parts.signer()
    const note = signedNote(text, originOf(installationId), signer.publicKey, await signer.sign(text))
    return { ordinal: (last?.ordinal ?? 0) + 1, size: head?.seq ?? 0, note, created_at: now }
  }

  /** Table first: a checkpoint that is only outside would look like a rollback after a crash between the two. */
  async #writeOutside(ordinal: number, note: string): Promise<void> {
    const { outside, database, log } = this.#parts
    if (!outside) return
    try {
      const reached = outside.last()
      if (!reached || (await isInTable(database, reached.ordinal, reached.note))) {
        await this.#catchUp(outside, reached?.ordinal ?? 0)
      } else {
        // Of a history whose loss was accepted: the file goes on with this one, and `verify` finds the acceptance.
        outside.append([{ ordinal, note }])
      }
    } catch (error) {
      log.error(
        { err: error, file: outside.path },
        'the checkpoint could not be written outside; it will be with the next',
      )
    }
  }

  async #catchUp(outside: OutsideFile, after: number): Promise<void> {
    for (let reached = after; ;) {
      const rows = await this.#parts.database.reads
        .selectFrom('checkpoints')
        .select(['ordinal', 'note'])
        .where('ordinal', '>', reached)
        .orderBy('ordinal')
        .limit(CATCH_UP)
        .execute()
      if (rows.length > 0) outside.append(rows)
      reached = rows.at(-1)?.ordinal ?? reached
      if (rows.length < CATCH_UP) return
    }
  }
}

export async function lastCheckpoint(reads: Kysely<Tables>): Promise<{ ordinal: number; note: string } | null> {
  const row = await reads
    .selectFrom('checkpoints')
    .select(['ordinal', 'note'])
    .orderBy('ordinal', 'desc')
    .limit(1)
    .executeTakeFirst()
  return row ?? null
}

async function isInTable(database: Database, ordinal: number, note: string): Promise<boolean> {
  const row = await database.reads
    .selectFrom('checkpoints')
    .select('note')
    .where('ordinal', '=', ordinal)
    .executeTakeFirst()
  return row?.note === note
}
