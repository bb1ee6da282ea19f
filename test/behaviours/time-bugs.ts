import { bug, type PlantedBug } from './planted-bug.ts'

const CLOCK = 'grants/grant-clock.ts'
const AT_WORK = 'grants/working-roles.ts'
const DECIDE = 'connection/decide-access.ts'
const LIVE = 'connection/live-sessions.ts'
const START = 'access/ask/plan-start.ts'

/** Found by the model of starts, first uses, extensions and ends. */
export const TIME_BUGS: readonly PlantedBug[] = [
  bug('what lapses last is used first', AT_WORK, 'clockEnd(a).at - clockEnd(b).at', 'clockEnd(b).at - clockEnd(a).at'),
  bug('of two that lapse at once the newer one is used', AT_WORK, '(a.id < b.id ? -1 : 1)', '(a.id < b.id ? 1 : -1)'),
  bug(
    'a connection uses up what it does not need',
    DECIDE,
    'if (decision.ok || question.live?.isUsed === true)',
    'if (question.live?.isUsed === true)',
  ),
  bug(
    'an open session goes over to a grant that waits for its use',
    DECIDE,
    'if (decision.ok || question.live?.isUsed === true)',
    'if (decision.ok)',
  ),
  bug('a grant works at the very instant of its end', AT_WORK, 'clockEnd(grant).at <= now', 'clockEnd(grant).at < now'),
  bug(
    'a start at an instant works before it',
    CLOCK,
    'grant.use_by === null && grant.starts_at <= now',
    'grant.use_by === null',
  ),
  {
    bug: 'what waits for its use is used before its start',
    edits: [
      {
        file: CLOCK,
        from: 'return waitsForUse(grant) && grant.starts_at <= now && now <',
        to: 'return waitsForUse(grant) && now <',
      },
      { file: 'grants/use-grant.ts', from: ".where('starts_at', '<=', now)", to: '' },
    ],
  },
  bug('what lapses is said to have expired', CLOCK, "reason: 'lapsed' }\n    :", "reason: 'expired' }\n    :"),
  bug(
    'more time is lost on what waits for its use',
    'access/grant/extend-grant.ts',
    '(grant.use_length_ms ?? 0) + byMs',
    '(grant.use_length_ms ?? 0)',
  ),
  bug(
    'more time counts from its approval',
    'access/grant/extend-grant.ts',
    'const endsAt = grant.ends_at + byMs',
    'const endsAt = now + byMs',
  ),
  bug(
    'an extension waits beyond the end of its grant',
    'access/ask/plan-extension.ts',
    "{ at: clockEnd(grant).at, what: 'the end of the grant' }",
    'null',
  ),
  bug(
    'an extension that is over stands in the way',
    'access/ask/ask.ts',
    'if (now >= other.pending_until) return storedRequest(other)',
    'if (now < 0) return storedRequest(other)',
  ),
  bug(
    'an extension whose grant has ended is said to have come too late',
    'access/end/lateness.ts',
    "const gone = request.kind === 'extension' && isGone(loaded, now)",
    'const gone = false',
  ),
  bug(
    'of several starts the earliest',
    'access/decide/tally.ts',
    'starts.length === 0 ? null : Math.max(...starts)',
    'starts.length === 0 ? null : Math.min(...starts)',
  ),
  bug('a start in the past is taken', START, 'if (instant <= now)', 'if (instant < 0)'),
  bug('a start lies as far ahead as is liked', START, 'if (instant - now > LIMITS.startAheadMs)', 'if (instant < 0)'),
  bug(
    'a session outlives its grant',
    LIVE,
    'if (!decision.ok) {',
    'if (!decision.ok && session.grants.length > 0) return true\n    if (!decision.ok) {',
  ),
  bug(
    'what is over is shown as if it were not',
    'access/show/present-request.ts',
    "grant.state !== 'ended' && now >= end.at",
    "grant.state !== 'ended' && now > end.at",
  ),
  bug(
    'what is worked out is remembered beyond an end',
    'grants/moment.ts',
    'until = Math.min(until, at)',
    'until = Math.max(until, at)',
  ),
  bug(
    'what is worked out is remembered beyond a start',
    'grants/snapshot.ts',
    '[grant.starts_at, grant.ends_at, grant.use_by ?? []]',
    '[grant.ends_at]',
  ),
]
