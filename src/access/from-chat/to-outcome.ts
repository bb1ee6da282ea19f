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
    const text = error.hint === undefined ? `${error.message}.` : `${error.message} (${error.hint}).`
    return { kind: 'refused', text, ...(field === undefined ? {} : { field }) }
  }
}
