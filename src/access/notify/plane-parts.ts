import type { DeedLog } from '../../audit/deed.ts'
import type { Clock } from '../../foundation/clock.ts'
import type { Database } from '../../foundation/database/open-database.ts'
import type { Log } from '../../foundation/log.ts'
import type { Sealer } from '../../identity/sealing.ts'

export interface PlaneParts {
  readonly database: Database
  readonly deeds: DeedLog
  readonly sealer: Sealer
  readonly clock: Clock
  readonly log: Log
  /** `https://HOST:PORT` under which people reach the daemon */
  readonly publicUrl: () => string
}
