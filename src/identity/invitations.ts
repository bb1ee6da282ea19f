import type { NewEvent, Tx } from '../audit/deed.ts'
import type { InvitationsTable } from '../foundation/database/tables.ts'
import { Refused } from '../foundation/errors.ts'
import { newId } from '../foundation/ids.ts'
import type { Doer } from './doer.ts'
import { newToken, tokenHash } from './tokens.ts'

export const INVITATION_MS = 72 * 3_600_000
export const FIRST_ADMIN_INVITATION_MS = 3_600_000

export interface NewInvitation {
  /** Shown once */
  readonly code: string
  readonly expiresAt: number
  readonly event: NewEvent
}

/** Makes a one-time invitation; earlier unused ones of that user are used up. The caller's deed carries the event. */
export async function invite(
  tx: Tx,
  doer: Doer,
  user: { readonly id: string; readonly name: string },
  lifeMs: number,
  now: number,
): Promise<NewInvitation> {
  const voided = await voidInvitations(tx, user.id, now)
  const { token, hash } = newToken('invitation')
  const row: InvitationsTable = {
    id: newId('invitation', now),
    event_id: '',
    user_id: user.id,
    code_hash: hash,
    expires_at: now + lifeMs,
    used_at: null,
  }
  await tx.insertInto('invitations').values(row).execute()
  const event: NewEvent = {
    type: 'user.invite',
    actor: doer.actor,
    login: doer.loginId,
    outcome: 'success',
    details: { user: user.id, name: user.name, expiresAt: row.expires_at },
    rows: [...voided, row.id].map((id) => ({ table: 'invitations', id })),
  }
  return { code: token, expiresAt: row.expires_at, event }
}

/** Ids of the invitations that were still open. Their event is the caller's. */
export async function voidInvitations(tx: Tx, userId: string, now: number): Promise<string[]> {
  const open = await tx
    .selectFrom('invitations')
    .select('id')
    .where('user_id', '=', userId)
    .where('used_at', 'is', null)
    .execute()
  for (const { id } of open) await tx.updateTable('invitations').set({ used_at: now }).where('id', '=', id).execute()
  return open.map(({ id }) => id)
}

/** Uses an invitation up. Throws Refused('invitation_invalid') with one text, whatever is wrong with it. */
export async function takeInvitation(tx: Tx, code: string, now: number): Promise<InvitationsTable> {
  const hash = tokenHash('invitation', code)
  const row =
    hash === null
      ? undefined
      : await tx.selectFrom('invitations').selectAll().where('code_hash', '=', hash).executeTakeFirst()
  if (!row || row.used_at !== null || row.expires_at <= now)
    throw new Refused(
      'invitation_invalid',
      'that invitation is unknown, used or too old',
      'ask an operator for another one: sallyctl users reset NAME',
    )
  await tx.updateTable('invitations').set({ used_at: now }).where('id', '=', row.id).execute()
  return row
}
