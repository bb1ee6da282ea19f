import { ChatDoor } from '../access/from-chat/chat-door.ts'
import { VERIFIERS } from '../access/from-chat/verifiers.ts'
import { rowTrouble } from '../audit/check-row.ts'
import type { FromChat } from '../contract/from-chat.ts'
import type { Clock } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'
import { outboundFetch } from '../foundation/outbound-fetch.ts'
import type { ControlSide } from './control-side.ts'
import type { Store } from './open-store.ts'

/** The one way in for what people did at a vendor. */
export function openChatDoor(
  { database, deeds, sealer }: Store,
  { requests, failures }: ControlSide,
  { clock, log, publicUrl }: { readonly clock: Clock; readonly log: Log; readonly publicUrl: () => string },
): FromChat {
  return new ChatDoor({
    database,
    deeds,
    sealer,
    requests,
    clock,
    log,
    publicUrl,
    verifiers: VERIFIERS,
    fetchFor: (allowNetworks) => outboundFetch({ allowNetworks }),
    checkRow: (ref) => rowTrouble(database, ref),
    // The address is the vendor's or anybody's: what counts is which integration was tried.
    reportRejected: ({ integration, why }) => failures.report({ address: `integration ${integration}`, code: why }),
  })
}
