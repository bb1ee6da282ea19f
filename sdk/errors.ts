// What goes wrong, as classes. `code` is the daemon's own and never changes; texts may.

export class SallyportError extends Error {
  override readonly name: string = 'SallyportError'
  /** The daemon’s own, or one of ours: unreachable, bad_answer, bad_signature, untrusted */
  readonly code: string
  /** What to do next */
  readonly hint: string | undefined
  readonly details: Readonly<Record<string, unknown>>

  constructor(
    code: string,
    message: string,
    {
      hint,
      details = {},
      cause,
    }: { hint?: string | undefined; details?: Readonly<Record<string, unknown>>; cause?: unknown } = {},
  ) {
    super(message, cause === undefined ? {} : { cause })
    this.code = code
    this.hint = hint
    this.details = details
  }
}

/** The token is unknown, has ended, or its account or owner is disabled or locked. */
export class TokenRefused extends SallyportError {
  override readonly name = 'TokenRefused'
}
/** The token lacks a scope, or the account's roles do not let it. */
export class NotAllowed extends SallyportError {
  override readonly name = 'NotAllowed'
}
/** There is no such thing, or the account must not know of it. */
export class NotFound extends SallyportError {
  override readonly name = 'NotFound'
}
/** The request is not what was shown any more: look again before voting. */
export class RequestChanged extends SallyportError {
  override readonly name = 'RequestChanged'
}
/** Somebody or something else has decided it, or its time is over. */
export class AlreadyResolved extends SallyportError {
  override readonly name = 'AlreadyResolved'
}
/** The cursor is too old, or of another store: list what is there, and go on from a new one. */
export class CursorGone extends SallyportError {
  override readonly name = 'CursorGone'
}
/** No answer, or the store cannot be written: worth another try. */
export class Unavailable extends SallyportError {
  override readonly name = 'Unavailable'
}
/** The proxy is not the one that the CA pin names. */
export class Untrusted extends SallyportError {
  override readonly name = 'Untrusted'
}
/** A webhook that was not signed with the secret, or is too old or new. */
export class BadSignature extends SallyportError {
  override readonly name = 'BadSignature'
}

const CLASSES: Readonly<Record<string, typeof SallyportError>> = {
  not_signed_in: TokenRefused,
  token_ended: TokenRefused,
  login_ended: TokenRefused,
  user_disabled: TokenRefused,
  locked: TokenRefused,
  not_allowed: NotAllowed,
  not_a_reviewer: NotAllowed,
  own_request: NotAllowed,
  outside_window: NotAllowed,
  not_found: NotFound,
  request_changed: RequestChanged,
  already_resolved: AlreadyResolved,
  request_expired: AlreadyResolved,
  grant_ended: AlreadyResolved,
  cursor_gone: CursorGone,
  unreachable: Unavailable,
  store_unavailable: Unavailable,
  shutting_down: Unavailable,
  read_only: Unavailable,
  too_many_attempts: Unavailable,
  internal: Unavailable,
  clock_set_back: Unavailable,
}

interface Answered {
  readonly code: string
  readonly message: string
  readonly hint?: string | undefined
  readonly details?: Readonly<Record<string, unknown>> | undefined
}

/** The class that its code belongs to. */
export function errorOf({ code, message, hint, details = {} }: Answered, cause?: unknown): SallyportError {
  const Class = Object.hasOwn(CLASSES, code) ? CLASSES[code] : undefined
  return new (Class ?? SallyportError)(code, message, { hint, details, cause })
}
