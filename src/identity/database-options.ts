import { STATEMENT_KINDS, type RoleOptions, type StatementKind } from '../contract/role.ts'
import type { WorkingRole } from './node-access.ts'
import { shortest } from './shortest.ts'

export interface MergedDatabaseOptions {
  readonly readOnly: boolean
  /** ms; null = no limit by a role */
  readonly statementTimeoutMs: number | null
  readonly deniedStatements: readonly StatementKind[]
  readonly recordParameters: boolean
  readonly replication: boolean
}

/** Of restrictions the strictest holds; what is a permission holds if one of the giving roles allows it (in all its specs). */
export function mergeDatabaseOptions(roles: readonly WorkingRole[]): MergedDatabaseOptions {
  const options = roles.flatMap((role) => role.specs.map((spec) => dbOptions(spec.options)))
  const denied = new Set(options.flatMap((each) => each.deny_statements ?? []))
  return {
    readOnly: options.some((each) => each.read_only === true),
    statementTimeoutMs: shortest(options.map((each) => each.statement_timeout)),
    deniedStatements: STATEMENT_KINDS.filter((kind) => denied.has(kind)),
    recordParameters: options.some((each) => each.record_parameters !== false),
    replication: roles.some(
      ({ specs }) => specs.length > 0 && specs.every((spec) => dbOptions(spec.options).replication === true),
    ),
  }
}

const dbOptions = (options: RoleOptions): NonNullable<RoleOptions['db']> => options.db ?? {}
