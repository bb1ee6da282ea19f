import type { PostgresTarget } from './postgres-target.ts'

export interface PostgresTargets {
  readonly direct: PostgresTarget
  readonly haproxy: PostgresTarget
  readonly pgbouncer: PostgresTarget
  /** Node with TLS on both sides, and nothing done with the bytes */
  readonly bare: PostgresTarget
  /** The default configuration first */
  readonly ours: readonly [PostgresTarget, ...PostgresTarget[]]
  readonly all: readonly PostgresTarget[]
}
