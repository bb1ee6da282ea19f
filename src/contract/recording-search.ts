import { z } from 'zod'
import { Name, PageQuery } from './common.ts'
import { Session } from './session.ts'

/** A text in what recordings hold: statements and their parameters, commands, file names; case does not matter. */
export const RecordingSearchQuery = PageQuery.extend({
  text: z.string().trim().min(2).max(200),
  user: Name.optional(),
  /** Name of the resource */
  on: Name.optional(),
})

export const RecordingSearchPage = z.object({
  /** From the newest to the oldest, those that hold the text */
  items: z.array(
    z.object({
      session: Session,
      /** The first few */
      matches: z.array(
        z.object({
          /** Milliseconds since the session's start */
          at: z.number(),
          kind: z.enum(['statement', 'exec', 'file']),
          number: z.int().nullable(),
          excerpt: z.string(),
        }),
      ),
      more: z.int(),
    }),
  ),
  next: z.string().nullable(),
  /** How many recordings this page looked into */
  searched: z.int(),
  /** Sessions whose recordings could not be read: altered or missing */
  unreadable: z.array(z.string()),
  /** Recordings of others that playing needs a second factor for, which this sign-in has not */
  withheld: z.int(),
})
export type RecordingSearchPage = z.infer<typeof RecordingSearchPage>
