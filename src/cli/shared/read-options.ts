import { parseDuration } from '../../contract/duration.ts'
import { CommandFailed } from './command-failed.ts'

/** Milliseconds of `1h30m`; undefined stays undefined. */
export function readDuration(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const parsed = parseDuration(text)
  if (!parsed.ok) throw new CommandFailed('usage', parsed.message)
  return parsed.ms
}

/** An instant as `2026-11-22T08:00Z` or as a length back from now (`2h`). */
export function readInstant(text: string | undefined, now: number): number | undefined {
  if (text === undefined) return undefined
  const back = parseDuration(text)
  if (back.ok) return Math.max(0, now - back.ms)
  const instant = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : NaN
  if (Number.isNaN(instant))
    throw new CommandFailed('usage', `"${text}" is no time`, 'Write 2h (ago), 2026-11-22 or 2026-11-22T08:00Z.')
  return instant
}

/** `a=b` -> ['a', 'b'] */
export function readPair(text: string): [string, string] {
  const at = text.indexOf('=')
  if (at < 1) throw new CommandFailed('usage', `"${text}" is not of the form name=value`)
  return [text.slice(0, at), text.slice(at + 1)]
}
