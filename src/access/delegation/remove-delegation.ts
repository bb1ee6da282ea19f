import type { Actor } from '../../contract/audit.ts'
import type { Deed, NewEvent, Tx } from '../../audit/deed.ts'
import { Refused } from '../../foundation/errors.ts'
import { SYSTEM } from '../caller.ts'
import type { Directory, Member } from '../directory.ts'
import { loadDirectory, type Reader } from '../directory.ts'
import { delegationRemoved } from '../messages.ts'
import { NothingToDo } from '../nothing-to-do.ts'
import type { Delegation } from './delegation.ts'

/** An order that takes power away: spilled and replayed when the store cannot take it, so it holds everything. */
export type RemovalInput = Readonly<Record<string, unknown>> & {
  readonly id: string
  readonly actor: Actor
  readonly login: string | null
  readonly why: string | null
  readonly at: number
}
export const REMOVE_DELEGATION = 'remove_delegation'

/** Votes that were cast under it do not count any more. Errors: Refused('not_found') when there is nothing left to end. */
export async function removeDelegationDeed(tx: Tx, input: RemovalInput): Promise<Deed<'removed'>> {
  const { id, actor, login, why, at } = input
  const row = await tx
    .selectFrom('delegations')
    .selectAll()
    .where('id', '=', id)
    .where('removed_at', 'is', null)
    .executeTakeFirst()
  if (!row) throw delegationNotFound()
  const end = { removed_at: at, removed_by: actor.name, removed_why: why }
  await tx.updateTable('delegations').set(end).where('id', '=', id).execute()
  const event: NewEvent = {
    type: 'delegation.remove',
    actor,
    outcome: 'success',
    login,
    details: { delegation: id, absent: row.absent_id, delegate: row.delegate_id, why, until: row.ends_at },
    rows: [{ table: 'delegations', id }],
  }
  const names = await namesOf(tx, [row.absent_id, row.delegate_id])
  const told = { absent: names.get(row.absent_id) ?? '', delegate: names.get(row.delegate_id) ?? '' }
  return { result: 'removed', events: [event], outbox: [delegationRemoved(id, { ...told, by: actor.name, why })] }
}

export function delegationNotFound(): Refused {
  return new Refused('not_found', 'there is no such delegation', 'sally delegation ls')
}

async function namesOf(tx: Reader, ids: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const rows = await tx.selectFrom('users').select(['id', 'name']).where('id', 'in', ids).execute()
  return new Map(rows.map(({ id, name }) => [id, name]))
}

/** For DeedLog.registerReplay. */
export const replayRemoveDelegation = (input: Readonly<Record<string, unknown>>) => (tx: Tx) =>
  removeDelegationDeed(tx, input as RemovalInput)

/** Why a delegation is over for good before its end; null = it is not. */
export function whyOver({ absentId, delegateId }: Delegation, { members }: Pick<Directory, 'members'>): string | null {
  const trouble = (who: string, member: Member | undefined): string | null => {
    if (!member) return `the ${who} was removed`
    return member.standing.kind === 'good' ? null : `the ${who} was ${member.standing.kind}`
  }
  return trouble('absent one', members.get(absentId)) ?? trouble('delegate', members.get(delegateId))
}

/** Ids of delegations that are over before their end. */
export async function brokenDelegations(reader: Reader, now: number): Promise<string[]> {
  const directory = await loadDirectory(reader, now)
  return directory.delegations.filter((each) => whyOver(each, directory) !== null).map(({ id }) => id)
}

/** Ends it, judged anew inside the transaction. Throws NothingToDo when it holds, or has ended. */
export async function endBrokenDelegation(tx: Tx, now: number, id: string): Promise<Deed<'removed'>> {
  const directory = await loadDirectory(tx, now)
  const delegation = directory.delegations.find((each) => each.id === id)
  const why = delegation ? whyOver(delegation, directory) : null
  if (why === null) throw new NothingToDo<'removed'>('removed')
  return removeDelegationDeed(tx, { id, actor: { ...SYSTEM }, login: null, why, at: now })
}
