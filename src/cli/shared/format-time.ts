const two = (value: number): string => String(value).padStart(2, '0')

/** `2026-11-22 09:05:31` where the reader is. */
export function localTime(ms: number): string {
  const t = new Date(ms)
  const date = `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())}`
  return `${date} ${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}`
}

/** `2026-11-22 07:05:31`, the same for every reader. */
export function utcTime(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19).replace('T', ' ')
}
