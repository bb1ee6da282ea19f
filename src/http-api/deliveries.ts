import type { Outbox } from '../audit/outbox.ts'
import type { Handlers } from './handler.ts'

const MOST = 100

/** What people are to be told, for whoever tells them. */
export function deliveryHandlers(outbox: Outbox): Handlers {
  return {
    listDeliveries: async () => ({
      items: (await outbox.waiting(MOST)).map((message) => ({ ...message, body: { ...message.body } })),
    }),
    async confirmDelivery(_context, { params }) {
      await outbox.markDelivered([params['id'] ?? ''])
      return {}
    },
  }
}
