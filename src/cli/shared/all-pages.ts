interface Page<T> {
  readonly items: readonly T[]
  readonly next: string | null
}

// A list longer than this is no use on a screen; a server that never ends must not keep us for ever.
const MOST_PAGES = 200

/** Follows `next` until the end, or until there are `most`. */
export async function allPages<T>(
  read: (cursor: string | undefined) => Promise<Page<T>>,
  most: number = Infinity,
): Promise<T[]> {
  const items: T[] = []
  let cursor: string | undefined
  for (let count = 0; count < MOST_PAGES; count++) {
    const page = await read(cursor)
    items.push(...page.items)
    if (page.next === null || page.next === cursor || items.length >= most) break
    cursor = page.next
  }
  return items.length > most ? items.slice(0, most) : items
}
