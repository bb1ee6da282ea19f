import type { Start } from '../../contract/request.ts'
import { parseDuration } from '../../contract/duration.ts'
import { CommandFailed } from './command-failed.ts'

/** Milliseconds of `1h30m`; undefined stays undefined. `option`: named in what is wrong */
export function readDuration(text: string | undefined, option?: string): number | undefined {
  if (text === undefined) return undefined
  const parsed = parseDuration(text)
  if (!parsed.ok)
    throw new CommandFailed('usage', option === undefined ? parsed.message : `${option}: ${parsed.message}`)
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

/** `approval`, `first-use`, an instant (`2026-11-23T09:00` where the caller is) or a length from now (`+2h`). */
export function readStart(text: string | undefined, now: number): Start | undefined {
  if (text === undefined) return undefined
  if (text === 'approval' || text === 'first-use') return { at: text }
  return { at: 'instant', instant: readComingInstant(text, now) }
}

export function readComingInstant(text: string, now: number): number {
  if (text.startsWith('+')) return now + (readDuration(text.slice(1)) ?? 0)
  const instant = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}/.test(text) ? Date.parse(text) : NaN
  if (Number.isNaN(instant))
    throw new CommandFailed(
      'usage',
      `"${text.slice(0, 40)}" is no start`,
      'Write first-use, +2h, 2026-11-23T09:00 (your time) or 2026-11-23T09:00Z.',
    )
  return instant
}

/** A day or an instant to come, `2026-12-27` or `2026-12-27T18:00Z`, or a length from now, `3d`. */
export function readEnd(text: string, now: number): number {
  const length = parseDuration(text)
  if (length.ok) return now + length.ms
  const instant = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : NaN
  if (Number.isNaN(instant))
    throw new CommandFailed(
      'usage',
      `"${text.slice(0, 40)}" is no end`,
      'Write 3d (from now), 2026-12-27 or 2026-12-27T18:00Z.',
    )
  return instant
}

/** `a=b` -> ['a', 'b'] */
export function readPair(text: string): [string, string] {
  const at = text.indexOf('=')
  if (at < 1) throw new CommandFailed('usage', `"${text}" is not of the form name=value`)
  return [text.slice(0, at), text.slice(at + 1)]
}
