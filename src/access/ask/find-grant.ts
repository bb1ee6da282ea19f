import { storedGrant, type StoredGrant } from '../../grants/stored-grant.ts'
import type { Reader } from '../directory.ts'

/** By its own id, that of the request that gave it, or that of an extension of it. */
export async function findGrant(reader: Reader, id: string): Promise<StoredGrant | null> {
  const row = await reader
    .selectFrom('grants')
    .selectAll()
    .where((where) =>
      where.or([
        where('id', '=', id),
        where('request_id', '=', id),
        where('id', '=', (select) => select.selectFrom('access_requests').select('extends_grant').where('id', '=', id)),
      ]),
    )
    .executeTakeFirst()
  return row ? storedGrant(row) : null
}
