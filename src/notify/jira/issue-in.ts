import { z } from 'zod'
import type { RawCallback } from '../../contract/from-chat.ts'

const Body = z.object({ issue: z.object({ id: z.union([z.string().regex(/^\d{1,18}$/), z.int().positive()]) }) })

/** Id of the issue that a callback is about: only for what becomes of the issue, never for who did what. Null: of none. */
export function issueIn({ body }: RawCallback): string | null {
  try {
    const parsed = Body.safeParse(JSON.parse(Buffer.from(body).toString('utf8')))
    return parsed.success ? String(parsed.data.issue.id) : null
  } catch {
    return null
  }
}
