import type { DeedLog, NewEvent } from '../audit/deed.ts'
import type { Clock } from '../foundation/clock.ts'
import { Bug } from '../foundation/errors.ts'
import type { Snapshot } from '../grants/snapshot.ts'
import type { StoredGrant } from '../grants/stored-grant.ts'
import { rowsUsed, useGrant } from '../grants/use-grant.ts'
import { decideFresh } from './decide-fresh.ts'
import type { AccessDecision } from './decide-access.ts'
import type { LiveSession } from './live-sessions.ts'
import { aboutLive } from './session-deeds.ts'

export interface FirstUseParts {
  readonly deeds: DeedLog
  readonly snapshot: Snapshot
  readonly clock: Clock
  /** authorize()'s rule for what this session uses, as of now */
  readonly decide: (session: LiveSession, now: number) => AccessDecision
}

/** Somebody else has started it, or something else permits the access by now. */
class NothingToStart extends Error {}

/** Starts the clock of the grant that this session needs, when it waits for its first use and nothing else permits it. */
export async function startFirstUse(parts: FirstUseParts, session: LiveSession): Promise<void> {
  const startedBy = (now: number): StoredGrant | null => {
    const decision = parts.decide(session, now)
    return decision.ok ? decision.starts : null
  }
  if (startedBy(parts.clock.now()) === null) return
  const started = decideFresh<null>(parts, async (tx, now) => {
    const grant = startedBy(now)
    if (!grant) throw new NothingToStart()
    const used = await useGrant(tx, grant, now)
    if (!used) throw new Bug(`grant ${grant.id} is not as the snapshot has it`)
    const details = { user: grant.user_id, startsAt: now, endsAt: used.endsAt, by: 'first use' }
    const about = { ...aboutLive(session), request: grant.request_id, grants: [grant.id] }
    const event: NewEvent = { type: 'grant.start', ...about, outcome: 'success', details, rows: rowsUsed(grant) }
    return { result: null, events: [event] }
  })
  await started.catch((error: unknown) => {
    if (!(error instanceof NothingToStart)) throw error
  })
}
