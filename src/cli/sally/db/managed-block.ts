// A block that we keep in a file of somebody's own, between two lines with its name. What stands outside of it stays as it
// is, byte for byte, also when the block goes again.

export type Edited =
  | { readonly ok: true; readonly text: string }
  /** One of its two lines is missing or stands twice: somebody has edited it */
  | { readonly ok: false }

/** Bytes of the file as latin1: whatever its encoding, what is not ours comes out as it went in. */
export type FileText = string

const first = (name: string): string =>
  `# >>> sally db login ${name}: written anew each time, removed by sally db logout`
const firstJoined = (name: string): string => `${first(name)} (the file did not end with a newline)`
const last = (name: string): string => `# <<< sally db login ${name}`

interface Place {
  /** Of the first byte that is ours, and behind the last one */
  readonly from: number
  readonly to: number
  /** The newline before it is ours too */
  readonly joined: boolean
}

/** Puts the block in the place of the one of that name, else at the end. `lines` hold no newlines. */
export function putBlock(text: FileText, name: string, lines: readonly string[]): Edited {
  const place = find(text, name)
  if (place === 'damaged') return { ok: false }
  const joined = place?.joined ?? (text !== '' && !text.endsWith('\n'))
  const head = joined ? firstJoined(name) : first(name)
  const block = `${joined ? '\n' : ''}${[head, ...lines, last(name)].join('\n')}\n`
  if (!place) return { ok: true, text: text + block }
  return { ok: true, text: text.slice(0, place.from) + block + text.slice(place.to) }
}

/** The file as it would be without the block. */
export function removeBlock(text: FileText, name: string): Edited {
  const place = find(text, name)
  if (place === 'damaged') return { ok: false }
  if (!place) return { ok: true, text }
  const behind = text.slice(place.to)
  // What was written behind the block since then must not join the line before it.
  const before = text.slice(0, place.from) + (place.joined && behind !== '' ? '\n' : '')
  return { ok: true, text: before + behind }
}

/** Names of the blocks in it, damaged ones included. */
export function blocksIn(text: FileText): string[] {
  const found = [...text.matchAll(/^# >>> sally db login ([a-z0-9][a-z0-9._-]{0,62}): /gm)]
  return [...new Set(found.flatMap(([, name]) => name ?? []))]
}

function find(text: FileText, name: string): Place | null | 'damaged' {
  const starts = [...linesOf(text)].filter(({ line }) => line === first(name) || line === firstJoined(name))
  const ends = [...linesOf(text)].filter(({ line }) => line === last(name))
  const [start, end] = [starts[0], ends[0]]
  if (!start && !end) return null
  if (!start || !end || starts.length > 1 || ends.length > 1 || end.from < start.from) return 'damaged'
  const joined = start.line === firstJoined(name) && start.from > 0
  return { from: joined ? start.from - 1 : start.from, to: end.to, joined }
}

/** Each line with where it begins and where the next one does. */
function* linesOf(text: FileText): Iterable<{ readonly line: string; readonly from: number; readonly to: number }> {
  for (let from = 0; from < text.length;) {
    const newline = text.indexOf('\n', from)
    const to = newline === -1 ? text.length : newline + 1
    yield { line: text.slice(from, newline === -1 ? to : newline), from, to }
    from = to
  }
}
