import { z } from 'zod'
import { Refused } from '../foundation/errors.ts'

/** Checks one part of a call; unknown keys are refused. Throws Refused('malformed') with up to ten problems. */
export function parsePart<S extends z.ZodType>(part: string, schema: S, value: unknown): z.output<S> {
  const strict: z.ZodType = schema instanceof z.ZodObject ? schema.strict() : schema
  // A query comes without a prototype, which zod takes for no plain object.
  const checked = strict.safeParse(part === 'query' ? { ...(value as object) } : value)
  if (checked.success) return checked.data as z.output<S>
  const problems = checked.error.issues
    .slice(0, 10)
    .map(({ path, message }) => `${[part, ...path].join('.')}: ${message}`)
  throw new Refused('malformed', problems[0] ?? `${part} is malformed`, undefined, { problems })
}
