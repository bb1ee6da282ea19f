import { integrationNamed, integrationStatus, retryIntegration } from '../access/notify/integration-status.ts'
import { previewDelivery } from '../access/notify/preview-delivery.ts'
import { sendTest, testOutcomes } from '../access/notify/test-message.ts'
import type { Reader } from '../access/directory.ts'
import type { DeedLog } from '../audit/deed.ts'
import type { DeliveryWait } from '../contract/integration-status.ts'
import type { Clock } from '../foundation/clock.ts'
import type { IntegrationsTable } from '../foundation/database/tables.ts'
import type { Handlers } from './handler.ts'
import { doerOf } from './identity-services.ts'

export interface IntegrationServices {
  readonly reads: Reader
  readonly deeds: DeedLog
  readonly clock: Clock
  /** Who tries an integration out waits so long to hear whether it worked */
  readonly patienceMs: number
  /** Why its messages wait */
  readonly waitsOf: (integration: string) => readonly DeliveryWait[]
  /** Asks the vendor whether the credentials work and the channels are there */
  readonly check: (
    integration: IntegrationsTable,
    signal: AbortSignal,
  ) => Promise<readonly { readonly ok: boolean; readonly text: string }[]>
}

/** How integrations stand, and what operators do about it. */
export function integrationHandlers(services: IntegrationServices): Handlers {
  const { reads, clock } = services
  return {
    listIntegrationStatus: async () => ({ items: await integrationStatus(reads, clock.now(), services.waitsOf) }),
    retryIntegration: async (context, { params, body }) =>
      await retryIntegration(services, doerOf(context), params['name'] ?? '', body.message ?? null),
    async checkIntegration(context, { params }) {
      const integration = await integrationNamed(reads, params['name'] ?? '')
      return { items: (await services.check(integration, context.signal)).map((line) => ({ ...line })) }
    },
    async testIntegration(context, { params, body }) {
      const ids = await sendTest(services, doerOf(context), params['name'] ?? '', body)
      return { items: await testOutcomes(services, ids, services.patienceMs, context.signal) }
    },
    previewDelivery: async (_context, { query }) =>
      await previewDelivery(reads, query.role, query.user ?? null, clock.now()),
  }
}
