// A reader of HTML that trusts nothing: it sees every tag that a browser could see, wherever it stands.

export interface SeenHtml {
  /** Whatever would be loaded or could be pressed */
  readonly links: readonly string[]
  readonly tags: ReadonlySet<string>
  /** The text between the tags, with entities resolved */
  readonly text: string
}

const TAG = /<\/?([a-zA-Z!][^\s/>]*)([^>]*)>/g
const ADDRESS =
  /(?:href|src|action|background|poster|data|srcset|formaction|xlink:href)\s*=\s*("[^"]*"|'[^']*'|[^\s>]+)/gi
const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" }

/** Throws at what only ever hides something: comments inside, scripts, styles, event handlers. */
export function harmless(html: string): SeenHtml {
  const links: string[] = []
  const tags = new Set<string>()
  for (const [, name = '', attributes = ''] of html.matchAll(TAG)) {
    if (name.toLowerCase() === '!doctype') continue
    if (name.startsWith('!')) throw new Error(`a comment or declaration: <${name}`)
    if (/\son[a-z]+\s*=|\sstyle\s*=/i.test(attributes)) throw new Error(`a handler or style: <${name}${attributes}>`)
    tags.add(name.toLowerCase())
    for (const [, address = ''] of attributes.matchAll(ADDRESS))
      links.push(resolved(address.replace(/^["']|["']$/g, '')))
  }
  const text = resolved(html.replace(TAG, ' '))
  if (/[<>]/.test(html.replace(TAG, ''))) throw new Error('a bracket that belongs to no tag')
  return { links, tags, text }
}

const resolved = (text: string): string =>
  text.replace(/&(amp|lt|gt|quot|#39);/g, (whole, name: string) => ENTITIES[name] ?? whole)
