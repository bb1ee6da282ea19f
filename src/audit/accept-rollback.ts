import { type KeyObject, verify } from 'node:crypto'
import type { Actor } from '../contract/audit.ts'
import { sql } from 'kysely'
import { checkpointDigest, parseNote } from '../formats/checkpoint-note.ts'
import type { Database } from '../foundation/database/open-database.ts'
import { Refused } from '../foundation/errors.ts'
import type { StoredDeedLog } from './commit-deed.ts'
import type { Deed, RowRef, Tx } from './deed.ts'
import type { OutsideEntry } from './outside-file.ts'

/** In the details; rows_json has all of them */
const MOST_NAMED = 100

export interface Acceptance {
  readonly actor: Actor
  readonly reason: string
  /** The last checkpoint outside: of the history that is lost. null when there is none */
  readonly lost: OutsideEntry | null
  /** Rows that are not what their last event says: taken as they are, each named by the event */
  readonly altered?: readonly RowRef[]
  /** By the checkpoint key (Ed25519): whoever can merely write the store must not accept in an operator's place. */
  readonly sign: (text: string) => Uint8Array
}

/**
 * Takes deeds again after a rollback, or edits made while no daemon ran, were found. What the lost events may have ended could
 * be alive in this history, so every login session, grant, pending request, open invitation and delegation ends in the same deed.
 * Errors: Refused('changed_meanwhile') when the store is not read-only.
 */
export async function acceptRollback(deeds: StoredDeedLog, acceptance: Acceptance): Promise<void> {
  const why = deeds.readOnly
  if (why === null) throw new Refused('changed_meanwhile', 'the store is not read-only: there is nothing to accept')
  await deeds.commitAcceptance((tx, now) => acceptanceDeed(tx, now, acceptance, why))
}

async function acceptanceDeed(tx: Tx, now: number, acceptance: Acceptance, why: string): Promise<Deed<null>> {
  const rows: RowRef[] = [
    ...named('login_sessions', await endLogins(tx, now)),
    ...named('grants', await endGrants(tx, now, acceptance.actor.name)),
    ...named('access_requests', await cancelRequests(tx, now)),
    ...named('invitations', await endInvitations(tx, now)),
    ...named('delegations', await endDelegations(tx, now, acceptance.actor.name)),
  ]
  const altered = acceptance.altered ?? []
  const kept = await tx.selectFrom('chain_head').select(['seq', 'hash']).executeTakeFirst()
  const lost = acceptance.lost ? lostCheckpoint(acceptance.lost) : null
  const seq = kept?.seq ?? 0
  const details = {
    reason: acceptance.reason,
    why,
    kept: { seq, head: kept?.hash ?? null },
    lost,
    signature:
      typeof lost?.['digest'] === 'string'
        ? Buffer.from(acceptance.sign(acceptanceText(lost['digest'], seq))).toString('base64')
        : null,
    ended: rows.length,
    altered: altered.slice(0, MOST_NAMED).map(({ table, id }) => `${table}/${id}`),
  }
  const event = {
    type: 'audit.accept_rollback',
    actor: acceptance.actor,
    outcome: 'success',
    details,
    rows: [...rows, ...altered],
  } as const
  return { result: null, events: [event] }
}

function lostCheckpoint(entry: OutsideEntry): Record<string, unknown> {
  try {
    const { text, checkpoint } = parseNote(entry.note)
    return { digest: checkpointDigest(text), size: checkpoint.size, head: checkpoint.head, time: checkpoint.time }
  } catch {
    return { unreadable: true }
  }
}

const named = (table: RowRef['table'], rows: readonly { id: string }[]): RowRef[] =>
  rows.map(({ id }) => ({ table, id }))

// States are written out: the indexes that hold only what lives are used only for what the text itself says.

function endLogins(tx: Tx, now: number) {
  return tx
    .updateTable('login_sessions')
    .set({ ended_at: now, end_reason: 'rollback_accepted' })
    .where('ended_at', 'is', null)
    .returning('id')
    .execute()
}

function endGrants(tx: Tx, now: number, by: string) {
  return tx
    .updateTable('grants')
    .set({ state: 'ended', ended_at: now, end_reason: 'revoked', ended_by: by, end_comment: 'a rollback was accepted' })
    .where('state', '<>', sql.lit('ended'))
    .returning('id')
    .execute()
}

function cancelRequests(tx: Tx, now: number) {
  return tx
    .updateTable('access_requests')
    .set((e) => ({
      state: 'cancelled' as const,
      decided_at: now,
      resolution: 'a rollback of the store was accepted',
      version: e('version', '+', 1),
    }))
    .where('state', '=', sql.lit('pending'))
    .returning('id')
    .execute()
}

function endInvitations(tx: Tx, now: number) {
  return tx
    .updateTable('invitations')
    .set({ expires_at: now })
    .where('used_at', 'is', null)
    .where('expires_at', '>', now)
    .returning('id')
    .execute()
}

function endDelegations(tx: Tx, now: number, by: string) {
  return tx
    .updateTable('delegations')
    .set({ removed_at: now, removed_by: by, removed_why: 'a rollback was accepted' })
    .where('removed_at', 'is', null)
    .where('ends_at', '>', now)
    .returning('id')
    .execute()
}

/** What is signed: the digest of the last checkpoint of the history given up, and the seq up to which it was kept. */
function acceptanceText(digest: string, kept: number): string {
  return `sallyport accepted rollback v1\n${digest}\n${String(kept)}\n`
}

/** Digests of checkpoints outside whose history was given up by an acceptance that one of `keys` signed. */
export async function acceptedDigests(database: Database, keys: readonly KeyObject[]): Promise<ReadonlySet<string>> {
  const events = await database.reads
    .selectFrom('audit_events')
    .select('details_json')
    .where('type', '=', 'audit.accept_rollback')
    .execute()
  return new Set(
    events.flatMap((event) => {
      const history = lostHistory(event.details_json)
      return history?.isSignedBy(keys) ? [history.digest] : []
    }),
  )
}

export interface LostHistory {
  /** Of the last checkpoint of the history that was given up */
  readonly digest: string
  /** The event up to which it is this one's too */
  readonly kept: number
  isSignedBy(keys: readonly KeyObject[]): boolean
}

/** Of an audit.accept_rollback event's details; null when it names none. */
export function lostHistory(detailsJson: unknown): LostHistory | null {
  try {
    const details = JSON.parse(String(detailsJson)) as {
      lost: { digest: unknown }
      kept: { seq: unknown }
      signature: unknown
    }
    const { digest } = details.lost
    if (typeof digest !== 'string') return null
    const kept = Number(details.kept.seq)
    const text = Buffer.from(acceptanceText(digest, kept))
    const signature = Buffer.from(String(details.signature), 'base64')
    return { digest, kept, isSignedBy: (keys) => keys.some((key) => verify(null, text, key, signature)) }
  } catch {
    return null
  }
}
