import { formatDuration } from '../../contract/duration.ts'
import type { Requestable } from './requestable.ts'

const MOST_LINES = 30

/** What `/access roles` says. */
export function roleLines({ roles, resources }: Requestable): string[] {
  const lines = roles.map(({ name, longestMs }) => `${name}, for at most ${formatDuration(longestMs)}`)
  return [
    ...(roles.length === 0 ? ['There is no role that you may ask for as a whole.'] : []),
    ...cut(lines, 'ask by name: /access request ROLE for 1h: REASON'),
    ...(resources.length === 0
      ? []
      : [`Resources that you may ask for alone: ${resources.length} (/access resources)`]),
  ]
}

/** What `/access resources` says: those with every word in the name or in the value of a label. */
export function resourceLines({ resources }: Requestable, words: readonly string[]): string[] {
  if (resources.length === 0) return ['There is no resource that you may ask for alone. Roles: /access roles']
  const wanted = words.map((word) => word.toLowerCase())
  const found = resources.filter(({ key, labels }) => {
    const texts = [key, ...Object.values(labels)].map((text) => text.toLowerCase())
    return wanted.every((word) => texts.some((text) => text.includes(word)))
  })
  if (found.length === 0) return ['Nothing like that which you may ask for.']
  const lines = found.map(({ key, by }) => `${key}, by ${by.slice(0, 5).join(' or ')}`)
  return cut(lines, 'look for one: /access resources WORD')
}

function cut(lines: readonly string[], hint: string): string[] {
  const more = lines.length - MOST_LINES
  return more > 0 ? [...lines.slice(0, MOST_LINES), `and ${more} more; ${hint}`] : [...lines]
}
