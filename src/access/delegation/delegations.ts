import type { Kysely } from 'kysely'
import { confirmed } from '../../audit/confirmation.ts'
import type { DeedLog } from '../../audit/deed.ts'
import type { Delegation as Shown } from '../../contract/delegation.ts'
import type { Clock } from '../../foundation/clock.ts'
import type { Tables } from '../../foundation/database/tables.ts'
import { Refused } from '../../foundation/errors.ts'
import { mayOperate, type Caller } from '../caller.ts'
import { loadDirectory, type Directory } from '../directory.ts'
import { addDelegationDeed, type DelegationAsked } from './add-delegation.ts'
import type { Delegation } from './delegation.ts'
import { delegationNotFound, REMOVE_DELEGATION, removeDelegationDeed, type RemovalInput } from './remove-delegation.ts'

interface DelegationParts {
  readonly reads: Kysely<Tables>
  readonly deeds: DeedLog
  readonly clock: Clock
}

/** Who votes for whom while they are away. */
export class Delegations {
  readonly #parts: DelegationParts

  constructor(parts: DelegationParts) {
    this.#parts = parts
  }

  async add(caller: Caller, asked: DelegationAsked): Promise<Shown> {
    const id = await this.#parts.deeds.commitDeed(
      confirmed(caller, (tx, now) => addDelegationDeed(tx, now, caller, asked)),
    )
    const { delegation, directory } = await this.#find(id)
    return present(delegation, directory)
  }

  /** Those in force: by or for the caller, or with `all` and the right to list requests everybody's. */
  async list(caller: Caller, scope: 'mine' | 'all'): Promise<Shown[]> {
    const now = this.#parts.clock.now()
    const directory = await loadDirectory(this.#parts.reads, now)
    if (scope === 'all' && !mayOperate(caller, directory, 'list'))
      throw new Refused('not_allowed', 'your roles do not let you see the delegations of others', 'sally delegation ls')
    return directory.delegations
      .filter((each) => each.endsAt > now && (scope === 'all' || isParty(caller, each)))
      .sort((a, b) => a.endsAt - b.endsAt)
      .map((each) => present(each, directory))
  }

  /** By either of the two, or by an operator. Others are told that there is none. */
  async remove(caller: Caller, id: string): Promise<Shown> {
    const { delegation, directory } = await this.#find(id)
    if (!isParty(caller, delegation) && !mayOperate(caller, directory, 'delete')) throw delegationNotFound()
    const at = this.#parts.clock.now()
    const input: RemovalInput = { id, actor: { ...caller.actor }, login: caller.loginId, why: null, at }
    await this.#parts.deeds.commitTakingAway({ name: REMOVE_DELEGATION, input }, (tx) =>
      removeDelegationDeed(tx, input),
    )
    return present(delegation, directory)
  }

  async #find(id: string): Promise<{ delegation: Delegation; directory: Directory }> {
    const directory = await loadDirectory(this.#parts.reads, this.#parts.clock.now())
    const delegation = directory.delegations.find((each) => each.id === id)
    if (!delegation) throw delegationNotFound()
    return { delegation, directory }
  }
}

const isParty = ({ userId }: Caller, { absentId, delegateId }: Delegation): boolean =>
  userId !== null && (userId === absentId || userId === delegateId)

function present(delegation: Delegation, { members, roles }: Directory): Shown {
  const { id, absentId, delegateId, roleIds, reason, createdAt, endsAt } = delegation
  return {
    id,
    absent: members.get(absentId)?.name ?? 'gone',
    delegate: members.get(delegateId)?.name ?? 'gone',
    roles: roleIds && roleIds.flatMap((roleId) => roles.get(roleId)?.name ?? []).sort(),
    reason,
    createdAt,
    until: endsAt,
  }
}
