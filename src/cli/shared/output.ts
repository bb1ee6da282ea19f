import { escapeInQuotes } from './harmless.ts'
import type { Format } from './command-context.ts'

/** `data` for programs, lossless: unsafe characters are written as escapes inside the strings. */
export async function serialise(format: Exclude<Format, 'text'>, data: unknown): Promise<string> {
  if (format === 'json') return `${escapeInQuotes(JSON.stringify(data, null, 2))}\n`
  const { toYaml } = await import('./to-yaml.ts')
  return toYaml([data])
}
