import { sql } from 'kysely'
import type { Tx } from '../../audit/deed.ts'
import { Refused } from '../../foundation/errors.ts'
import { grantStanding } from '../../grants/grant-standing.ts'
import type { RequestCase } from '../request-case.ts'
import { storedRequest, type StoredRequest } from '../stored-request.ts'
import { grantNow } from './consequences.ts'
import { expireRequest, type Told } from './expire-request.ts'

export const GRANT_GONE = 'the grant that it would extend has ended'

type Extending = Pick<RequestCase, 'extended' | 'directory' | 'resources' | 'pinned'>

/** True when there is nothing left to extend. */
export function isGone({ extended, directory, resources, pinned }: Extending, now: number): boolean {
  return extended === null || grantStanding(grantNow(extended, directory, resources, pinned), now).kind === 'over'
}

export function grantGone(): Refused {
  return new Refused('grant_ended', GRANT_GONE, 'ask for the access anew')
}

/** The extension that waits for its decision is over together with its grant. */
export async function expireExtensions(tx: Tx, grantId: string, requesterName: string, at: number): Promise<Told[]> {
  const pending = await tx
    .selectFrom('access_requests')
    .selectAll()
    .where('extends_grant', '=', grantId)
    .where('state', '=', sql.lit('pending'))
    .execute()
  const told: Told[] = []
  for (const row of pending) told.push(await expireExtension(tx, storedRequest(row), requesterName, at))
  return told
}

export function expireExtension(tx: Tx, request: StoredRequest, requesterName: string, at: number): Promise<Told> {
  return expireRequest(tx, request, requesterName, { code: 'grant_ended', text: GRANT_GONE, at })
}
