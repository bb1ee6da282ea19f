// Durations as people write them: 90s, 45m, 1h30m, 2d. No fractions, no signs, each unit once, largest first.

const UNIT_MS = { w: 604_800_000, d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000 } as const
const SHAPE = /^(?:(\d{1,6})w)?(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?$/

export type ParsedDuration = { ok: true; ms: number } | { ok: false; message: string }

/** `1h30m` -> 5400000. Zero, empty text and anything over 366 days are refused. */
export function parseDuration(text: string): ParsedDuration {
  const found = SHAPE.exec(text)
  if (!found || text === '')
    return { ok: false, message: `"${text.slice(0, 40)}" is no duration; write 30m, 1h, 1h30m or 2d` }
  const units = Object.values(UNIT_MS)
  const ms = units.reduce((sum, unit, index) => sum + Number(found[index + 1] ?? 0) * unit, 0)
  if (ms === 0) return { ok: false, message: 'a duration must be longer than zero' }
  if (ms > 366 * UNIT_MS.d) return { ok: false, message: 'a duration is at most 366 days' }
  return { ok: true, ms }
}

/** 5400000 -> `1h30m`. Rounds down to whole seconds. */
export function formatDuration(ms: number): string {
  let left = Math.floor(Math.max(0, ms) / 1000) * 1000
  let text = ''
  for (const [unit, size] of Object.entries(UNIT_MS).slice(1)) {
    const count = Math.floor(left / size)
    if (count > 0) text += `${count}${unit}`
    left -= count * size
  }
  return text === '' ? '0s' : text
}
