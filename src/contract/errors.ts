// Codes are a closed list: texts may change, codes may not.

/** What a command exits with (docs/commands.md). */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  denied: 3,
  expired: 4,
  notSignedIn: 5,
  notAllowed: 6,
  notFound: 7,
  conflict: 8,
  altered: 9,
  unanchored: 10,
} as const
export type ExitName = keyof typeof EXIT

/** code: [HTTP status, exit] */
export const REFUSALS = {
  // requests to the API
  malformed: [400, 'usage'],
  too_large: [413, 'usage'],
  internal: [500, 'failed'],
  over_limit: [422, 'usage'],
  not_signed_in: [401, 'notSignedIn'],
  bad_credentials: [401, 'notSignedIn'],
  login_ended: [401, 'notSignedIn'],
  second_factor_required: [401, 'notSignedIn'],
  second_factor_setup_required: [403, 'notSignedIn'],
  step_up_required: [403, 'notAllowed'],
  code_already_used: [401, 'notSignedIn'],
  invitation_invalid: [404, 'notFound'],
  too_many_attempts: [429, 'failed'],
  not_allowed: [403, 'notAllowed'],
  locked: [403, 'notAllowed'],
  user_disabled: [403, 'notAllowed'],
  not_found: [404, 'notFound'],
  exists: [409, 'conflict'],
  changed_meanwhile: [409, 'conflict'],
  in_use: [409, 'conflict'],
  store_unavailable: [503, 'failed'],
  read_only: [503, 'failed'],
  shutting_down: [503, 'failed'],
  version_mismatch: [426, 'failed'],
  clock_set_back: [503, 'failed'],
  // asking
  role_not_requestable: [403, 'notAllowed'],
  role_unknown: [404, 'notFound'],
  resource_not_requestable: [403, 'notAllowed'],
  role_already_held: [409, 'conflict'],
  reason_required: [422, 'usage'],
  duration_over_cap: [422, 'usage'],
  nothing_requestable: [403, 'notAllowed'],
  cooling_down: [429, 'notAllowed'],
  ask_rate: [429, 'notAllowed'],
  confirmation_required: [422, 'usage'],
  break_glass_blocked: [409, 'conflict'],
  // reviewing
  not_a_reviewer: [403, 'notAllowed'],
  own_request: [403, 'notAllowed'],
  outside_window: [403, 'notAllowed'],
  absent_one_unclear: [422, 'usage'],
  already_resolved: [409, 'conflict'],
  request_changed: [409, 'conflict'],
  request_expired: [409, 'expired'],
  widens_request: [422, 'usage'],
  grant_ended: [409, 'conflict'],
  not_extendable: [409, 'conflict'],
  // connecting
  access_denied: [403, 'denied'],
  resource_unknown: [404, 'notFound'],
  login_not_allowed: [403, 'denied'],
  login_ambiguous: [403, 'denied'],
  certificate_expired: [401, 'notSignedIn'],
  certificate_invalid: [401, 'notSignedIn'],
  session_limit: [429, 'failed'],
  upstream_unreachable: [502, 'failed'],
  upstream_refused: [502, 'failed'],
  recording_unavailable: [503, 'failed'],
  recording_altered: [409, 'altered'],
  row_altered: [503, 'altered'],
} as const satisfies Record<string, readonly [number, ExitName]>

export type RefusalCode = keyof typeof REFUSALS
export const REFUSAL_CODES = Object.keys(REFUSALS) as readonly RefusalCode[]
