import type { DeedLog } from '../audit/deed.ts'
import type { Clock } from '../foundation/clock.ts'
import type { Database } from '../foundation/database/open-database.ts'
import type { InstallationTable } from '../foundation/database/tables.ts'
import { newId } from '../foundation/ids.ts'

/** This installation's id and name; made, with its event, at the first start. */
export async function openInstallation(
  database: Database,
  deeds: DeedLog,
  clock: Clock,
  name: string,
): Promise<InstallationTable> {
  const there = await database.reads.selectFrom('installation').selectAll().executeTakeFirst()
  if (there) return there
  const made = { id: newId('installation', clock.now()), name, created_at: clock.now() }
  return deeds.commitDeed(async (tx) => {
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
