import { listPolicies, type PolicyChanges } from '../access/automate/policies-in-force.ts'
import { pastJudgements } from '../access/automate/past-judgements.ts'
import type { Database } from '../foundation/database/open-database.ts'
import type { Doer } from '../identity/doer.ts'
import type { Handlers } from './handler.ts'
import { doerOf } from './identity-services.ts'

export interface PolicyServices {
  readonly database: Database
  /** Reads the configured folder anew; what cannot be used is refused, and the old ones stay. */
  readonly reload: (doer: Doer) => Promise<PolicyChanges>
}

/** Handlers of policies. */
export function policyHandlers({ database, reload }: PolicyServices): Handlers {
  return {
    listPolicies: async () => ({ items: await listPolicies(database.reads) }),
    pastJudgements: async (_context, { query }) => await pastJudgements(database.reads, query.since, query.cursor),
    async reloadPolicies(context) {
      const { loaded, changed, removed } = await reload(doerOf(context))
      return { loaded: [...loaded], changed: [...changed], removed: [...removed] }
    },
  }
}
