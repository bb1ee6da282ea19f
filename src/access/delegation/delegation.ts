import type { DelegationsTable } from '../../foundation/database/tables.ts'

/** Somebody away (the absent one) lets somebody else vote for them, for a time. None that was removed. */
export interface Delegation {
  readonly id: string
  readonly absentId: string
  readonly delegateId: string
  /** Requested roles that it is for; null = all that the absent one may review */
  readonly roleIds: readonly string[] | null
  readonly reason: string
  readonly createdAt: number
  readonly endsAt: number
}

export function storedDelegation(row: DelegationsTable): Delegation {
  return {
    id: row.id,
    absentId: row.absent_id,
    delegateId: row.delegate_id,
    roleIds: row.role_ids_json === null ? null : (JSON.parse(row.role_ids_json) as string[]),
    reason: row.reason,
    createdAt: row.created_at,
    endsAt: row.ends_at,
  }
}

/** A vote cast in this span stays when the delegation reaches its end; it stops counting when the delegation is removed. */
export const coversInstant = (delegation: Pick<Delegation, 'createdAt' | 'endsAt'>, at: number): boolean =>
  at >= delegation.createdAt && at < delegation.endsAt
