import type { ChatOutcome, FormField } from '../../contract/from-chat.ts'
import { Refused } from '../../foundation/errors.ts'
import { AlreadyHere } from './arrival.ts'

/** What somebody typed into one field of a form cannot be taken. */
export class FieldRefused extends Error {
  override readonly name = 'FieldRefused'
  readonly field: FormField

  constructor(field: FormField, message: string) {
    super(message)
    this.field = field
  }
}

/** By the code of a refusal: the field of the form that is to be corrected. */
const FIELD_OF: Readonly<Record<string, FormField>> = {
  reason_required: 'reason',
  duration_over_cap: 'duration',
  widens_request: 'duration',
  role_not_requestable: 'roles',
  role_unknown: 'roles',
  role_already_held: 'roles',
  nothing_requestable: 'roles',
  resource_not_requestable: 'resources',
  resource_unknown: 'resources',
  login_not_allowed: 'account',
  db_user_not_allowed: 'account',
  // Nothing is wrong with the reason: said at a field, the form stays open with what was typed and can be sent again.
  store_unavailable: 'reason',
  shutting_down: 'reason',
}

/** Hints of refusals name commands and options of `sally`: in chat these are the next thing to do. Null: nothing is. */
const HINT_HERE: Readonly<Record<string, string | null>> = {
  role_not_requestable: 'what you may ask for: /access roles',
  resource_unknown: 'what you may ask for: /access resources',
  reason_required: 'write it into the field, or behind a colon: /access request ROLE for 1h: REASON',
  duration_over_cap: 'ask for less time',
  request_changed: 'look at the message again, or open the request',
  grant_ended: 'ask for it anew: /access',
}

function hintFor({ code, hint }: Refused): string | null {
  const here = HINT_HERE[code]
  if (here !== undefined) return here
  return hint === undefined || /(?:^|[ :])sally(?:ctl)? |--[a-z]/.test(hint) ? null : hint
}

/** What was refused is an outcome; what went wrong with us is not and stays an error. */
export async function toOutcome(work: Promise<ChatOutcome>): Promise<ChatOutcome> {
  try {
    return await work
  } catch (error) {
    if (error instanceof AlreadyHere) return { kind: 'ignored', why: 'repeated' }
    if (error instanceof FieldRefused) return { kind: 'refused', text: error.message, field: error.field }
    if (!(error instanceof Refused)) throw error
    const field = FIELD_OF[error.code]
    const hint = hintFor(error)
    const text = hint === null ? `${error.message}.` : `${error.message} (${hint}).`
    return { kind: 'refused', text, ...(field === undefined ? {} : { field }) }
  }
}
