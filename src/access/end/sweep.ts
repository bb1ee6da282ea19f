import type { Deed, NewEvent, Tx } from '../../audit/deed.ts'
import { SYSTEM } from '../caller.ts'
import { NothingToDo } from '../nothing-to-do.ts'
import { loadCase, type RequestCase } from '../request-case.ts'
import { clockEnd } from '../../grants/grant-clock.ts'
import { startGrant } from '../grant/start-grant.ts'
import type { StoredGrant } from '../../grants/stored-grant.ts'
import { cancelled } from './cancel-request.ts'
import { consequenceFor, type Consequence } from './consequences.ts'
import { endGrant } from './end-grant.ts'
import { touchRequest } from './expire-request.ts'
import { lateDeed } from './lateness.ts'

/** Carries out what is due for one request, judged anew inside the transaction. Throws NothingToDo when nothing is. */
export async function consequenceDeed(tx: Tx, now: number, id: string): Promise<Deed<Consequence>> {
  const loaded = await loadCase(tx, id, now)
  const due = loaded ? consequenceFor(loaded, now) : null
  if (!loaded || !due || due.kind === 'none') throw new NothingToDo<Consequence>({ kind: 'none' })
  return { result: due, ...(await carryOut(tx, now, loaded, due)) }
}

async function carryOut(
  tx: Tx,
  now: number,
  loaded: RequestCase,
  due: Exclude<Consequence, { kind: 'none' }>,
): Promise<Omit<Deed<unknown>, 'result'>> {
  const { request, requesterName, grant } = loaded
  switch (due.kind) {
    case 'expire_request': {
      const { events, outbox = [] } = await lateDeed(tx, loaded, now)
      return { events, outbox, evenIfAltered: true }
    }
    case 'cancel_request':
      return {
        ...(await cancelled(tx, loaded, now, { actor: SYSTEM, loginId: null }, due.because)),
        evenIfAltered: true,
      }
    case 'end_grant': {
      if (!grant) throw new NothingToDo<Consequence>({ kind: 'none' })
      // What the clock ended was over at its end, however late we came to say so.
      const clock = clockEnd(grant)
      const at = due.reason === clock.reason ? clock.at : now
      const end = { reason: due.reason, actor: SYSTEM, login: null, comment: null, at }
      return { ...(await endGrant(tx, grant, request, requesterName, end)), evenIfAltered: true }
    }
    case 'start_grant': {
      if (!grant) throw new NothingToDo<Consequence>({ kind: 'none' })
      return { events: [await startGrant(tx, grant, request)] }
    }
    case 'suspend_grant': {
      if (!grant) throw new NothingToDo<Consequence>({ kind: 'none' })
      return { events: [await suspendGrant(tx, grant, loaded, due.why)] }
    }
  }
}

async function suspendGrant(
  tx: Tx,
  grant: StoredGrant,
  { request }: RequestCase,
  why: string | null,
): Promise<NewEvent> {
  await tx.updateTable('grants').set({ suspended: why }).where('id', '=', grant.id).execute()
  await touchRequest(tx, request)
  return {
    type: why === null ? 'grant.resume' : 'grant.suspend',
    actor: SYSTEM,
    outcome: 'success',
    request: request.id,
    grants: [grant.id],
    details: { why },
    rows: [
      { table: 'grants', id: grant.id },
      { table: 'access_requests', id: request.id },
    ],
  }
}
