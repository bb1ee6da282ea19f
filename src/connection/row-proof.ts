import type { RowRef } from '../audit/deed.ts'
import type { AccessDecision } from './decide-access.ts'

/**
 * Rows that give access are compared with the events that made them before they are used for the first time in this process.
 * Later changes are our own commits, which bind them anew; what was slipped into the file while nobody ran is found here.
 */
export class RowProof {
  readonly #check: (ref: RowRef) => Promise<string | null>
  readonly #proven = new Set<string>()

  constructor(check: (ref: RowRef) => Promise<string | null>) {
    this.#check = check
  }

  /** The first row that is not what its event says, in a sentence; null when all are. */
  async trouble(refs: readonly RowRef[]): Promise<string | null> {
    for (const ref of refs) {
      const key = `${ref.table}/${ref.id}`
      if (this.#proven.has(key)) continue
      const trouble = await this.#check(ref)
      if (trouble !== null) return trouble
      this.#proven.add(key)
    }
    return null
  }
}

/** Everything that an access rests on. */
export function rowsBehind(decision: Extract<AccessDecision, { ok: true }>, loginSessionId: string): RowRef[] {
  const { user, opened, grants, roles } = decision
  return [
    { table: 'users', id: user.id },
    { table: 'login_sessions', id: loginSessionId },
    opened.protocol === 'ssh' ? { table: 'nodes', id: opened.node.id } : { table: 'databases', id: opened.database.id },
    ...roles.flatMap(({ id, revision }): RowRef[] => [
      { table: 'roles', id },
      { table: 'role_revisions', id: `${id}/${revision}` },
    ]),
    ...grants.flatMap((grant): RowRef[] => [
      { table: 'grants', id: grant.id },
      { table: 'access_requests', id: grant.request_id },
      ...grant.roles.map((role): RowRef => ({ table: 'role_revisions', id: `${role.id}/${role.revision}` })),
    ]),
  ]
}
