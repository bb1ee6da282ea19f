import { readFileSync } from 'node:fs'

export interface Rotation {
  /** Names of people, as Sallyport knows them, in the order of their turns */
  readonly people: readonly string[]
  /** ISO 8601: the beginning of the first one's first turn */
  readonly begins: string
  /** Hours of a turn */
  readonly turn: number
  /** Somebody else for a while; the last one that covers an instant holds */
  readonly swaps: readonly { readonly from: string; readonly until: string; readonly person: string }[]
}

export interface Shift {
  readonly person: string
  /** Milliseconds since the epoch */
  readonly until: number
}

const HOUR_MS = 3_600_000

/** Pure. null: nobody is (before the rotation begins, or without people). A turn's last instant is the next one's first. */
export function onCallAt({ people, begins, turn, swaps }: Rotation, now: number): Shift | null {
  const turns = (now - Date.parse(begins)) / (turn * HOUR_MS)
  const person = turns >= 0 ? people[Math.floor(turns) % people.length] : undefined
  const until = Date.parse(begins) + (Math.floor(turns) + 1) * turn * HOUR_MS
  const swap = swaps.findLast(({ from, until }) => Date.parse(from) <= now && now < Date.parse(until))
  if (swap) return { person: swap.person, until: Date.parse(swap.until) }
  // A swap that is to come ends this shift early.
  const next = swaps.map(({ from }) => Date.parse(from)).filter((from) => from > now)
  return person === undefined ? null : { person, until: Math.min(until, ...next) }
}

/** Read anew for each request. Throws when it cannot be read or is no rotation: then nobody is on call. */
export function readRotation(path: string): Rotation {
  const { people, begins = '', turn, swaps = [] } = JSON.parse(readFileSync(path, 'utf8')) as Partial<Rotation>
  const dates = [begins, ...swaps.flatMap(({ from, until }) => [from, until])]
  const isOne =
    Array.isArray(people) &&
    people.every((name) => typeof name === 'string') &&
    typeof turn === 'number' &&
    turn > 0 &&
    dates.every((date) => !Number.isNaN(Date.parse(date)))
  if (!isOne) throw new Error(`${path} is no rotation`)
  return { people, begins, turn, swaps }
}
