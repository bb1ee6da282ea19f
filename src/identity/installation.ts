import type { DeedLog } from '../audit/deed.ts'
import type { Clock } from '../foundation/clock.ts'
import type { Database } from '../foundation/database/open-database.ts'
import type { InstallationTable } from '../foundation/database/tables.ts'
import { newId } from '../foundation/ids.ts'

/** Two daemons start on an empty store at once: what the second was about to make is there. */
export class MadeElsewhere extends Error {
  override readonly name = 'MadeElsewhere'
}

/** This installation's id and name; made, with its event, at the first start. */
export async function openInstallation(
  database: Database,
  deeds: DeedLog,
  clock: Clock,
  name: string,
): Promise<InstallationTable> {
  const there = await database.reads.selectFrom('installation').selectAll().executeTakeFirst()
  if (there) return there
  try {
    return await make(deeds, clock, name)
  } catch (error) {
    if (!(error instanceof MadeElsewhere)) throw error
    return openInstallation(database, deeds, clock, name)
  }
}

function make(deeds: DeedLog, clock: Clock, name: string): Promise<InstallationTable> {
  const made = { id: newId('installation', clock.now()), name, created_at: clock.now() }
  return deeds.commitDeed(async (tx) => {
    // Another daemon on the same store may have been first.
    if (await tx.selectFrom('installation').select('id').executeTakeFirst()) throw new MadeElsewhere()
    await tx.insertInto('installation').values(made).execute()
    return {
      result: made,
      events: [
        {
          type: 'installation.create',
          actor: { kind: 'system', id: null, name: 'sallyport' },
          outcome: 'success',
          details: { installation: made.id, name },
        },
      ],
    }
  })
}
