import type { PastJudgement } from '../../contract/policy.ts'
import type { Reader } from '../directory.ts'
import { storedRequest } from '../stored-request.ts'

const PAGE = 200

/** What rules and policies saw and said when requests were made since an instant, oldest first: for asking other policies. */
export async function pastJudgements(
  reader: Reader,
  since: number,
  cursor: string | undefined,
): Promise<{ items: PastJudgement[]; next: string | null }> {
  const rows = await reader
    .selectFrom('access_requests')
    .innerJoin('users', 'users.id', 'access_requests.user_id')
    .selectAll('access_requests')
    .select('users.name as user_name')
    .where('access_requests.created_at', '>=', since)
    // Ids are made in the order of time: they are the cursor.
    .where('access_requests.id', '>', cursor ?? '')
    .orderBy('access_requests.id')
    .limit(PAGE)
    .execute()
  const items = rows.flatMap(({ user_name: user, ...row }): PastJudgement[] => {
    const { id, roles, state, asked, created_at: createdAt } = storedRequest(row)
    if (!asked.automation) return []
    const { facts, judged } = asked.automation
    return [
      {
        request: id,
        user,
        roles: roles.map((role) => role.name),
        state,
        createdAt,
        facts,
        judged: judged.map(({ by, judgement }) => ({ by, judgement })),
      },
    ]
  })
  return { items, next: rows.length < PAGE ? null : (rows.at(-1)?.id ?? null) }
}
