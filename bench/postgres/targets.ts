import type { PostgresTarget } from './postgres-target.ts'

export interface PostgresTargets {
  readonly direct: PostgresTarget
  readonly haproxy: PostgresTarget
  readonly pgbouncer: PostgresTarget
  /** The default configuration first */
  readonly ours: readonly [PostgresTarget, ...PostgresTarget[]]
  readonly all: readonly PostgresTarget[]
}
