// Limits of requests. Going over one is an error that names it; nothing is clamped in silence.

const HOUR = 3_600_000
const DAY = 24 * HOUR

export const LIMITS = {
  reasonBytes: 4096,
  roles: 50,
  resources: 300,
  durationMs: 14 * DAY,
  pendingMs: 7 * DAY,
  defaultPendingMs: DAY,
  startAheadMs: 7 * DAY,
  /** How long a grant waits for its first use */
  firstUseMs: DAY,
  asksPerHour: 20,
  askWindowMs: HOUR,
  /** After a denial of the same */
  coolDownMs: 10 * 60_000,
  /** For how long reviewers are told of an earlier denial */
  denialRememberedMs: 7 * DAY,
  reviewersShown: 50,
  /** Others who must have looked at break-glass access before its user may take access that way again */
  acknowledgements: 2,
  /** By one step of an escalation */
  peopleTold: 500,
  noteBytes: 2000,
  /** Of one service account on one request */
  notesOfOne: 5,
  notes: 20,
  delegationMs: 90 * DAY,
  /** Of one absent person at a time */
  delegations: 20,
} as const
