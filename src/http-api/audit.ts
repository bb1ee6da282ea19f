import type { Verification } from '../contract/audit.ts'
import { searchEvents } from '../audit/search.ts'
import type { DeedLog } from '../audit/deed.ts'
import type { Database } from '../foundation/database/open-database.ts'
import type { Actor } from '../contract/audit.ts'
import type { CallContext, Handlers } from './handler.ts'

export interface AuditServices {
  readonly database: Database
  readonly deeds: DeedLog
  /** Verifies the running store: chain, rows, checkpoints, session files */
  readonly verify: (signal: AbortSignal) => Promise<Verification>
  readonly acceptRollback: (actor: Actor, reason: string) => Promise<void>
}

export function auditHandlers(services: AuditServices): Handlers {
  const { database, deeds } = services
  /** One verification reads the whole store: callers at the same time share it. */
  let running: Promise<Verification> | null = null
  const verify = async (): Promise<Verification> => {
    // Not the caller's own signal: others may wait for the same run.
    running ??= services.verify(new AbortController().signal).finally(() => {
      running = null
    })
    return await running
  }
  return {
    searchAudit: async (context, { query }) => {
      // Stored before anything is read: who looks is part of the log.
      await tell(deeds, context, 'audit.search', 'success', { ...query })
      const page = await searchEvents(database, query)
      return { items: [...page.items], next: page.next }
    },
    verifyAudit: async (context) => {
      const found = await verify()
      const first = found.problems[0]
      if (!first) return found
      try {
        const details = { problems: found.problems.length, first: { ...first } }
        await tell(deeds, context, 'audit.verify_failed', 'failure', details)
      } catch (error) {
        // A store that is read-only after a rollback must still be able to say what is wrong with it.
        context.log.error({ err: error, first }, 'audit verify found a problem that could not be stored')
      }
      return found
    },
    acceptRollback: async (context, { body }) => {
      await services.acceptRollback(context.actor, body.reason)
      return {}
    },
  }
}

async function tell(
  deeds: DeedLog,
  context: CallContext,
  type: 'audit.search' | 'audit.verify_failed',
  outcome: 'success' | 'failure',
  details: Readonly<Record<string, unknown>>,
): Promise<void> {
  const { actor, login } = context
  await deeds.commitDeed(async () => ({
    result: null,
    events: [{ type, actor, outcome, login: login?.id ?? null, details }],
  }))
}
