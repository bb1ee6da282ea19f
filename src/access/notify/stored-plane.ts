import type { NotifyPlane, OpenIntegration } from '../../contract/notify-plane.ts'
import { integrationRows, openedIntegration } from '../integrations/integrations.ts'
import { claimMessages } from './claim-messages.ts'
import type { PlaneParts } from './plane-parts.ts'
import { newEditWatch } from './raise-edited.ts'
import { routeDeliveries } from './route-deliveries.ts'
import { deliveryOf } from './routes.ts'
import { adoptPressed, storeDelivery } from './store-delivery.ts'
import { sweepMessages } from './sweep-messages.ts'

/** The engine's view of the store. */
export function storedPlane(parts: PlaneParts): NotifyPlane {
  const edits = newEditWatch()
  return {
    integrations: () => openIntegrations(parts),
    async claimDeliveries() {
      await adoptPressed(parts)
      return routeDeliveries(parts)
    },
    claimMessages: (order) => claimMessages(parts, order),
    storeDelivery: (results) => storeDelivery(parts, results),
    sweep: () => sweepMessages(parts, edits),
  }
}

async function openIntegrations({ database, sealer, log }: PlaneParts): Promise<OpenIntegration[]> {
  const rows = await integrationRows(database.reads)
  return rows
    .filter(({ enabled }) => enabled === 1)
    .flatMap((row): OpenIntegration[] => {
      try {
        const { id, name, vendor, event_id: revision } = row
        const allowNetworks = deliveryOf(row).allow_networks
        return [{ id, name, vendor, revision, ...openedIntegration(sealer, row), allowNetworks }]
      } catch (error) {
        log.error(
          { integration: row.name, err: String(error) },
          'an integration cannot be read: it sends and takes nothing',
        )
        return []
      }
    })
}
