import type { VerifyInput } from '../audit/verify/verify-audit.ts'
import type { PostgresSettings } from '../foundation/database/postgres/postgres-settings.ts'

/** How the verifier opens a store that is no file. The driver is loaded only then. */
export function openSourceOf(postgres: PostgresSettings | null): Pick<VerifyInput, 'open'> {
  if (postgres === null) return {}
  return {
    open: async () => {
      const { openPostgresSnapshot } = await import('../foundation/database/postgres/open-postgres-snapshot.ts')
      return openPostgresSnapshot(postgres)
    },
  }
}
