import type { Outbox, WaitingMessage } from '../audit/outbox.ts'
import type { Handlers } from './handler.ts'

const MOST = 100

const present = (message: WaitingMessage) => ({ ...message, body: { ...message.body } })

/** What people are to be told, for whoever tells them. */
export function deliveryHandlers(outbox: Outbox): Handlers {
  return {
    listDeliveries: async () => ({ items: (await outbox.waiting(MOST)).map(present) }),
    claimDeliveries: async () => ({ items: (await outbox.claim(MOST)).map(present) }),
    async confirmDelivery(_context, { params }) {
      await outbox.markDelivered([params['id'] ?? ''])
      return {}
    },
  }
}
