import type { Confirmed } from '../audit/confirmation.ts'
import type { NewEvent } from '../audit/deed.ts'
import type { Actor } from '../contract/audit.ts'
import { Refused } from '../foundation/errors.ts'

/** Who writes or removes a resource. */
export interface ResourceDoer extends Confirmed {
  readonly actor: Actor
  readonly loginId: string | null
}

/** Each kind with its table. */
const TABLES = { node: 'nodes', database: 'databases' } as const

/** The event of a deed on a resource, which names its row. */
export function resourceEvent(
  type: 'resource.create' | 'resource.update' | 'resource.delete',
  { actor, loginId }: ResourceDoer,
  { kind, id, name }: { readonly kind: keyof typeof TABLES; readonly id: string; readonly name: string },
  details: Record<string, unknown>,
): NewEvent {
  return {
    ...{ type, actor, login: loginId, outcome: 'success', details },
    resource: { kind, id, name },
    rows: [{ table: TABLES[kind], id }],
  }
}

export const alreadyThere = (kind: keyof typeof TABLES, name: string): Refused =>
  new Refused('exists', `there is a ${kind} "${name}"`, `to change it: sallyctl edit ${kind}/${name}`)

export const notThere = (kind: keyof typeof TABLES, name: string): Refused =>
  new Refused('not_found', `there is no ${kind} "${name}"`, `run: sallyctl get ${kind}`)
