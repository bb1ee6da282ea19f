import type { DeedLog } from '../../audit/deed.ts'
import type { RowRef } from '../../audit/deed.ts'
import type { Clock } from '../../foundation/clock.ts'
import type { Database } from '../../foundation/database/open-database.ts'
import type { Log } from '../../foundation/log.ts'
import type { OutboundFetch } from '../../foundation/outbound-fetch.ts'
import type { Sealer } from '../../identity/sealing.ts'
import type { AccessRequests } from '../access-requests.ts'
import type { ChatVerifier } from './chat-verifier.ts'

export interface ChatParts {
  readonly database: Database
  readonly deeds: DeedLog
  readonly clock: Clock
  readonly log: Log
  readonly sealer: Sealer
  readonly requests: AccessRequests
  readonly verifiers: readonly ChatVerifier[]
  /** Reaches private networks only where the integration allows it: CIDRs */
  readonly fetchFor: (allowNetworks: readonly string[]) => OutboundFetch
  /** `https://HOST:PORT` under which people reach the daemon */
  readonly publicUrl: () => string
  /** Why a row is not what its last event says; null: it is (audit/check-row.ts) */
  readonly checkRow: (ref: RowRef) => Promise<string | null>
  /** Tells of what was not authentic; `why` is one of our own words */
  readonly reportRejected: (rejected: { readonly integration: string; readonly why: string }) => void
}

export const MINUTE_MS = 60_000
/** Forms, pages and codes are good for so long. */
export const OFFER_MS = 10 * MINUTE_MS

export const requestUrl = ({ publicUrl }: Pick<ChatParts, 'publicUrl'>, requestId: string): string =>
  `${publicUrl()}/r/${requestId}`
