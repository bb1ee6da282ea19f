import { parseDuration } from '../contract/duration.ts'

/** Milliseconds of the shortest length of time; null: none. A duration that does not parse was refused when the role was written; should one appear, the shortest is zero. */
export function shortest(texts: readonly (string | undefined)[]): number | null {
  const lengths = texts.flatMap((text) => {
    if (text === undefined) return []
    const parsed = parseDuration(text)
    return [parsed.ok ? parsed.ms : 0]
  })
  return lengths.length === 0 ? null : Math.min(...lengths)
}
