import { rmSync } from 'node:fs'
import type { NewEvent, Tx } from '../audit/deed.ts'
import { RoleDocument } from '../contract/role.ts'
import type { UsersTable } from '../foundation/database/tables.ts'
import { newId } from '../foundation/ids.ts'
import { SYSTEM } from './doer.ts'
import type { StoreParts } from './doer.ts'
import { FIRST_ADMIN_INVITATION_MS, invite } from './invitations.ts'
import type { NewInvitation } from './invitations.ts'
import { MadeElsewhere } from './installation.ts'
import { createPrivateFile } from './private-file.ts'
import { writeRole } from './roles.ts'

const ADMIN_ROLE = RoleDocument.parse({
  kind: 'role',
  metadata: { name: 'admin', description: 'Manages everything and reviews every request; opens no target by itself' },
  spec: { allow: { rules: [{ resources: ['*'], verbs: ['*'] }], review_requests: { roles: ['*'] } } },
})

/** What an invited person types. */
export function inviteCommand(publicAddress: string, pin: string, code: string): string {
  return `sally login --proxy=${publicAddress} --ca-pin=${pin} --invite=${code}`
}

export interface FirstAdmin {
  /** Also stands in the file; for a terminal's screen, never for the log */
  readonly command: string
  readonly file: string
  readonly expiresAt: number
}

/**
 * On an empty store: the role and the user `admin` and an invitation that works once, for an hour, in a 0600 file. As long as
 * nobody has accepted one, each start makes a new one. null: somebody has.
 */
export async function inviteFirstAdmin(
  parts: StoreParts,
  options: { readonly file: string; readonly publicAddress: string; readonly pin: string },
): Promise<FirstAdmin | null> {
  const users = await parts.database.reads.selectFrom('users').selectAll().execute()
  const [only] = users
  const isUnused =
    users.length === 1 && only?.name === 'admin' && only.password_hash === null && only.deleted_at === null
  if (users.length > 0 && !isUnused) {
    rmSync(options.file, { force: true })
    return null
  }
  const invitation = await makeInvitation(parts, users.length, only).catch(noneIfMadeElsewhere)
  if (!invitation) return null
  const command = inviteCommand(options.publicAddress, options.pin, invitation.code)
  rmSync(options.file, { force: true })
  createPrivateFile(options.file, Buffer.from(`${command}\n`))
  return { command, file: options.file, expiresAt: invitation.expiresAt }
}

function makeInvitation(parts: StoreParts, known: number, only: UsersTable | undefined): Promise<NewInvitation> {
  return parts.deeds.commitDeed(async (tx, now) => {
    const there = await tx.selectFrom('users').select('id').execute()
    if (there.length !== known) throw new MadeElsewhere()
    if (only) {
      const made = await invite(tx, SYSTEM, only, FIRST_ADMIN_INVITATION_MS, now)
      return { result: made, events: [made.event] }
    }
    return await createAdmin(tx, now)
  })
}

function noneIfMadeElsewhere(error: unknown): null {
  if (error instanceof MadeElsewhere) return null
  throw error
}

async function createAdmin(
  tx: Tx,
  now: number,
): Promise<{ result: NewInvitation; events: readonly [NewEvent, ...NewEvent[]] }> {
  const role = await writeRole(tx, SYSTEM, ADMIN_ROLE, true, now)
  const user: UsersTable = {
    id: newId('user', now),
    event_id: '',
    name: 'admin',
    email: null,
    role_ids_json: JSON.stringify([role.id]),
    ...{
      traits_json: '{}',
      password_hash: null,
      disabled: 0,
      deleted_at: null,
      created_at: now,
      votes_count_from: null,
      service_owner_id: null,
      disabled_at: null,
    },
  }
  await tx.insertInto('users').values(user).execute()
  const made = await invite(tx, SYSTEM, user, FIRST_ADMIN_INVITATION_MS, now)
  const event: NewEvent = {
    type: 'user.create',
    actor: SYSTEM.actor,
    outcome: 'success',
    details: { user: user.id, name: user.name, roles: ['admin'], why: 'first start' },
    rows: [{ table: 'users', id: user.id }],
  }
  return { result: made, events: [role.event, event, made.event] }
}
